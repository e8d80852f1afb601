"""Before a run or a diagnosis: whether its vLLM servers are the right ones. Nothing is written but a probe.

Knows: what each kind of wrong server looks like from outside. Refuses to know: trainers.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.http import Failure
from srlm.engines.serving import WAY_OUT, Serving
from srlm.engines.vllm import VllmServers
from srlm.errors import InputError
from srlm.measure.numerics import measure_drift
from srlm.records.responses import Rollout
from srlm.records.text import visible

_TEXT = "Is 12 + 34 = 46? Yes, naïvely: 12+30+4;\n\tthe 'answer' is #46 — done."
_TOKENS, _DRAWS, _PROMPTS = 32, 4, 2
_PATIENCE = 30.0


def shake_hands(
    servers: VllmServers,
    serving: Serving,
    prompts: Sequence[Encoded],
    ask: Draw,
    limit: float | None,
    probe: Path | None = None,
) -> None:
    """Ask every server what it is, and a few responses, which the training forward scores.

    Args:
        servers: to ask; `score` is of the base model.
        serving: what they must have been started for.
        limit: most nats by which a response's log-probability may differ; None: any.
        probe: an adapter's folder that changes nothing; None: only the base model will be asked.

    Raises:
        InputError: a sentence for every server that will not do.
    """
    problems: list[str] = []
    sampler = servers.at(PolicyVersion(0, probe))
    try:
        for address in servers.addresses:
            alone = replace(servers, addresses=(address,), patience=min(_PATIENCE, servers.patience))
            try:
                _check_card(alone, address, serving)
                _check_numerics(alone, address, replace(sampler, servers=alone), prompts[:_PROMPTS], ask, limit)
            except InputError as error:
                problems += error.problems
    finally:
        servers.close()
    if problems:
        raise InputError(problems)


def _check_card(servers: VllmServers, address: str, serving: Serving) -> None:
    """What the server says of itself."""
    cards = servers.cards(address)
    if isinstance(cards, Failure):
        raise InputError(f"{cards}; a right one is started by: {serving.command(address)}")
    most = cards[0].get("max_model_len")
    if isinstance(most, int) and most < serving.longest:
        raise InputError(
            f"{address} takes {most} tokens of prompt and response together, and this needs {serving.longest}; start "
            f"it with --max-model-len {serving.longest}"
        )
    metrics = servers.ask(address, "/metrics", plain=True)
    engines = set(re.findall(r'[{,]engine="(\w+)"', metrics)) if isinstance(metrics, str) else set()
    if len(engines) > 1:
        raise InputError(
            f"{address} spreads its work over {len(engines)} engines, and an adapter may reach only one; start as many "
            "servers without --data-parallel-size, and give every address"
        )
    asked = {"model": cards[0]["id"], "prompt": _TEXT, "add_special_tokens": False}
    told = servers.ask(address, "/tokenize", asked)
    theirs = told.get("tokens") if isinstance(told, dict) else None
    ours: Any = servers.loaded.tokenizer(_TEXT, add_special_tokens=False)["input_ids"]
    if theirs is not None and list(theirs) != list(ours):
        raise InputError(f"{address} has another tokenizer than {serving.model}: {_behind(cards[0])}")


def _behind(card: Any) -> str:
    return f"it serves {visible(str(card.get('root') or card.get('id')), 200)}"


def _check_numerics(
    servers: VllmServers, address: str, sampler: Any, prompts: Sequence[Encoded], ask: Draw, limit: float | None
) -> None:
    """Whether what it says of its samples is what the training forward says."""
    short = Draw(_DRAWS, min(_TOKENS, ask.max_tokens), ask.seed, ask.stream)
    rollouts: list[Rollout] = sampler.draw(prompts, short)
    ours = servers.score([(one.tokens, rollout.tokens) for one, rollout in zip(prompts, rollouts, strict=True)])
    drift = measure_drift(rollouts, ours, rescored=False)
    if drift.max <= (math.inf if limit is None else limit):
        return
    said = _scored(servers, address, sampler, prompts[0], rollouts[0])
    apart = f"its log-probabilities are up to {drift.max:.3g} nats a response from those of the model here"
    if said is not None and abs(said - ours[0][0]) <= (limit or 0.0):
        raise InputError(
            f"{address} tempers or truncates what it draws: {apart}, though it scores a given response as this does; "
            f"start it with --logprobs-mode raw_logprobs --generation-config vllm, or {WAY_OUT}"
        )
    card = servers.cards(address)
    raise InputError(
        f"{address} holds another model, or holds it in another precision: {apart}, and "
        f"{_behind({} if isinstance(card, Failure) else card[0])}; start it with this model and --dtype, raise "
        "max_drift, or add --rescore"
    )


def _scored(servers: VllmServers, address: str, sampler: Any, prompt: Encoded, rollout: Rollout) -> float | None:
    """The log-probability (nats) of the first response as the server scores it when it is given, which is always that
    of the plain policy; None where it does not say.
    """
    tokens = rollout.tokens[0]
    body = {
        "model": servers.prepare(address, sampler.adapter), "prompt": [*prompt.tokens, *tokens], "max_tokens": 1,
        "prompt_logprobs": 0, "temperature": 0.0,
    }  # fmt: skip
    reply = servers.ask(address, "/v1/completions", body)
    try:
        places = reply["choices"][0]["prompt_logprobs"][-len(tokens) :]
        return sum(place[str(token)]["logprob"] for place, token in zip(places, tokens, strict=True))
    except (KeyError, TypeError, IndexError, ValueError):
        return None
