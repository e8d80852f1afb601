"""The theory's statements against what a run measured: expected, measured, and whether it held.

Knows: rounds' records and the formulas of `srlm.theory`; the difference between a bound that was broken, one that held
and one that the recorded brackets leave open. Refuses to know: words, files, what a run was told.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from srlm import theory
from srlm.records.rounds import SPLITS, ExactnessRecord, RoundRecord, Split, SplitRecord

Statement = Literal["contraction", "exact_round", "margin", "modes_stay", "ceiling", "exactness"]
Outcome = Literal["held", "departed", "open", "note"]
Series = Sequence[tuple[int, SplitRecord]]


@dataclass(frozen=True, slots=True)
class Step:
    """One round: what was expected, and the ends between which the measured quantity lies. kappas are logarithms."""

    round: int
    expected: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Promise:
    """One statement of the theory against the run.

    Attributes:
        statement: "contraction": the upper end of an exact round's log kappa, from the round before (P8);
            "exact_round": its lower end, which a projection aims at; "margin": the median margin (nats) that exact
            rounds would reach (P3); "modes_stay": the share of modes that moved, against 0 (P5); "ceiling": the
            accuracy of samples, against that of the base model's modes (P5); "exactness": the share of scored prompts
            at which P4 is not refuted, against 1.
        split: the prompts it was measured on; None for all.
        outcome: "held", "departed", "open" (the brackets leave it undecided) or "note" (a comparison, not a test).
        steps: rounds that were compared; none where nothing was recorded.
        vacuous: no mode was certified, so that there is no margin and the bound says nothing.
    """

    statement: Statement
    split: Split | None
    outcome: Outcome
    steps: tuple[Step, ...]
    vacuous: bool = False


def promises(rounds: Sequence[RoundRecord], beta: float | None, *, comparison_only: bool = False) -> list[Promise]:
    """Each promise of the theory that the records can speak to, for every split that was measured.

    Args:
        rounds: records of rounds 0 to t.
        comparison_only: the rounds are none that the theory speaks of (P3 to P5 are about eq. 3 with the
            log-probability as reward), so that nothing is a test.
    """
    kept: list[Promise] = []
    for split in SPLITS:
        series = [(one.round, metrics) for one in rounds if (metrics := one.split(split)) is not None]
        if len(series) > 1:
            kept += [_contraction(series, split), *_exact_round(series, split), *_margin(series, split, beta)]
            kept += [*_modes_stay(series, split), *_ceiling(series, split)]
            if series[0][1].answers is not None:  # P10 is of exact answers, and majorities of draws are estimates
                kept = [replace(one, outcome="note") for one in kept if one.statement in ("modes_stay", "ceiling")]
    shares = [(one.round, one.certificate.prompts_holding) for one in rounds if one.certificate is not None]
    if shares:
        kept.append(Promise("exactness", None, "note", tuple(Step(number, 1.0, at, at) for number, at in shares)))
    return [replace(one, outcome="note") for one in kept] if comparison_only else kept


def refuted(certificate: ExactnessRecord) -> bool:
    """Whether contraction by P4 is refuted at some prompt; otherwise it is not refuted, which proves nothing."""
    return certificate.prompts_holding < 1 if certificate.refuted is None else certificate.refuted


def log_kappa(split: SplitRecord) -> tuple[float, float]:
    """Both ends of log kappa (nats); inf beyond what was recorded."""
    ends = split.kappa if split.log_kappa is None else split.log_kappa
    low, high = (math.inf if end is None else end for end in (ends.lower, ends.upper))
    return (math.log(low), math.log(high)) if split.log_kappa is None else (low, high)


def _steps(series: Series, end: Literal["lower", "upper"]) -> tuple[Step, ...]:
    """This end of log kappa after an exact round from the round before, against what was measured, for the rounds
    before which it says anything: where no mode was certified there is no margin.
    """
    told = [
        (number, ends and getattr(ends, end), log_kappa(after))
        for (_, before), (number, after) in pairwise(series)
        if before.certified_share != 0
        for ends in [before.population and before.population.log_exact_round]
    ]
    return tuple(Step(number, value, *ends) for number, value, ends in told if value is not None)


def _contraction(series: Series, split: Split) -> Promise:
    steps = _steps(series, "upper")
    if any(one.lower > one.expected for one in steps):
        return Promise("contraction", split, "departed", steps)
    held = bool(steps) and all(one.upper <= one.expected for one in steps)
    vacuous = not steps and any(one.certified_share == 0 for _, one in series[:-1])
    return Promise("contraction", split, "held" if held else "open", steps, vacuous)


def _exact_round(series: Series, split: Split) -> list[Promise]:
    steps = _steps(series, "lower")
    return [Promise("exact_round", split, "note", steps)] if steps else []


def _margin(series: Series, split: Split, beta: float | None) -> list[Promise]:
    (first, base), (last, now) = series[0], series[-1]
    if beta is None or base.median_margin is None or now.median_margin is None or base.certified_share == 0:
        return []
    exact = float(theory.population_margin(base.median_margin, beta, last - first))
    return [Promise("margin", split, "note", (Step(last, exact, now.median_margin, now.median_margin),))]


def _modes_stay(series: Series, split: Split) -> list[Promise]:
    last, drift = series[-1][0], series[-1][1].mode_drift
    if drift is None:
        return []
    return [Promise("modes_stay", split, "departed" if drift else "held", (Step(last, 0.0, drift, drift),))]


def _ceiling(series: Series, split: Split) -> list[Promise]:
    base, (last, now) = series[0][1], series[-1]
    ceiling, sample = base.accuracy.mode, now.accuracy.sample
    if ceiling is None or sample is None or base.certified_share == 0:
        return []
    return [Promise("ceiling", split, "note", (Step(last, ceiling, sample, sample),))]
