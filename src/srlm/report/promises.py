"""Each promise of the theory against what a run measured.

Knows: the theory's statements by their labels (theory.md), and the difference between a bound that was broken, one
that held, one that the recorded brackets leave open, and one that does not speak of this run: P3 to P5 are about eq. 3
with the log-probability as reward.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from srlm.records.rounds import Bracket, SplitRecord
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report.findings import NAMES, SPLITS
from srlm.report.reading import RunView, Split

Verdict = Literal["held", "departed", "open", "note"]


@dataclass(frozen=True, slots=True)
class Promise:
    """One statement of the theory against the run.

    Attributes:
        label: where it stands in theory.md, with what it says.
        expected, measured: in words.
        verdict: "held", "departed", "open" (the brackets leave it undecided) or "note" (a comparison, not a test).
    """

    label: str
    expected: str
    measured: str
    verdict: Verdict


def promises(run: RunView) -> list[Promise]:
    """Each promise of the theory that the records can speak to, for every split that was measured; for comparison only
    where the run is none that the theory speaks of.
    """
    found: list[Promise] = []
    for split in SPLITS:
        series = run.split(split)
        if len(series) < 2:
            continue
        found += [_contraction(series, split), *_exact_round(series, split), *_margin(run, series, split)]
        found += [*_still_modes(series, split), *_ceiling(series, split)]
    found += _certificate(run)
    return [replace(one, verdict="note") for one in found] if run.off_theory else found


def _contraction(series: list[tuple[int, SplitRecord]], split: Split) -> Promise:
    steps = _bounded_steps(series)
    label = f"P3, {NAMES[split]}: an exact round shrinks κ − 1 by at least exp(−margin/β)"
    if not steps and any(_unproved(one) for _, one in series[:-1]):
        return Promise(label, "vacuous: no mode was proved", numbers.kappa(series[-1][1]), "open")
    if not steps:
        return Promise(label, "not recorded", "not recorded", "open")
    expected = _listed(f"round {number}: κ at most {numbers.number(bound)}" for number, bound, _ in steps)
    measured = _listed(f"round {number}: {numbers.bracket(value)}" for number, _, value in steps)
    if any(value.lower > bound for _, bound, value in steps):
        verdict: Verdict = "departed"
    elif all(value.upper <= bound for _, bound, value in steps):
        verdict = "held"
    else:
        verdict = "open"
    return Promise(label, expected, measured, verdict)


def _listed(parts: Iterable[str]) -> str:
    """The parts in a row; of more than six the first two and the last two."""
    told = list(parts)
    return "; ".join(told if len(told) <= 6 else [*told[:2], "…", *told[-2:]])


def _bounded_steps(series: list[tuple[int, SplitRecord]]) -> list[tuple[int, float, Bracket]]:
    """(round, P3's bound from the round before, measured kappa) of every round that has one. Where no mode of the round
    before was proved there is no margin, and the bound says nothing.
    """
    return [
        (number, before.population.kappa_bound, after.kappa)
        for (_, before), (number, after) in pairwise(series)
        if before.population is not None and not _unproved(before)
    ]


def _unproved(metrics: SplitRecord) -> bool:
    return metrics.certified_share == 0


def _exact_round(series: list[tuple[int, SplitRecord]], split: Split) -> list[Promise]:
    steps = [
        (number, before.population.kappa_estimate, after.kappa)
        for (_, before), (number, after) in pairwise(series)
        if before.population is not None and before.population.kappa_estimate is not None and not _unproved(before)
    ]
    if not steps:
        return []
    expected = _listed(f"round {number}: about {numbers.number(value)}" for number, value, _ in steps)
    measured = _listed(f"round {number}: {numbers.bracket(value)}" for number, _, value in steps)
    label = f"The exact round itself, {NAMES[split]} (estimated from the samples of the round before; not a bound)"
    return [Promise(label, expected, measured, "note")]


def _margin(run: RunView, series: list[tuple[int, SplitRecord]], split: Split) -> list[Promise]:
    (first, base), (last, now) = series[0], series[-1]
    if run.beta is None or base.median_margin is None or now.median_margin is None or _unproved(base):
        return []
    exact = base.median_margin * (1 + 1 / run.beta) ** (last - first)
    return [
        Promise(
            f"P3, {NAMES[split]}: an exact round multiplies every margin by 1 + 1/β",
            f"median margin {numbers.number(base.median_margin)} becomes {numbers.number(exact)} nats",
            f"{numbers.number(now.median_margin)} nats",
            "note",
        )
    ]


def _still_modes(series: list[tuple[int, SplitRecord]], split: Split) -> list[Promise]:
    drift = series[-1][1].mode_drift
    if drift is None:
        return []
    return [
        Promise(
            f"P5, {NAMES[split]}: exact rounds never move a mode",
            "no mode differs from the base model's",
            f"{numbers.share(drift)} of the proved modes differ",
            "held" if drift == 0 else "departed",
        )
    ]


def _ceiling(series: list[tuple[int, SplitRecord]], split: Split) -> list[Promise]:
    ceiling, now = series[0][1].accuracy.mode, series[-1][1].accuracy
    if ceiling is None or now.sample is None or _unproved(series[0][1]):
        return []
    return [
        Promise(
            f"P5, {NAMES[split]}: samples converge to the accuracy of the base model's modes",
            f"heads for {numbers.share(ceiling)}",
            f"samples {numbers.share(now.sample)}, modes now {numbers.share(now.mode)}",
            "note",
        )
    ]


def _certificate(run: RunView) -> list[Promise]:
    steps = [(one.round, one.certificate) for one in run.rounds if one.certificate is not None]
    if not steps:
        return []
    measured = _listed(
        f"round {number}: at {numbers.share(one.prompts_holding)} of the scored prompts (worst error "
        f"{numbers.number(one.eps)} nats)"
        for number, one in steps
    )
    label = "P4: κ shrinks for certain where an update misses the exact one by less than margin/β"
    return [Promise(label, "a miss below margin/β at every prompt", measured, "note")]


def theory_sentence(run: RunView) -> str:
    """Whether the theory held, in a sentence or two."""
    found = promises(run)
    if not found:
        return "With the base model alone there is nothing to hold the theory against yet."
    if run.off_theory:
        return (
            "The theory speaks of eq. 3 with the log-probability as reward; this run had "
            f"{visible(run.off_theory, 200)}. Its statements stand below for comparison only."
        )
    steps: list[tuple[Split, int, float, Bracket]] = []
    for split in SPLITS:
        for number, bound, value in _bounded_steps(run.split(split)):
            steps.append((split, number, bound, value))
    above = [step for step in steps if step[3].lower > step[2]]
    if above:
        told = ", ".join(
            f"{NAMES[split]} in round {number} ({numbers.bracket(value)} against at most {numbers.number(bound)})"
            for split, number, bound, value in above
        )
        text = (
            f"κ went above the theory's bound (P3) on {told}: that update was not the exact one the theory speaks of."
        )
    elif steps and all(value.upper <= bound for _, _, bound, value in steps):
        text = "κ stayed within the theory's bound (P3) after every round."
    elif not steps and all(_unproved(one) for split in SPLITS for _, one in run.split(split)[:-1]):
        text = (
            "No mode was proved, so the theory's bounds say nothing of this run: they are vacuous. Let it expand "
            "prefixes (max_expansions) to hold it against them."
        )
    else:
        text = "The records do not decide whether κ stayed within the theory's bound (P3)."
    drift = [series[-1][1].mode_drift for split in SPLITS if (series := run.split(split))]
    moved = [value for value in drift if value]
    if moved:
        text += (
            f" The theory's exact rounds never move a mode (P5); here up to {numbers.share(max(moved))} of the modes "
            "moved, so this run sharpened towards partly new favourites, and its ceiling is no longer the base "
            "model's modes."
        )
    elif any(value == 0 for value in drift):
        text += " No proved mode moved (P5): the run sharpened what the base model already preferred."
    return text
