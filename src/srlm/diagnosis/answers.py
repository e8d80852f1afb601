"""Diagnose at the level of answers: draw, read, certify, and say whether rewarding answers will help. No search, no
training.

Knows: the order of the work. Refuses to know: how anything is measured or judged (`srlm.measure`), which engine draws.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from srlm.diagnosis.settings import ENDPOINT, DiagnosisSettings
from srlm.engines.drawing import draw_until_certain
from srlm.engines.engine import Draw, Encoded, Sampler
from srlm.lm.subject import settings_of
from srlm.measure.answer_forecast import chosen_beta, forecast_answers
from srlm.measure.answers import measure_answers
from srlm.measure.majorities import majorities
from srlm.measure.votes import accuracy_of_votes, break_even, judge_answers, probability_of, surer_of_wrong
from srlm.records.answer_diagnosis import AnswerCount, AnswerDiagnosis, AnswerPrompt, MajorityAnswer
from srlm.records.answers import Majority
from srlm.records.forecast import Forecast
from srlm.records.progress import Observer
from srlm.records.responses import Rollout
from srlm.tasks.answers import answer_rule
from srlm.tasks.prompts import Prompt
from srlm.tasks.readable import require_answers, require_readable

_GROUP = "kind"
_PASSES = 4.0  # the default of `num_train_epochs`


def diagnose_answers(
    sampler: Sampler,
    prompts: Sequence[Prompt],
    encoded: Sequence[Encoded],
    chosen: DiagnosisSettings,
    about: dict[str, Any],
    observer: Observer,
) -> AnswerDiagnosis:
    """The diagnosis of what a sampler draws.

    Args:
        sampler: of the policy.
        prompts, encoded: to draw at, P >= 1.
        chosen: how to measure.
        about: `model`, `checksum` and `settings` of the record.
        observer: is told about every stage.

    Raises:
        InputError: an accepted answer that its rule cannot read; no answer in more than half of the responses.
    """
    rule = answer_rule(chosen.answers or "auto")
    require_readable(prompts, rule)
    began = time.perf_counter()
    observer.stage(0, "sample", len(prompts))
    ask = Draw(chosen.samples, chosen.max_new_tokens, chosen.seed, 0, greedy=True)
    if chosen.until_certain:
        drawn = draw_until_certain(
            sampler, prompts, encoded, ask, rule, [None] * len(prompts), chosen.confidence, len(prompts),
            observer.advance,
        )  # fmt: skip
    else:
        drawn = sampler.draw(encoded, ask, observer.advance)
        drawn = [prompt.answered_rollout(one, rule) for prompt, one in zip(prompts, drawn, strict=True)]
    sampled = time.perf_counter() - began
    require_answers(drawn, rule, go_on=chosen.accept_unreadable)
    began, now = time.perf_counter(), majorities(drawn, None, chosen.confidence)
    budget = chosen.samples if chosen.until_certain else None
    split = measure_answers(drawn, now, now, chosen.confidence, chosen.mass_slack, budget=budget)
    if split is None or split.answers is None:
        raise ValueError("there is no prompt to diagnose")
    generator, accuracy = np.random.default_rng([chosen.seed, 1]), accuracy_of_votes(now, drawn, split)
    forecast = _forecast(now, drawn, chosen)
    return AnswerDiagnosis(
        **about,
        prompts=tuple(_prompt(*each, chosen.confidence) for each in zip(prompts, drawn, now, strict=True)),
        measured=split,
        kappa=split.kappa,
        log_kappa=split.log_kappa,
        kappa_estimate=split.answers.kappa_estimate,
        failure_rate=split.failure_rate,
        unparseable_share=split.answers.unparseable_share,
        accuracy=accuracy,
        surer_of_wrong=surer_of_wrong(now),
        forecast=forecast,
        break_even=forecast
        and break_even(accuracy, forecast.rounds[-1], len(prompts), chosen.samples, passes_of(about["model"])),
        verdict=judge_answers(now, drawn, accuracy, generator),
        seconds={"sample": sampled, "measure": time.perf_counter() - began},
    )


def passes_of(model: str) -> float:
    """Passes over a round's responses that a run of this model makes unless it is told otherwise."""
    return settings_of(model).get("num_train_epochs", _PASSES)


def setup_of(source: Any, gate: int, chosen: DiagnosisSettings, **facts: Any) -> dict[str, Any]:
    """What a diagnosis of answers says of how it was made."""
    left_out = ("expansions", "spectra", *ENDPOINT)
    told = {name: value for name, value in asdict(chosen).items() if name not in left_out}
    return {"prompts": source if isinstance(source, str) else "records", "gate_prompts": gate, **told, **facts}


def _forecast(now: Sequence[Majority], drawn: Sequence[Rollout], chosen: DiagnosisSettings) -> Forecast | None:
    beta, draws = chosen_beta(now) if chosen.beta is None else chosen.beta, chosen.samples
    steps = forecast_answers(
        now, drawn, beta, chosen.rounds, chosen.confidence, draws=draws, mass_slack=chosen.mass_slack, seed=chosen.seed
    )
    if not steps:
        return None
    assumes = (
        f"every round is a plug-in round: weights (c/K)^(1/beta) of K = {draws} draws, reached exactly (P10)",
        "estimates take shares of the draws for probabilities; kappa and failure rest on certificates, accuracy on a "
        "95% bootstrap over prompts like these",
        "what training carries over from one prompt to others is not in it; draws without an answer count as wrong "
        "now, and are forecast to be gone after a round",
    )
    return Forecast(beta=beta, rounds=steps, assumes=assumes)


def _prompt(prompt: Prompt, rollout: Rollout, one: Majority, confidence: float) -> AnswerPrompt:
    marks = [float(each.correct) for each in rollout.responses if each.correct is not None]
    greedy = rollout.greedy
    return AnswerPrompt(
        prompt=prompt.text,
        group=str(prompt.columns.get(_GROUP, "all")),
        accepted=prompt.answers,
        answers=tuple(AnswerCount(answer=answer, count=count) for answer, count in one.counts),
        majority=MajorityAnswer(
            answer=one.leader,
            certified=one.certified,
            proved=one.proved,
            probability=probability_of(one, confidence),
            correct=one.correct,
        ),
        greedy=None if greedy is None else greedy.answer,
        greedy_correct=None if greedy is None else greedy.correct,
        draws=one.draws,
        unparseable=one.draws - one.parsed,
        sample_accuracy=sum(marks) / len(marks) if marks else None,
    )
