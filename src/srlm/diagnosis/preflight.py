"""Diagnose: sample, find the modes, look at the features, and say whether self-rewarding will help. No training.

Knows: the order of the work. Measures and verdicts live in the modules beside this one.
"""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from srlm.diagnosis.degenerate import MARKS, marks_of
from srlm.diagnosis.record import Bootstrap, Diagnosis, PromptDiagnosis, Reply, SampleFacts
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.diagnosis.spectra import describe_spectra
from srlm.diagnosis.strategies import best_of_n, majority, self_judgement
from srlm.diagnosis.uncertainty import Interval, bootstrap, exp, log_kappa_of, mean_of, share
from srlm.diagnosis.verdict import accuracy_of, judge_group, statistics_of
from srlm.errors import InputError
from srlm.lm._frontier import Complete
from srlm.lm.loading import EMBEDDED_MODEL, LoadedModel, as_loaded, load_model
from srlm.lm.mode_search import ModeBracket, search_modes
from srlm.lm.precision import locate_nan, measured_error, widened
from srlm.lm.prompts import BUNDLED, Prompt, as_prompts, encode_prompts, load_prompts
from srlm.lm.sampling import Response, draw_uniforms, sample_responses
from srlm.lm.scoring import has_tree_attention

EVERYTHING = "all"
_RESAMPLES = 2000
# Distinguishes this stream of random numbers from those of rounds, which use the round's number.
_STREAM = 0

Progress = Callable[[str, int, int], None]


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
    progress: Progress | None = None,
) -> Diagnosis:
    """Say before any training what self-rewarding would make of a model on these prompts.

    Args:
        model: a name for `load_model`, a `LoadedModel`, or a bare model with its tokenizer in `processing_class`.
        prompts: a source for `load_prompts`, or records with a `prompt`.
        settings: how to measure.
        limit: use at most this many prompts.
        dtype, device, trust_remote_code: as for `load_model`, where `model` is a name.
        processing_class: the tokenizer of a bare model.
        progress: called with (stage, done, in all).

    Returns:
        The diagnosis; brackets are honest whatever the budget was.

    Raises:
        InputError: anything given that cannot be used, a model that returns NaN included (with the layer).
    """
    chosen = settings or DiagnosisSettings()
    tell: Progress = progress or (lambda stage, done, total: None)
    asked = load_prompts(prompts, limit=limit, held_out=0.0) if isinstance(prompts, str) else as_prompts(prompts)
    asked = asked[:limit]
    loaded = (
        load_model(model, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        if isinstance(model, str)
        else as_loaded(model, processing_class)
    )
    encoded = encode_prompts(asked, loaded, max_new_tokens=chosen.max_new_tokens, raw=chosen.raw_prompts)
    measured = _measure(loaded, encoded, chosen, tell)
    texts = [[_text(loaded, one.tokens) for one in drawn] for drawn in measured.responses]
    outcomes = [[prompt.grade(said) for said in told] for prompt, told in zip(asked, texts, strict=True)]
    diagnosed = [
        _diagnose_prompt(loaded, *one)
        for one in zip(asked, measured.responses, texts, outcomes, measured.brackets, strict=True)
    ]
    return _assemble(loaded, diagnosed, outcomes, measured, chosen, prompts if isinstance(prompts, str) else "records")


@dataclass(frozen=True, slots=True)
class _Measured:
    responses: list[list[Response]]
    brackets: list[ModeBracket]
    spectra: dict[str, Any]
    error: float
    seconds: dict[str, float]


def _measure(loaded: LoadedModel, encoded: list[list[int]], chosen: DiagnosisSettings, tell: Progress) -> _Measured:
    """Everything that runs the model."""
    seconds: dict[str, float] = {}
    try:
        began = time.perf_counter()
        tell("sampling", 0, len(encoded))
        tree = has_tree_attention(loaded.model)
        responses = sample_responses(
            loaded.model,
            encoded,
            draw_uniforms(chosen.seed, _STREAM, range(len(encoded)), chosen.samples, chosen.max_new_tokens),
            end_token_ids=loaded.end_token_ids,
            tree_attention=tree,
            progress=lambda done, total: tell("sampling", done, total),
        )
        seconds["sample"], began = time.perf_counter() - began, time.perf_counter()
        tell("finding modes", 0, len(encoded))
        brackets = search_modes(
            loaded.model,
            encoded,
            max_new_tokens=chosen.max_new_tokens,
            end_token_ids=loaded.end_token_ids,
            known=[[Complete(one.tokens, one.logprob, one.ended) for one in drawn] for drawn in responses],
            max_expansions=chosen.expansions,
            progress=lambda done, total: tell("finding modes", done, total),
        )
        groups = [(ids, [one.mode.tokens]) for ids, one in zip(encoded, brackets, strict=True)]
        error = measured_error(loaded.model, groups, [[one.mode.logprob] for one in brackets])
        brackets = [widened(one, error) for one in brackets]
        seconds["certify"], began = time.perf_counter() - began, time.perf_counter()
        spectra: dict[str, Any] = {}
        if chosen.spectra:
            drawn = [[one.tokens for one in answers] for answers in responses]
            spectra = describe_spectra(
                loaded.model,
                list(zip(encoded, drawn, strict=True)),
                tree_attention=tree,
                progress=lambda done, total: tell("spectra", done, total),
            )
            seconds["spectra"] = time.perf_counter() - began
    except FloatingPointError as error:
        raise InputError(_what_is_nan(loaded, encoded)) from error
    return _Measured(responses, brackets, spectra, error, seconds)


def _what_is_nan(loaded: LoadedModel, encoded: list[list[int]]) -> str:
    found = locate_nan(loaded.model, encoded)
    where = f"after prompt {found.prompt}" if found else "after some response"
    layer = f"; the first such values come from {found.module}" if found and found.module else ""
    return (
        f"model {loaded.name!r} returns logits that are not numbers {where}{layer}; check its weights, or use "
        "--dtype float32"
    )


def _diagnose_prompt(
    loaded: LoadedModel,
    prompt: Prompt,
    responses: Sequence[Response],
    texts: Sequence[str],
    outcomes: Sequence[bool | None],
    bracket: ModeBracket,
) -> PromptDiagnosis:
    def reply(one: Complete, lower: float, upper: float) -> Reply:
        said = _text(loaded, one.tokens)
        return Reply(said, lower, upper, len(one.tokens), one.ended, marks_of(one.tokens, said, one.ended))

    mode = reply(bracket.mode, bracket.logprob_lower, bracket.logprob_upper)
    greedy = reply(bracket.greedy, bracket.greedy.logprob, bracket.greedy.logprob)
    facts = SampleFacts(
        len(responses),
        len({one.tokens for one in responses}),
        float(np.mean([len(one.tokens) for one in responses])),
        float(np.mean([not one.ended for one in responses])),
        float(np.mean([one.entropy for one in responses])),
        float(np.mean([one.logprob for one in responses])),
    )
    return PromptDiagnosis(
        prompt=prompt.text,
        group=str(prompt.columns.get("kind", EVERYTHING)),
        answers=prompt.answers,
        mode=mode,
        certified=bracket.certified,
        greedy=greedy,
        greedy_is_mode=_is_mode(bracket),
        margin_lower=bracket.margin_lower,
        runner_up=None if bracket.runner_up is None else _text(loaded, bracket.runner_up.tokens),
        expansions=bracket.expansions,
        mode_correct=prompt.grade(mode.text),
        greedy_correct=prompt.grade(greedy.text),
        best_of_n_correct=outcomes[best_of_n(responses)],
        majority_correct=outcomes[majority(texts, responses)],
        sample_accuracy=share(outcomes),
        samples=facts,
    )


def _text(loaded: LoadedModel, tokens: Sequence[int]) -> str:
    return str(loaded.tokenizer.decode(list(tokens), skip_special_tokens=True))


def _is_mode(bracket: ModeBracket) -> bool | None:
    """Whether greedy decoding found the mode: proved, disproved by a likelier response, or open."""
    if bracket.certified and bracket.greedy.tokens == bracket.mode.tokens:
        return True
    # `logprob_lower` was lowered by what precision may hide, and greedy's own value may be off by as much.
    hidden = bracket.mode.logprob - bracket.logprob_lower
    if bracket.greedy.logprob + hidden < bracket.logprob_lower:
        return False
    return True if bracket.certified and bracket.greedy.logprob >= bracket.mode.logprob else None


def _assemble(
    loaded: LoadedModel,
    diagnosed: Sequence[PromptDiagnosis],
    outcomes: Sequence[Sequence[bool | None]],
    measured: _Measured,
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
        judgement=self_judgement([[one.logprob for one in drawn] for drawn in measured.responses], outcomes),
        marks={mark: sum(mark in one.mode.marks for one in diagnosed) for mark in MARKS},
        effective_dimension=measured.spectra,
        numeric_error=measured.error,
        verdicts=tuple(judge_group(name, members, generator, chosen.mass_slack) for name, members in named),
        seconds=measured.seconds,
    )


def _bootstrap(diagnosed: Sequence[PromptDiagnosis], mass_slack: float, generator: np.random.Generator) -> Bootstrap:
    found = np.array([one.mode.logprob_lower for one in diagnosed])

    def accuracy(values: list[float | bool | None]) -> Interval | None:
        known = np.array([float(value) for value in values if value is not None])
        return bootstrap(known, mean_of, generator, resamples=_RESAMPLES) if len(known) else None

    log_kappa = bootstrap(found, log_kappa_of, generator, resamples=_RESAMPLES)
    return Bootstrap(
        log_kappa,
        Interval(exp(log_kappa.lower), exp(log_kappa.upper), log_kappa.level),
        bootstrap((np.exp(found) <= 1 - mass_slack).astype(float), mean_of, generator, resamples=_RESAMPLES),
        accuracy([one.sample_accuracy for one in diagnosed]),
        accuracy([one.mode_correct for one in diagnosed]),
        _RESAMPLES,
    )
