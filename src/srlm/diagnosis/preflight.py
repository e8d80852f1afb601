"""Diagnose: sample, find the modes, look at the features, and say whether self-rewarding will help. No training.

Knows: the order of the work. Measures and verdicts live in the modules beside this one.
"""

import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from srlm.diagnosis.settings import DiagnosisSettings
from srlm.diagnosis.spectra import describe_spectra
from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.search import Search
from srlm.engines.transformers import InProcess
from srlm.errors import InputError
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import LoadedModel, as_loaded, load_model
from srlm.lm.precision import locate_nan
from srlm.lm.scoring import has_tree_attention
from srlm.lm.subject import EMBEDDED_MODEL
from srlm.measure.degenerate import MARKS, marks_of
from srlm.measure.split import share
from srlm.measure.strategies import best_of_n, majority, self_judgement
from srlm.measure.uncertainty import Interval, bootstrap, log_kappa_of, mean_of
from srlm.measure.verdict import accuracy_of, judge_group, statistics_of
from srlm.records.diagnosis import Bootstrap, Diagnosis, PromptDiagnosis, Reply, SampleFacts
from srlm.records.progress import Observer
from srlm.records.responses import ModeBracket, Response, Rollout, widen
from srlm.tasks.prompts import BUNDLED, Prompt, as_prompts, load_prompts

EVERYTHING = "all"
_RESAMPLES = 2000
# That of round 00: with a run's seed, K and L a diagnosis draws what the run's first round will.
_STREAM = 0


def diagnose(
    model: LoadedModel | Any = EMBEDDED_MODEL,
    prompts: str | Sequence[Any] = BUNDLED,
    *,
    settings: DiagnosisSettings | None = None,
    limit: int | None = None,
    dtype: str = "float32",
    device: str | None = None,
    trust_remote_code: bool = False,
    processing_class: Any = None,
    observer: Observer | None = None,
) -> Diagnosis:
    """Say before any training what self-rewarding would make of a model on these prompts.

    Args:
        model: a name for `load_model`, a `LoadedModel`, or a bare model with its tokenizer in `processing_class`.
        prompts: a source for `load_prompts`, or records with a `prompt`.
        settings: how to measure.
        limit: use at most this many prompts.
        dtype, device, trust_remote_code: as for `load_model`, where `model` is a name.
        processing_class: the tokenizer of a bare model.
        observer: is told about every stage.

    Returns:
        The diagnosis; brackets are honest whatever the budget was.

    Raises:
        InputError: anything given that cannot be used, a model that returns NaN included (with the layer).
    """
    chosen = settings or DiagnosisSettings()
    asked = load_prompts(prompts, limit=limit, held_out=0.0) if isinstance(prompts, str) else as_prompts(prompts)
    asked = asked[:limit]
    loaded = (
        load_model(model, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        if isinstance(model, str)
        else as_loaded(model, processing_class)
    )
    encoded = encode_prompts(asked, loaded, max_new_tokens=chosen.max_new_tokens, raw=chosen.raw_prompts)
    looked = _look(loaded, asked, encoded, chosen, observer or Observer())
    diagnosed = [_diagnose_prompt(*one) for one in zip(asked, looked.rollouts, looked.modes, strict=True)]
    return _assemble(loaded, diagnosed, looked, chosen, prompts if isinstance(prompts, str) else "records")


@dataclass(frozen=True, slots=True)
class _Look:
    """Everything that was run: graded rollouts and modes, spectra, seconds by stage."""

    rollouts: list[Rollout]
    modes: list[ModeBracket]
    spectra: dict[str, Any]
    seconds: dict[str, float]


def _look(
    loaded: LoadedModel,
    prompts: Sequence[Prompt],
    encoded: Sequence[Sequence[int]],
    chosen: DiagnosisSettings,
    observer: Observer,
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
        spectra: dict[str, Any] = {}
        if chosen.spectra:
            observer.stage(0, "spectra", len(encoded))
            groups = [(ids, rollout.tokens) for ids, rollout in zip(encoded, rollouts, strict=True)]
            spectra = describe_spectra(
                loaded.model, groups, tree_attention=engine.tree_attention, progress=observer.advance
            )
            seconds["spectra"] = time.perf_counter() - began
    except FloatingPointError as error:
        raise InputError(_what_is_nan(loaded, encoded)) from error
    return _Look(
        [prompt.graded_rollout(one) for prompt, one in zip(prompts, rollouts, strict=True)],
        [prompt.graded_bracket(one) for prompt, one in zip(prompts, modes, strict=True)],
        spectra,
        seconds,
    )


def _what_is_nan(loaded: LoadedModel, encoded: Sequence[Sequence[int]]) -> str:
    found = locate_nan(loaded.model, encoded)
    where = f"after prompt {found.prompt}" if found else "after some response"
    layer = f"; the first such values come from {found.module}" if found and found.module else ""
    return (
        f"model {loaded.name!r} returns logits that are not numbers {where}{layer}; check its weights, or use "
        "--dtype float32"
    )


def _diagnose_prompt(prompt: Prompt, rollout: Rollout, bracket: ModeBracket) -> PromptDiagnosis:
    responses = rollout.responses
    texts, outcomes = [one.text or "" for one in responses], [one.correct for one in responses]
    facts = SampleFacts(
        len(responses),
        len({one.tokens for one in responses}),
        float(np.mean([len(one.tokens) for one in responses])),
        float(np.mean([not one.ended for one in responses])),
        share([one.entropy for one in responses]) or 0.0,
        float(np.mean([one.logprob for one in responses])),
    )
    return PromptDiagnosis(
        prompt=prompt.text,
        group=str(prompt.columns.get("kind", EVERYTHING)),
        answers=prompt.answers,
        mode=_reply(bracket.mode, bracket.logprob_lower, bracket.logprob_upper),
        certified=bracket.certified,
        greedy=_reply(bracket.greedy, bracket.greedy.logprob, bracket.greedy.logprob),
        greedy_is_mode=_is_mode(bracket),
        margin_lower=bracket.margin_lower,
        runner_up=None if bracket.runner_up is None else bracket.runner_up.text,
        expansions=bracket.expansions,
        mode_correct=bracket.mode.correct,
        greedy_correct=bracket.greedy.correct,
        best_of_n_correct=outcomes[best_of_n(responses)],
        majority_correct=outcomes[majority(texts, responses)],
        sample_accuracy=share(outcomes),
        samples=facts,
    )


def _reply(one: Response, lower: float, upper: float) -> Reply:
    text = one.text or ""
    return Reply(text, lower, upper, len(one.tokens), one.ended, marks_of(one.tokens, text, one.ended))


def _is_mode(bracket: ModeBracket) -> bool | None:
    """Whether greedy decoding found the mode: proved, disproved by a likelier response, or open."""
    if bracket.certified and bracket.greedy.tokens == bracket.mode.tokens:
        return True
    # The lower end was lowered by what precision may hide, and greedy's own value may be off by as much.
    if bracket.greedy.logprob + bracket.widening < bracket.logprob_lower:
        return False
    return True if bracket.certified and bracket.greedy.logprob >= bracket.mode.logprob else None


def _assemble(
    loaded: LoadedModel,
    diagnosed: Sequence[PromptDiagnosis],
    looked: _Look,
    chosen: DiagnosisSettings,
    source: str,
) -> Diagnosis:
    generator = np.random.default_rng([chosen.seed, 1])
    groups: dict[str, list[PromptDiagnosis]] = {}
    for one in diagnosed:
        groups.setdefault(one.group, []).append(one)
    named = [(EVERYTHING, list(diagnosed)), *(groups.items() if set(groups) != {EVERYTHING} else ())]
    return Diagnosis(
        model=loaded.name,
        checksum=loaded.checksum,
        settings={
            "prompts": source,
            "max_new_tokens": chosen.max_new_tokens,
            "expansions": chosen.expansions,
            "samples": chosen.samples,
            "mass_slack": chosen.mass_slack,
            "seed": chosen.seed,
            "raw_prompts": chosen.raw_prompts,
            "dtype": str(loaded.model.dtype).removeprefix("torch."),
            "parameters": sum(one.numel() for one in loaded.model.parameters()),
            "architecture": type(loaded.model).__name__,
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "transformers", "numpy")},
            },
        },
        prompts=tuple(diagnosed),
        statistics=statistics_of(diagnosed, chosen.mass_slack),
        bootstrap=_bootstrap(diagnosed, chosen.mass_slack, generator),
        accuracy=accuracy_of(diagnosed),
        judgement=self_judgement(looked.rollouts),
        marks={mark: sum(mark in one.mode.marks for one in diagnosed) for mark in MARKS},
        effective_dimension=looked.spectra,
        numeric_error=max(one.widening for one in looked.modes),
        verdicts=tuple(judge_group(name, members, generator, chosen.mass_slack) for name, members in named),
        seconds=looked.seconds,
    )


def _bootstrap(diagnosed: Sequence[PromptDiagnosis], mass_slack: float, generator: np.random.Generator) -> Bootstrap:
    found = np.array([one.mode.logprob_lower for one in diagnosed])

    def accuracy(values: list[float | bool | None]) -> Interval | None:
        known = np.array([float(value) for value in values if value is not None])
        return bootstrap(known, mean_of, generator, resamples=_RESAMPLES) if len(known) else None

    log_kappa = bootstrap(found, log_kappa_of, generator, resamples=_RESAMPLES)
    return Bootstrap(
        log_kappa,
        Interval(lower=math.exp(log_kappa.lower), upper=math.exp(log_kappa.upper), level=log_kappa.level),
        bootstrap((np.exp(found) <= 1 - mass_slack).astype(float), mean_of, generator, resamples=_RESAMPLES),
        accuracy([one.sample_accuracy for one in diagnosed]),
        accuracy([one.mode_correct for one in diagnosed]),
        _RESAMPLES,
    )
