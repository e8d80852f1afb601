"""What a run amounts to, in words: the headline, its figures, and each promise of the theory against what was measured.

Knows: the theory's statements by their labels (theory.md), and the difference between a bound that was broken, one
that held, and one that the recorded brackets leave open. Writes nothing that is not in the records.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from srlm.records.schema import Bracket, SplitMetrics
from srlm.report import numbers
from srlm.report.reading import Answer, RunView, Split

Verdict = Literal["held", "departed", "open", "note"]
_NAMES: dict[Split, str] = {"train": "trained prompts", "held_out": "held-out prompts"}
_SPLITS: tuple[Split, ...] = ("train", "held_out")


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the summary: what it is, at the base model, at the last round, and what it means."""

    name: str
    before: str
    after: str
    meaning: str


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


def headline(run: RunView) -> str:
    """The run in one sentence."""
    series = run.split(run.main_split())
    if not series:
        return "No round has been measured yet"
    last, now = series[-1]
    if last == 0:
        return f"The base model: condition number κ = {numbers.kappa(now)}"
    _, base = series[0]
    rounds = numbers.plural(last, "round")
    if now.kappa.upper < base.kappa.lower:
        return f"κ fell from {numbers.kappa(base)} to {numbers.kappa(now)} in {rounds}"
    if now.kappa.lower > base.kappa.upper:
        return f"κ rose from {numbers.kappa(base)} to {numbers.kappa(now)} in {rounds}"
    return f"κ was {numbers.kappa(base)} and is {numbers.kappa(now)} after {rounds}: no certain change"


def standfirst(run: RunView) -> list[str]:
    """Two to four sentences under the headline: what it means, whether it carried over, whether answers got better."""
    series = run.split(run.main_split())
    if not series:
        return ["The page will fill as rounds complete."]
    last, now = series[-1]
    said = [
        "κ is the number of samples it takes, on average over prompts, to see the model's own favourite response "
        "once; at 1 the model always gives it."
    ]
    held = run.split("held_out")
    if last and run.main_split() == "train" and held:
        said.append(
            f"On prompts never trained on, κ went from {numbers.kappa(held[0][1])} to {numbers.kappa(held[-1][1])}."
        )
    if last:
        said += [text for name in _SPLITS if (text := _accuracy_sentence(run, name))]
    elif now.accuracy.sample is not None:
        said.append(
            f"Of its samples {numbers.share(now.accuracy.sample)} are right, of its modes "
            f"{numbers.share(now.accuracy.mode)}."
        )
    return said


def _accuracy_sentence(run: RunView, split: Split) -> str | None:
    series = run.split(split)
    if len(series) < 2 or series[0][1].accuracy.sample is None or series[-1][1].accuracy.sample is None:
        return None
    before, after = series[0][1].accuracy.sample, series[-1][1].accuracy.sample
    greedy = [series[0][1].accuracy.greedy, series[-1][1].accuracy.greedy]
    text = (
        f"On {_NAMES[split]}, {numbers.share(before)} of samples were right before and {numbers.share(after)} are now"
    )
    modes = [series[0][1].accuracy.mode, series[-1][1].accuracy.mode]
    if greedy[0] is not None and greedy[1] is not None:
        text += f"; greedy answers went from {numbers.share(greedy[0])} to {numbers.share(greedy[1])}"
    if modes[0] is not None and modes[1] is not None:
        text += f", the favourite responses from {numbers.share(modes[0])} to {numbers.share(modes[1])}"
    return text + "."


def facts(run: RunView) -> list[Fact]:
    """The figures a reader should take away, trained prompts before held-out ones."""
    found: list[Fact] = []
    for split in _SPLITS:
        series = run.split(split)
        if not series:
            continue
        base, now = series[0][1], series[-1][1]
        where = _NAMES[split]
        found.append(
            Fact(f"Condition number κ, {where}", numbers.kappa(base), numbers.kappa(now), "1 is certain of itself")
        )
        found.append(
            Fact(
                f"Failure rate, {where}",
                numbers.share_bracket(base.failure_rate),
                numbers.share_bracket(now.failure_rate),
                "prompts whose favourite response has probability at most ½",
            )
        )
        if now.accuracy.sample is not None:
            found.append(
                Fact(
                    f"Right samples, {where}",
                    numbers.share(base.accuracy.sample),
                    numbers.share(now.accuracy.sample),
                    "drawn at temperature 1, nothing cut",
                )
            )
    return found


def promises(run: RunView) -> list[Promise]:
    """Each promise of the theory that the records can speak to, for every split that was measured."""
    found: list[Promise] = []
    for split in _SPLITS:
        series = run.split(split)
        if len(series) < 2:
            continue
        found += [_contraction(series, split), *_exact_round(series, split), *_margin(run, series, split)]
        found += [*_still_modes(series, split), *_ceiling(series, split)]
    return found


def _contraction(series: list[tuple[int, SplitMetrics]], split: Split) -> Promise:
    steps = _bounded_steps(series)
    label = f"P3, {_NAMES[split]}: an exact round shrinks κ − 1 by at least exp(−margin/β)"
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


def _bounded_steps(series: list[tuple[int, SplitMetrics]]) -> list[tuple[int, float, Bracket]]:
    """(round, P3's bound from the round before, measured kappa) of every round that has one."""
    return [
        (number, before.population.kappa_bound, after.kappa)
        for (_, before), (number, after) in pairwise(series)
        if before.population is not None
    ]


def _exact_round(series: list[tuple[int, SplitMetrics]], split: Split) -> list[Promise]:
    steps = [
        (number, before.population.kappa_estimate, after.kappa)
        for (_, before), (number, after) in pairwise(series)
        if before.population is not None and before.population.kappa_estimate is not None
    ]
    if not steps:
        return []
    expected = _listed(f"round {number}: about {numbers.number(value)}" for number, value, _ in steps)
    measured = _listed(f"round {number}: {numbers.bracket(value)}" for number, _, value in steps)
    label = f"The exact round itself, {_NAMES[split]} (estimated from the samples of the round before; not a bound)"
    return [Promise(label, expected, measured, "note")]


def _margin(run: RunView, series: list[tuple[int, SplitMetrics]], split: Split) -> list[Promise]:
    (first, base), (last, now) = series[0], series[-1]
    if run.beta is None or base.median_margin is None or now.median_margin is None:
        return []
    exact = base.median_margin * (1 + 1 / run.beta) ** (last - first)
    return [
        Promise(
            f"P3, {_NAMES[split]}: an exact round multiplies every margin by 1 + 1/β",
            f"median margin {numbers.number(base.median_margin)} becomes {numbers.number(exact)} nats",
            f"{numbers.number(now.median_margin)} nats",
            "note",
        )
    ]


def _still_modes(series: list[tuple[int, SplitMetrics]], split: Split) -> list[Promise]:
    drift = series[-1][1].mode_drift
    if drift is None:
        return []
    return [
        Promise(
            f"P5, {_NAMES[split]}: exact rounds never move a mode",
            "no mode differs from the base model's",
            f"{numbers.share(drift)} of the proved modes differ",
            "held" if drift == 0 else "departed",
        )
    ]


def _ceiling(series: list[tuple[int, SplitMetrics]], split: Split) -> list[Promise]:
    ceiling, now = series[0][1].accuracy.mode, series[-1][1].accuracy
    if ceiling is None or now.sample is None:
        return []
    return [
        Promise(
            f"P5, {_NAMES[split]}: samples converge to the accuracy of the base model's modes",
            f"heads for {numbers.share(ceiling)}",
            f"samples {numbers.share(now.sample)}, modes now {numbers.share(now.mode)}",
            "note",
        )
    ]


def theory_sentence(run: RunView) -> str:
    """Whether the theory held, in a sentence or two."""
    found = promises(run)
    if not found:
        return "With the base model alone there is nothing to hold the theory against yet."
    steps: list[tuple[Split, int, float, Bracket]] = []
    for split in _SPLITS:
        for number, bound, value in _bounded_steps(run.split(split)):
            steps.append((split, number, bound, value))
    above = [step for step in steps if step[3].lower > step[2]]
    if above:
        told = ", ".join(
            f"{_NAMES[split]} in round {number} ({numbers.bracket(value)} against at most {numbers.number(bound)})"
            for split, number, bound, value in above
        )
        text = (
            f"κ went above the theory's bound (P3) on {told}: that update was not the exact one the theory speaks of."
        )
    elif steps and all(value.upper <= bound for _, _, bound, value in steps):
        text = "κ stayed within the theory's bound (P3) after every round."
    else:
        text = "The records do not decide whether κ stayed within the theory's bound (P3)."
    drift = [series[-1][1].mode_drift for split in _SPLITS if (series := run.split(split))]
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


def caveats(run: RunView) -> list[str]:
    """What a careful reader should keep in mind."""
    said: list[str] = []
    for split in _SPLITS:
        series = run.split(split)
        if not series:
            continue
        now = series[-1][1]
        if now.prompts:
            said.append(
                f"There are {numbers.plural(now.prompts, _NAMES[split][:-1])}: one prompt more or less is "
                f"{100 / now.prompts:.1f} percentage points of greedy or mode accuracy."
            )
        open_rounds = [number for number, one in series if one.certified_share is not None and one.certified_share < 1]
        if open_rounds:
            listed = ", ".join(str(number) for number in open_rounds)
            said.append(
                f"On {_NAMES[split]} some modes were not proved in round {listed}: what rests on them (κ, failure "
                "rate, minimum confidence) is a bracket that contains the true value."
            )
    if any(series and series[-1][1].certified_share == 1 for series in (run.split("train"), run.split("held_out"))):
        said.append(
            "Where every mode was proved by exhaustive search, κ and the failure rate are exact for these prompts, "
            "not estimates; other prompts would give other numbers."
        )
    if not run.split("held_out"):
        said.append("No prompts were held out: nothing here says how the model does on prompts it was not trained on.")
    said.append(
        "Sharpening makes latent ability the habit; it teaches nothing new. P3 and P5 speak of exact rounds; "
        "training by gradient steps on a few samples is not exact, and the page says where it shows."
    )
    return said


def changes(answers: tuple[Answer, ...], split: Split) -> str | None:
    """How many greedy answers turned right and how many turned wrong."""
    marks = [(one.base.greedy.correct, one.last.greedy.correct) for one in answers if one.split == split]
    known = [(before, after) for before, after in marks if before is not None and after is not None]
    if not known:
        return None
    gained, lost = sum(not b and a for b, a in known), sum(b and not a for b, a in known)
    return f"Of {len(known)} greedy answers to {_NAMES[split]}, {gained} turned right and {lost} turned wrong."
