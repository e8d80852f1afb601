"""vLLM servers: they draw, the process that trains scores.

Knows: vLLM's interface. A policy is an adapter's folder under a name of its own, loaded into every server: no weights
are sent or merged, and no name is ever given to two sets of weights (same name: stale caches, vllm-project/vllm 42125;
load_inplace: read from disk at every step, 33791). Of several servers each prompt has its own while they live. What is
drawn is kept until all is. Refuses to know: trainers, adapter libraries, how a policy is trained.
"""

import hashlib
import json
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.http import Ask, Client, Failure
from srlm.engines.serving import WAY_OUT, Adapter, refusal
from srlm.errors import InputError
from srlm.lm.loading import LoadedModel
from srlm.records.progress import Progress
from srlm.records.responses import Complete, Response, Rollout, TokenGroup
from srlm.records.text import visible

# Seeds of one prompt, and so the most draws at one. On a CPU torch seeds with 32 bits, which leaves a million prompts.
SEEDS = 4096
_IN_FLIGHT = 64  # requests under way at a server
_ATTEMPTS = 3  # before a server counts as away
# The plain policy, whatever the server's generation settings say, and what is told of every response.
_PLAIN: Mapping[str, Any] = {
    "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0,
    "frequency_penalty": 0.0, "logprobs": 0, "return_token_ids": True,
}  # fmt: skip

Score = Callable[[Sequence[TokenGroup]], list[list[float]]]


def seed_of(ask: Draw, number: int) -> int:
    """The seed of the first response asked for at a prompt; vLLM gives the k-th after it this plus k. So a response's
    seed says run, stream, prompt and place, however many are asked for at once, and no two prompts share one.
    """
    digest = hashlib.sha256(f"{ask.seed}/{ask.stream}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 2) + number * SEEDS + ask.skip  # below 2^63


@dataclass(slots=True)
class VllmServers:
    """vLLM servers of one base model.

    Attributes:
        addresses: of their roots.
        loaded: the same model here: its tokenizer, and what ends a response.
        score: the training forward's log-probabilities, of the policy that is drawn from.
        patience: seconds to wait while no server gets anything done.
        tell: is given a sentence for whoever waits.
    """

    addresses: tuple[str, ...]
    loaded: LoadedModel
    score: Score
    patience: float = 600.0
    tell: Callable[[str], None] = logging.getLogger("srlm").warning
    away: dict[str, Failure] = field(default_factory=dict)  # servers that did not answer when they were last asked
    _bases: dict[str, str] = field(default_factory=dict)
    _holding: set[tuple[str, str]] = field(default_factory=set)  # (address, adapter)
    _adapter: Adapter | None = None

    @property
    def name(self) -> str:
        return "vllm"

    @property
    def scores(self) -> bool:
        return False

    @property
    def dtype(self) -> str:
        """How training holds the weights; a server does not say how it does, parity does."""
        return self.loaded.weights

    def at(self, version: PolicyVersion) -> "VllmSampler":
        adapter = None if version.checkpoint is None else Adapter.of(version.checkpoint, version.number)
        if self._adapter and self._adapter != adapter:
            self.close()
        self._adapter = adapter
        return VllmSampler(self, adapter, version.keep)

    def close(self) -> None:
        """Have the servers forget the policy that was drawn from last, as far as they answer."""
        if adapter := self._adapter:
            self._adapter = None
            for address, name in [one for one in self._holding if one[1] == adapter.name]:
                self._holding.discard((address, name))
                self.ask(address, "/v1/unload_lora_adapter", {"lora_name": name}, plain=True)

    @property
    def timeout(self) -> float:
        """Seconds within which a reply must be there: many responses take longer than an empty server's patience."""
        return max(600.0, self.patience)

    def ask(self, address: str, path: str, body: Mapping[str, Any] | None = None, plain: bool = False) -> Any:
        """The reply to one attempt, or the `Failure`."""
        return Client(attempts=1, timeout=self.timeout).send([Ask(address + path, body, plain)])[0]

    def cards(self, address: str) -> Any:
        """What `/v1/models` lists, the base model first; or the `Failure`."""
        reply = self.ask(address, "/v1/models")
        if isinstance(reply, Failure):
            return reply
        found = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(found, list) or not all(isinstance(one, dict) and "id" in one for one in found) or not found:
            raise InputError(f"{address} lists no models; it is no vLLM server")
        return sorted(found, key=lambda one: one.get("parent") is not None)

    def prepare(self, address: str, adapter: Adapter | None) -> str | None:
        """The name by which this server has the policy, which it loads where it has not; None while it is away.

        Raises:
            InputError: it refuses the adapter.
        """
        if adapter is None:
            if address not in self._bases or address in self.away:
                cards = self.cards(address)
                if isinstance(cards, Failure):
                    self.away[address] = cards
                    return None
                self._bases[address] = cards[0]["id"]
        elif (address, adapter.name) not in self._holding or address in self.away:
            body = {"lora_name": adapter.name, "lora_path": str(adapter.folder)}
            reply = self.ask(address, "/v1/load_lora_adapter", body, plain=True)
            if isinstance(reply, Failure):
                # 500 is what vLLM says of an adapter that it cannot use.
                if reply.kind == "unreachable" and reply.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                    self.away[address] = reply
                    return None
                if "already been loaded" not in str(reply):
                    raise InputError(refusal(address, adapter, reply)) from reply
            self._holding.add((address, adapter.name))
        self.away.pop(address, None)
        return self._bases[address] if adapter is None else adapter.name

    def lost(self, address: str, adapter: Adapter | None, why: Failure) -> None:
        """A server did not answer, or has forgotten the policy."""
        self.away[address] = why
        if adapter:
            self._holding.discard((address, adapter.name))


# One request: a prompt's number, and whether for greedy decoding or for its samples.
_Key = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The reply to one request.

    Attributes:
        server: who gave it.
        choices: of every response its tokens and its log-probability (nats); None: not said.
        first: log-probability of the first token of the first one.
    """

    server: str
    choices: list[tuple[tuple[int, ...], float | None]]
    first: float | None


@dataclass(frozen=True, slots=True)
class VllmSampler:
    """Draws from one policy on all servers.

    Attributes:
        servers: the engine.
        adapter: the policy; None: the base model.
        keep: a folder for what is drawn, until all is; None: nothing is kept.
    """

    servers: VllmServers
    adapter: Adapter | None
    keep: Path | None = None

    def draw(self, prompts: Sequence[Encoded], ask: Draw, progress: Progress | None = None) -> list[Rollout]:
        """As `Sampler.draw`, but for rounding, which depends on what else a server does at the time.

        Raises:
            InputError: a server refused, answered what cannot be right, or none answered for too long.
        """
        if ask.skip + ask.count > SEEDS:
            raise InputError(f"at most {SEEDS} responses to a prompt are drawn through servers; {WAY_OUT}")
        tokens = {one.number: one.tokens for one in prompts}
        wanted = [(number, greedy) for number in tokens for greedy in ((False, True) if ask.greedy else (False,))]
        found = {key: one for key, one in self._kept(ask) if key in wanted}
        since = time.monotonic()
        with self._keeping(ask) as keep:

            def take(key: _Key, drawn: _Drawn) -> None:
                nonlocal since
                found[key], since = drawn, time.monotonic()
                keep(key, drawn)
                if progress is not None:
                    progress(len(found) * len(tokens) // len(wanted), len(tokens))

            failed: set[str] = set()  # servers that may say they are well, and answer nothing all the same
            while missing := [key for key in wanted if key not in found]:
                names = self._names(since)
                if not (names.keys() - failed):
                    failed.clear()
                names = {address: name for address, name in names.items() if address not in failed}
                if why := self._send(missing, tokens, names, ask, take):
                    failed |= self.servers.away.keys()
                    self._wait(since, why)
        return [self._rollout(one, ask, found) for one in prompts]

    def _names(self, since: float) -> dict[str, str]:
        """The servers that have the policy, each with its name there; waits until there is one."""
        servers, told = self.servers, False
        while True:
            known = {address: servers.prepare(address, self.adapter) for address in servers.addresses}
            if names := {address: name for address, name in known.items() if name is not None}:
                if told:
                    servers.tell(f"{', '.join(names)} answers again; sampling goes on")
                return names
            why = next(iter(servers.away.values()))
            if not told:
                servers.tell(f"no server answers ({why}); waiting up to {servers.patience:g} s for one")
                told = True
            self._wait(since, why)

    def _wait(self, since: float, why: Failure) -> None:
        patience = self.servers.patience
        if time.monotonic() - since > patience:
            then = "start one and resume the run: what was drawn is kept" if self.keep else "start a right one"
            raise InputError(f"no server got anything done for {patience:g} s ({why}); {then}") from why
        time.sleep(min(1.0, patience / 20))

    def _send(
        self,
        missing: Sequence[_Key],
        tokens: Mapping[int, Sequence[int]],
        names: Mapping[str, str],
        ask: Draw,
        take: Callable[[_Key, _Drawn], None],
    ) -> Failure | None:
        """Ask for what is missing, for each prompt at its own server, until one goes away: then the reason."""
        places = [_place(names, number) for number, _ in missing]
        bodies = [
            self._body(key, tokens[key[0]], names[place], ask) for key, place in zip(missing, places, strict=True)
        ]
        failures: list[Failure] = []

        def hear(at: int, reply: Any) -> bool:
            if not isinstance(reply, Failure):
                reply = self._read(places[at], bodies[at], reply)
            if not isinstance(reply, Failure):
                take(missing[at], reply)
                return False
            if reply.kind == "refused" and not (self.adapter and reply.status == HTTPStatus.NOT_FOUND):
                raise reply
            if reply.kind != "unsent":
                failures.append(reply)
                self.servers.lost(places[at], self.adapter, reply)
            return True

        client = Client(in_flight=_IN_FLIGHT * len(names), attempts=_ATTEMPTS, timeout=self.servers.timeout)
        asks = [Ask(f"{place}/v1/completions", body) for place, body in zip(places, bodies, strict=True)]
        client.send(asks, hear)
        return failures[0] if failures else None

    def _body(self, key: _Key, prompt: Sequence[int], name: str, ask: Draw) -> dict[str, Any]:
        number, greedy = key
        one = {"n": 1, "temperature": 0.0} if greedy else {"n": ask.count, "temperature": 1.0}
        one |= {"seed": seed_of(ask, number), "stop_token_ids": list(self.servers.loaded.end_token_ids)}
        return {"model": name, "prompt": list(prompt), "max_tokens": ask.max_tokens, **one, **_PLAIN}

    def _read(self, server: str, body: Mapping[str, Any], reply: Any) -> _Drawn | Failure:
        """A reply's responses; a `Failure` where the server broke them off.

        Raises:
            InputError: it cannot be right.
        """
        drawn, first = [], None
        try:
            choices = sorted(reply["choices"], key=lambda one: one["index"])
            if any(one.get("finish_reason") == "abort" for one in choices):
                return Failure(f"{server} broke responses off", "unreachable")
            if [one["index"] for one in choices] != list(range(body["n"])):
                raise ValueError(f"{len(choices)} responses instead of {body['n']}")
            for one in choices:
                tokens, said = tuple(one["token_ids"]), one["logprobs"]["token_logprobs"]
                if (one.get("prompt_token_ids") or body["prompt"]) != body["prompt"]:
                    raise ValueError("another prompt than the one that was sent")
                if not all(type(one) is int and one >= 0 for one in tokens):
                    raise ValueError("tokens that are no numbers")
                if not tokens or len(said) != len(tokens):
                    raise ValueError(f"{len(said)} log-probabilities of {len(tokens)} tokens")
                if tokens[-1] not in body["stop_token_ids"] and len(tokens) != body["max_tokens"]:
                    raise ValueError(f"a response that ends after {len(tokens)} tokens with token {tokens[-1]}")
                # A token of probability near 1 may come back as null, NaN or a little above 0 (trl 6166).
                sure = all(isinstance(value, int | float) and -math.inf < value <= 0 for value in said)
                first = said[0] if sure and not drawn else first
                drawn.append((tokens, float(sum(said)) if sure else None))
        except (KeyError, TypeError, ValueError) as error:
            told = visible(str(error) or "nothing that can be read", 200)
            raise InputError(f"{server} answered what vLLM does not ({told}); {WAY_OUT}") from error
        return _Drawn(server, drawn, first)

    def _rollout(self, prompt: Encoded, ask: Draw, found: Mapping[_Key, _Drawn]) -> Rollout:
        samples = found[prompt.number, False]
        unsaid = sum(value is None for _, value in samples.choices)
        rollout = Rollout(prompt.number, self._responses(prompt, samples), server=samples.server, unsaid=unsaid)
        if not ask.greedy:
            return rollout
        greedy = found[prompt.number, True]
        # No token is likelier than 1.
        return replace(rollout, greedy=self._responses(prompt, greedy)[0], first_token_bound=greedy.first or 0.0)

    def _responses(self, prompt: Encoded, drawn: _Drawn) -> tuple[Response, ...]:
        """Decoded; a log-probability that was not said is the training forward's."""
        loaded, unsaid = self.servers.loaded, [tokens for tokens, value in drawn.choices if value is None]
        scored = iter(self.servers.score([(prompt.tokens, unsaid)])[0] if unsaid else ())
        values = [(tokens, next(scored) if value is None else value) for tokens, value in drawn.choices]
        ends = loaded.end_token_ids
        return tuple(Response(Complete(one, value, one[-1] in ends), loaded.text(one)) for one, value in values)

    # What is drawn is kept as it comes, so that a killed run does not draw it again.

    def _mark(self, ask: Draw) -> list[Any]:
        """What a line is kept for: which policy, which part of which stream."""
        return [self.adapter and self.adapter.name, ask.count, ask.max_tokens, ask.seed, ask.stream, ask.skip]

    def _kept(self, ask: Draw) -> Iterator[tuple[_Key, _Drawn]]:
        for path in sorted(self.keep.glob("*.jsonl")) if self.keep else ():
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # cut short with the run
                    mark, key, server, choices, first = json.loads(line)
                    if mark == self._mark(ask):
                        yield tuple(key), _Drawn(server, [(tuple(tokens), value) for tokens, value in choices], first)

    @contextmanager
    def _keeping(self, ask: Draw) -> Iterator[Callable[[_Key, _Drawn], None]]:
        if self.keep is None:
            yield lambda key, drawn: None
            return
        self.keep.mkdir(parents=True, exist_ok=True)
        # A file of its own for every call: several processes may keep beside one another.
        with (self.keep / f"{uuid.uuid4().hex[:12]}.jsonl").open("w", encoding="utf-8") as file:
            yield lambda key, one: print(
                json.dumps([self._mark(ask), key, one.server, one.choices, one.first]), file=file, flush=True
            )


def _place(addresses: Mapping[str, Any], number: int) -> str:
    """The server of a prompt: when one goes away, only its own prompts move."""
    return min(addresses, key=lambda address: hashlib.sha256(f"{address}/{number}".encode()).digest())
