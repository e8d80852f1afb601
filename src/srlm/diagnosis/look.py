"""Everything that a diagnosis runs a model for, at some prompts: draws, brackets of modes, features.

Knows: the order of the work, and that prompts keep the numbers they have in the whole diagnosis, so that any part of
them can be looked at anywhere. Refuses to know: what is made of it (`preflight`, `answers`), who deals prompts out
(`cluster`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from srlm.diagnosis.answers import draw_answers
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.diagnosis.spectra import describe_spectra
from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.handshake import shake_hands
from srlm.engines.names import parse_engine
from srlm.engines.search import Search
from srlm.engines.serving import Serving
from srlm.engines.transformers import InProcess
from srlm.engines.vllm import VllmServers
from srlm.errors import InputError
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import LoadedModel
from srlm.lm.precision import locate_nan
from srlm.lm.scoring import has_tree_attention, score_responses
from srlm.records.progress import Observer
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.spectra import EffectiveDimension
from srlm.tasks.prompts import Prompt

# That of round 00: with a run's seed, K and L a diagnosis draws what the run's first round will.
_STREAM = 0
_APART = 0.5  # nats by which a server may contradict the model here on a response: the default of a run's max_drift


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        rollouts: of every prompt, in order, decoded and not graded.
        modes: of every prompt, in order, not widened; empty at the level of answers.
        spectra: of features and weights, where they were asked for.
        seconds: by stage.
        facts: of the model: `model`, `checksum`, `engine`, `dtype`, `parameters`, `architecture`.
    """

    rollouts: Sequence[Rollout]
    modes: Sequence[ModeBracket] = ()
    spectra: EffectiveDimension | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def look_at(
    loaded: LoadedModel,
    prompts: Sequence[Prompt],
    numbers: Sequence[int],
    chosen: DiagnosisSettings,
    total: int,
    observer: Observer,
) -> Look:
    """Everything that runs the model.

    Args:
        loaded: the model.
        prompts, numbers: where to look, and which numbers these prompts have among all.
        chosen: how to measure.
        total: P, prompts of the whole diagnosis.
        observer: is told about every stage.

    Raises:
        InputError: prompts that do not fit the model; logits that are not numbers (with the layer).
    """
    limit, raw = chosen.max_new_tokens, chosen.raw_prompts
    tokens = encode_prompts(prompts, loaded, max_new_tokens=limit, raw=raw, numbers=numbers)
    encoded = [Encoded(number, tuple(ids)) for number, ids in zip(numbers, tokens, strict=True)]
    engine = InProcess(loaded, loaded.model, has_tree_attention(loaded.model))
    try:
        if chosen.level == "answer":
            return _answers(engine, prompts, encoded, chosen, total, observer)
        return _responses(engine, encoded, chosen, observer)
    except FloatingPointError as error:
        raise InputError(_what_is_nan(loaded, tokens)) from error


def _answers(
    engine: InProcess,
    prompts: Sequence[Prompt],
    encoded: Sequence[Encoded],
    chosen: DiagnosisSettings,
    total: int,
    observer: Observer,
) -> Look:
    addresses = parse_engine(chosen.engine).addresses
    drawing = _served(addresses, engine, encoded, chosen, observer) if addresses else engine
    began = time.perf_counter()
    rollouts = draw_answers(drawing.at(PolicyVersion(0)), prompts, encoded, chosen, total, observer)
    seconds = {"sample": time.perf_counter() - began}
    return Look(rollouts, seconds=seconds, facts=_facts(engine) | {"engine": drawing.name})


def _served(
    addresses: tuple[str, ...],
    own: InProcess,
    encoded: Sequence[Encoded],
    chosen: DiagnosisSettings,
    observer: Observer,
) -> VllmServers:
    """vLLM servers that draw from this model.

    Raises:
        InputError: they hold another one.
    """
    score = partial(score_responses, own.model, tree_attention=own.tree_attention)
    servers = VllmServers(addresses, own.loaded, score, tell=observer.note)
    longest = max(len(one.tokens) for one in encoded) + chosen.max_new_tokens
    serving = Serving(str(own.model.name_or_path or own.loaded.name), own.loaded.weights, longest)
    shake_hands(servers, serving, encoded, Draw(1, chosen.max_new_tokens, chosen.seed, _STREAM), _APART)
    return servers


def _responses(engine: InProcess, encoded: Sequence[Encoded], chosen: DiagnosisSettings, observer: Observer) -> Look:
    seconds: dict[str, float] = {}
    version, began = PolicyVersion(0), time.perf_counter()
    observer.stage(0, "sample", len(encoded))
    draw = Draw(chosen.samples, chosen.max_new_tokens, chosen.seed, _STREAM)
    rollouts = engine.at(version).draw(encoded, draw, observer.advance)
    seconds["sample"], began = time.perf_counter() - began, time.perf_counter()
    observer.stage(0, "certify", len(encoded))
    certifier = Search(engine, chosen.max_new_tokens, chosen.expansions)
    modes = certifier.certify(version, encoded, rollouts, observer.advance)
    seconds["certify"], began = time.perf_counter() - began, time.perf_counter()
    spectra = None
    if chosen.spectra:
        observer.stage(0, "spectra", len(encoded))
        groups = [(one.tokens, rollout.tokens) for one, rollout in zip(encoded, rollouts, strict=True)]
        model, tree = engine.loaded.model, engine.tree_attention
        spectra = describe_spectra(model, groups, tree_attention=tree, progress=observer.advance)
        seconds["spectra"] = time.perf_counter() - began
    return Look(rollouts, modes, spectra, seconds, _facts(engine))


def _facts(engine: InProcess) -> dict[str, Any]:
    loaded = engine.loaded
    return {
        "model": loaded.name,
        "checksum": loaded.checksum,
        "engine": engine.name,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "parameters": sum(one.numel() for one in loaded.model.parameters()),
        "architecture": type(loaded.model).__name__,
    }


def _what_is_nan(loaded: LoadedModel, encoded: Sequence[Sequence[int]]) -> str:
    place = locate_nan(loaded.model, encoded)
    where = f"after prompt {place.prompt}" if place else "after some response"
    layer = f"; the first such values come from {place.module}" if place and place.module else ""
    return (
        f"model {loaded.name!r} returns logits that are not numbers {where}{layer}; check its weights, or use "
        "--dtype float32"
    )
