"""What exact rounds from here would make of kappa, failure and accuracy (P8 iterated), at measured prompts.

Knows: what search and samples tell of each prompt. Refuses to know: formulas of its own, and whether a run makes exact
rounds.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from srlm import theory
from srlm.measure.split import MASS_SLACK, finite
from srlm.records.bracket import Bracket, Interval
from srlm.records.diagnosis import DiagnosisSetup, PromptDiagnosis
from srlm.records.forecast import Forecast, ForecastRecord, KnownResponses
from srlm.records.responses import ModeBracket, Response, Rollout

_BANDS = ("kappa", "failure_rate", "sample_accuracy")
LEVEL = 0.95  # of the intervals of `theory.forecast` and `theory.answer_forecast`
_MOST_ROUNDS = 100  # nobody plans more
_DIGITS = 9  # of a logarithm on disk: a billionth of each probability
_ASSUMES = (
    "every round is exact: the policy before it to the power 1 + 1/beta, renormalised; real rounds are not",
    "first an estimate from samples; [ ] is certain at these prompts; ( ) is a 95% bootstrap for prompts like these",
)


def known_at(rollout: Rollout, mode: ModeBracket) -> KnownResponses:
    """What a forecast needs of one prompt, graded."""
    best, outside = {one.tokens for one in mode.best}, mode.outside
    times, drawn = Counter(rollout.tokens), {one.tokens: one for one in rollout.responses}
    return KnownResponses(
        best=tuple(round(one.logprob, _DIGITS) for one in mode.best),
        certified=mode.certified,
        open_prefixes=tuple(round(one, _DIGITS) for one in outside.prefixes),
        dropped_mass=outside.mass,
        dropped_logprob=finite(outside.largest),
        samples=tuple(round(one.logprob, _DIGITS) for one in drawn.values()),
        times=tuple(times[tokens] for tokens in drawn),
        sample_known=tuple(tokens in best for tokens in drawn),
        best_right=_outcomes(mode.best),
        sample_right=_outcomes(list(drawn.values())),
        open_texts=outside.texts,
    )


def forecast(
    known: Sequence[KnownResponses], beta: float, rounds: int, *, mass_slack: float = MASS_SLACK, seed: int = 0
) -> tuple[ForecastRecord, ...]:
    """Rounds 0 to T at the prompts given.

    Args:
        known: one entry a prompt, P >= 1.
        rounds: T >= 0; of more than a hundred, the first hundred.

    Returns:
        One record a round; kappa and failure rate of round 0 are what the search says of the policy itself.
    """
    generator, last = np.random.default_rng([seed, 2]), min(rounds, _MOST_ROUNDS)
    steps = theory.forecast([_given(one) for one in known], beta, last, mass_slack=mass_slack, rng=generator)
    rivals = [-max(one.best[0], *_rivals(one)) for one in known]
    now = theory.mean_bracket(rivals, [-one.best[0] for one in known], mass_slack)
    point = np.clip(steps[0].log_kappa_point or 0.0, *now.log_kappa)
    left = {"kappa_interval": None, "failure_interval": None}  # a diagnosis has them, from the policy itself
    steps[0] = steps[0]._replace(**now._asdict(), log_kappa_point=point, **left)
    every = [[*one.best, *np.extract(np.logical_not(one.sample_known), one.samples)] for one in known]
    aims = theory.forecast([theory.KnownPrompt(one) for one in every], beta, last, projection=True)
    return tuple(
        forecast_record(
            step,
            projection_kappa=aim.kappa_point,
            sample_accuracy=None if step.sample_accuracy is None else Bracket.of(*step.sample_accuracy),
            sample_accuracy_point=None if step.sample_accuracy is None else min(1.0, step.sample_accuracy_point or 0.0),
        )
        for step, aim in zip(steps, aims, strict=True)
    )


def forecast_of(
    prompts: Sequence[PromptDiagnosis],
    of: DiagnosisSetup,
    widened: float,
    beta: float | None = None,
    rounds: int | None = None,
    mass_slack: float | None = None,
) -> Forecast:
    """The forecast of a diagnosis, and what it assumes.

    Args:
        prompts, of, widened: of the diagnosis: what is known at every prompt, its settings, its numeric error (nats).
        beta, rounds, mass_slack: as `forecast`; by default those of the diagnosis.
    """
    strength = (of.beta or 1.0) if beta is None else beta
    slack = of.mass_slack if mass_slack is None else mass_slack
    steps = forecast([one.known for one in prompts], strength, rounds or of.rounds or 1, mass_slack=slack, seed=of.seed)
    estimates = (f"[ ] is widened by {widened:.3g} nats for the precision: an estimate, and nothing certain",)
    return Forecast(beta=strength, rounds=steps, assumes=_ASSUMES + estimates * (widened > 0))


def forecast_run(
    measured: Iterable[tuple[str, Rollout, ModeBracket]], beta: float | None, rounds: int, seed: int
) -> dict[str, tuple[ForecastRecord, ...] | None]:
    """Fields `forecast` and `forecast_held_out` of a run's round 00, from split, rollout and mode of every prompt. beta
    is that of the exact round that an update stands for; None where there is none, and nothing is forecast.
    """
    known: dict[str, list[KnownResponses]] = {"train": [], "held_out": []}
    for split, rollout, mode in measured:
        known.setdefault(split, []).append(known_at(rollout, mode))
    trained, held_out = (
        forecast(known[name], beta, rounds, seed=seed) if beta is not None and known[name] else None
        for name in ("train", "held_out")
    )
    return {"forecast": trained, "forecast_held_out": held_out}


def _given(one: KnownResponses) -> theory.KnownPrompt:
    times = list(one.times)
    return theory.KnownPrompt(
        one.best,
        one.open_prefixes,
        np.repeat(one.samples, times),
        np.repeat(_counted_as_known(one), times),
        one.certified,
        (one.dropped_mass, -math.inf if one.dropped_logprob is None else one.dropped_logprob),
        one.best_right,
        None if one.sample_right is None else np.repeat(one.sample_right, times),
    )


def _counted_as_known(one: KnownResponses) -> list[bool]:
    """Which samples tell nothing of the mass outside the best. Where the mode is not proved all samples joined the
    best; there each is held against the others: one drawn once would be unknown without its own draw, unless the search
    must have met it, as it has met all that are likelier than everything left open.
    """
    if one.certified or not all(one.sample_known):
        return list(one.sample_known)
    return [times > 1 or logprob > max(_rivals(one)) for logprob, times in zip(one.samples, one.times, strict=True)]


def _rivals(one: KnownResponses) -> list[float]:
    """Log-probabilities of what may hold a likelier response than the best: nothing does where the mode is proved."""
    left = [*one.open_prefixes[:1], one.dropped_logprob]
    return [-math.inf] if one.certified else [-math.inf, *(value for value in left if value is not None)]


def forecast_record(step: theory.Forecast, confidence: float | None = None, **told: Any) -> ForecastRecord:
    """The record of one round; `confidence` is of the brackets of kappa and failure (None: they are proved)."""
    bands = zip(_BANDS, (step.kappa_interval, step.failure_interval, step.accuracy_interval), strict=True)
    return ForecastRecord(
        round=step.round,
        power=step.power,
        kappa=Bracket.of(*step.kappa, confidence),
        log_kappa=Bracket.of(*step.log_kappa, confidence),
        failure_rate=Bracket.of(*step.failure_rate, confidence),
        kappa_point=None if step.log_kappa_point is None else theory.from_log(step.log_kappa_point),
        log_kappa_point=step.log_kappa_point,
        **told,
        intervals={
            name: Interval(lower=float(band.lower), upper=float(band.upper), level=LEVEL)
            for name, band in bands
            if band is not None and math.isfinite(band.upper)
        },
    )


def _outcomes(responses: Sequence[Response]) -> tuple[bool, ...] | None:
    known = tuple(one.correct for one in responses if one.correct is not None)
    return known if len(known) == len(responses) else None
