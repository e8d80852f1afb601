"""Diagnose a model that runs in this process.

Knows: the order of the work. Refuses to know: where the model and its prompts came from, how anything is measured or
judged (`srlm.measure`).
"""

import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from srlm.diagnosis.answers import diagnose_answers, setup_of
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
from srlm.measure.forecast import forecast_of
from srlm.measure.prompt import EVERYTHING, diagnose_prompt, sample_facts
from srlm.measure.strategies import self_judgement
from srlm.measure.verdict import accuracy_of, bootstrap_of, judge_group, statistics_of
from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.diagnosis import MARKS, DiagnosisRecord, DiagnosisSetup, PromptDiagnosis
from srlm.records.progress import Observer
from srlm.records.responses import ModeBracket, Rollout, widen
from srlm.records.spectra import EffectiveDimension
from srlm.tasks.prompts import Prompt

# That of round 00: with a run's seed, K and L a diagnosis draws what the run's first round will.
_STREAM = 0
_APART = 0.5  # nats by which a server may contradict the model here on a response: the default of a run's max_drift


def diagnose_loaded(
    loaded: LoadedModel,
    asked: Sequence[Prompt],
    source: Any,
    gate: int,
    chosen: DiagnosisSettings,
    observer: Observer,
) -> DiagnosisRecord | AnswerDiagnosis:
    """The diagnosis of a model at prompts.

    Args:
        loaded: the model.
        asked: the prompts, at least one.
        source, gate: where they came from, and how many marked `gate` were left out.
        chosen: how to measure.
        observer: is told about every stage.

    Raises:
        InputError: prompts that do not fit the model; logits that are not numbers (with the layer).
    """
    encoded = encode_prompts(asked, loaded, max_new_tokens=chosen.max_new_tokens, raw=chosen.raw_prompts)
    dtype_of = str(loaded.model.dtype).removeprefix("torch.")
    if chosen.level == "answer":
        numbered = [Encoded(number, tuple(ids)) for number, ids in enumerate(encoded)]
        engine = InProcess(loaded, loaded.model, has_tree_attention(loaded.model))
        if addresses := parse_engine(chosen.engine).addresses:
            engine = _served(addresses, engine, numbered, chosen, observer)
        about: dict[str, Any] = {"model": loaded.name, "checksum": loaded.checksum}
        about["settings"] = setup_of(source, gate, chosen, engine=engine.name, dtype=dtype_of)
        try:
            sampler = engine.at(PolicyVersion(0))
            return diagnose_answers(sampler, asked, numbered, chosen, about, observer)
        except FloatingPointError as error:
            raise InputError(_what_is_nan(loaded, encoded)) from error
    look = _look(loaded, encoded, chosen, observer)
    setup = DiagnosisSetup(
        prompts=source if isinstance(source, str) else "records",
        gate_prompts=gate,
        **{name: value for name, value in asdict(chosen).items() if name in DiagnosisSetup.model_fields},
        dtype=dtype_of,
        parameters=sum(one.numel() for one in loaded.model.parameters()),
        architecture=type(loaded.model).__name__,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "numpy")},
        },
    )
    return _judge(loaded, asked, look, setup)


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


class _Look(NamedTuple):
    """Everything that was run: rollouts and modes, spectra, seconds by stage."""

    rollouts: list[Rollout]
    modes: list[ModeBracket]
    spectra: EffectiveDimension | None
    seconds: dict[str, float]


def _look(
    loaded: LoadedModel, encoded: Sequence[Sequence[int]], chosen: DiagnosisSettings, observer: Observer
) -> _Look:
    """Everything that runs the model."""
    seconds: dict[str, float] = {}
    version, asked = PolicyVersion(0), [Encoded(number, tuple(ids)) for number, ids in enumerate(encoded)]
    try:
        began = time.perf_counter()
        observer.stage(0, "sample", len(encoded))
        engine = InProcess(loaded, loaded.model, has_tree_attention(loaded.model))
        draw = Draw(chosen.samples, chosen.max_new_tokens, chosen.seed, _STREAM)
        rollouts = engine.at(version).draw(asked, draw, observer.advance)
        seconds["sample"], began = time.perf_counter() - began, time.perf_counter()
        observer.stage(0, "certify", len(encoded))
        certifier = Search(engine, chosen.max_new_tokens, chosen.expansions)
        modes = widen(certifier.certify(version, asked, rollouts, observer.advance))
        seconds["certify"], began = time.perf_counter() - began, time.perf_counter()
        spectra = None
        if chosen.spectra:
            observer.stage(0, "spectra", len(encoded))
            groups = [(ids, rollout.tokens) for ids, rollout in zip(encoded, rollouts, strict=True)]
            spectra = describe_spectra(
                loaded.model, groups, tree_attention=engine.tree_attention, progress=observer.advance
            )
            seconds["spectra"] = time.perf_counter() - began
    except FloatingPointError as error:
        raise InputError(_what_is_nan(loaded, encoded)) from error
    return _Look(rollouts, modes, spectra, seconds)


def _what_is_nan(loaded: LoadedModel, encoded: Sequence[Sequence[int]]) -> str:
    place = locate_nan(loaded.model, encoded)
    where = f"after prompt {place.prompt}" if place else "after some response"
    layer = f"; the first such values come from {place.module}" if place and place.module else ""
    return (
        f"model {loaded.name!r} returns logits that are not numbers {where}{layer}; check its weights, or use "
        "--dtype float32"
    )


def _judge(loaded: LoadedModel, prompts: Sequence[Prompt], look: _Look, setup: DiagnosisSetup) -> DiagnosisRecord:
    """The record of what was run."""
    rollouts = [prompt.graded_rollout(one) for prompt, one in zip(prompts, look.rollouts, strict=True)]
    modes = [prompt.graded_bracket(one) for prompt, one in zip(prompts, look.modes, strict=True)]
    diagnosed = [
        diagnose_prompt(prompt, rollout, mode) for prompt, rollout, mode in zip(prompts, rollouts, modes, strict=True)
    ]
    groups: dict[str, list[PromptDiagnosis]] = {}
    for one in diagnosed:
        groups.setdefault(one.group, []).append(one)
    named = [(EVERYTHING, diagnosed), *(groups.items() if set(groups) != {EVERYTHING} else ())]
    slack, generator = setup.mass_slack, np.random.default_rng([setup.seed, 1])
    record = DiagnosisRecord(
        model=loaded.name,
        checksum=loaded.checksum,
        settings=setup,
        prompts=tuple(diagnosed),
        **asdict(statistics_of(diagnosed, slack)),
        bootstrap=bootstrap_of(diagnosed, slack, generator),
        certified=sum(one.mode.certified for one in diagnosed),
        greedy_failures=sum(one.greedy_is_mode is False for one in diagnosed),
        degenerate_modes={mark: sum(mark in one.mode.marks for one in diagnosed) for mark in MARKS},
        samples=sample_facts(rollouts),
        accuracy=accuracy_of(diagnosed),
        self_reward_against_correctness=self_judgement(rollouts),
        effective_dimension=look.spectra,
        numeric_error=max(one.widening for one in look.modes),
        verdict=tuple(judge_group(name, members, generator, slack) for name, members in named),
        seconds=look.seconds,
    )
    return record.model_copy(update={"forecast": forecast_of(record)})
