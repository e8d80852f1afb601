"""Each promise of the theory against what a run measured, in words.

Knows: how to say what `srlm.measure.promises` compares. Refuses to know: how it is compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from srlm.measure.promises import Outcome, Promise, Statement, Step, promises, refuted
from srlm.records.rounds import ExactnessRecord, Split
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.reading import RunView

_LABELS: dict[Statement, str] = {
    "contraction": "P8, {}: κ is at most the upper end of an exact round from the round before",
    "exact_round": "P8, {}: the lower end of that exact round, which a projection onto all that is known aims at",
    "margin": "P3, {}: an exact round multiplies every margin by 1 + 1/β",
    "modes_stay": "P5, {}: exact rounds never move a mode",
    "ceiling": "P5, {}: samples converge to the accuracy of the base model's modes",
    "exactness": "P4: κ shrinks for certain where an update misses the exact one by less than margin/β",
}
# At the level of answers, where P10 carries P5 over to exact rounds and nothing is a test of it.
_ANSWER_LABELS: dict[Statement, str] = {
    "modes_stay": "P10, {}: exact rounds never move a majority",
    "ceiling": "P10, {}: samples converge to the accuracy of the base model's majorities, the ceiling",
}


@dataclass(frozen=True, slots=True)
class PromiseText:
    """One statement of the theory against the run: where it stands with what it says, expected and measured in words,
    and the verdict as `Promise.outcome`.
    """

    label: str
    expected: str
    measured: str
    verdict: Outcome


def promises_of(run: RunView) -> list[Promise]:
    """The run's promises as values."""
    return promises(run.rounds, run.beta, comparison_only=run.off_theory is not None)


def promise_texts(run: RunView) -> list[PromiseText]:
    """The run's promises in words; none of a run that another program trained."""
    if run.watched:
        return []
    labels = _LABELS | (_ANSWER_LABELS if run.of_answers else {})
    return [
        PromiseText(labels[one.statement].format(one.split and NAMES[one.split]), *_words(run, one), one.outcome)
        for one in promises_of(run)
    ]


def _words(run: RunView, one: Promise) -> tuple[str, str]:
    """(expected, measured)."""
    series = run.split(one.split) if one.split else []
    if one.vacuous:
        return f"vacuous: no mode was {numbers.proved(run.widened)}", numbers.kappa(series[-1][1])
    if not one.steps:
        return "not recorded", "not recorded"
    last = one.steps[-1]
    match one.statement:
        case "contraction" | "exact_round":
            what = "κ at most" if one.statement == "contraction" else "κ"
            expected = _listed(f"round {step.round}: {what} {numbers.from_log(step.expected)}" for step in one.steps)
            measured = _listed(f"round {step.round}: {_kappa(step)}" for step in one.steps)
            return expected, measured + (" (estimates)" if run.widened else "")
        case "margin":
            base = numbers.number(series[0][1].median_margin)
            becomes = f"median margin {base} becomes {numbers.number(last.expected)} nats"
            return becomes, f"{numbers.number(last.upper)} nats"
        case "modes_stay" if run.of_answers:
            moved = f"{numbers.measured(series[-1][1], 'mode_drift')} of the majorities drawn differ"
            return "no majority differs from the base model's", moved
        case "modes_stay":
            moved = f"{numbers.measured(series[-1][1], 'mode_drift')} of the {numbers.proved(run.widened)} modes differ"
            return "no mode differs from the base model's", moved
        case "ceiling":
            samples, modes = (numbers.measured(series[-1][1], f"{way}_accuracy") for way in ("sample", "mode"))
            now = f"samples {samples}, {run.modes_name} now {modes}"
            return f"heads for {numbers.measured(series[0][1], 'mode_accuracy')}", now
        case "exactness":
            scored = [(one.round, one.certificate) for one in run.rounds if one.certificate is not None]
            return "not refuted: a miss below margin/β at every scored prompt", _listed(
                f"round {number}: {_refuted(p4)} (worst error {numbers.number(p4.eps)} nats)" for number, p4 in scored
            )


def _refuted(p4: ExactnessRecord) -> str:
    return f"refuted at {numbers.share(1 - p4.prompts_holding)} of the prompts" if refuted(p4) else "not refuted"


def _kappa(step: Step) -> str:
    return numbers.between(numbers.from_log(step.lower), numbers.from_log(step.upper))


def _listed(parts: Iterable[str]) -> str:
    """The parts in a row; of more than six the first two and the last two."""
    every = list(parts)
    return "; ".join(every if len(every) <= 6 else [*every[:2], "…", *every[-2:]])


_OF_RESPONSES = "The theory speaks of eq. 3, or the projection, with the log-probability as reward"
_OF_ANSWERS = "The theory (P10) speaks of rounds with the log-probability of the answer as reward"


def _of_answers(kept: Sequence[Promise]) -> str:
    """What P10 claims of exact rounds alone, and how far the majorities moved."""
    text = (
        "P10: an exact round with the log-probability of the answer as reward raises every answer's share to the power "
        "1 + 1/β, so κ_A falls as P3 says, no majority moves and samples end at the ceiling. These rounds know shares "
        "from a few draws only, so nothing of that is promised of them, and no bound is checked here"
    )
    moved = [one.steps[-1].upper for one in kept if one.statement == "modes_stay"]
    if not moved:
        return f"{text}."
    return f"{text}; up to {numbers.share(max(moved))} of the majorities moved (near a tie draws alone move one)."


def theory_sentence(run: RunView) -> str:
    """Whether the theory held, in a sentence or two."""
    kept = promises_of(run)
    if run.watched:
        return ""
    if not kept:
        return "With the base model alone there is nothing to hold the theory against yet."
    if run.off_theory:
        return (
            f"{_OF_ANSWERS if run.of_answers else _OF_RESPONSES}; this run had {visible(run.off_theory, 200)}. Its "
            "statements stand below for comparison only."
        )
    if run.of_answers:
        return _of_answers(kept)
    bounds = [one for one in kept if one.statement == "contraction"]
    above: list[tuple[Split, Step]] = [
        (one.split, step) for one in bounds if one.split is not None for step in one.steps if step.lower > step.expected
    ]
    if above:
        breaches = ", ".join(
            f"{NAMES[split]} in round {step.round} ({_kappa(step)} against at most {numbers.from_log(step.expected)})"
            for split, step in above
        )
        text = f"κ went above the upper end of an exact round (P8) on {breaches}: "
        if any(split == "train" for split, _ in above):
            text += "that update fell short of the exact one the theory speaks of."
        else:
            text += "prompts that no update trains on, where an update carries over only in part."
    elif any(one.steps for one in bounds) and all(one.outcome == "held" for one in bounds if one.steps):
        text = "κ stayed at or below the upper end of an exact round (P8) after every round."
    elif bounds and all(one.vacuous for one in bounds):
        text = (
            f"No mode was {numbers.proved(run.widened)}, so the theory's bounds say nothing of this run: they are "
            "vacuous. Let it expand prefixes (max_expansions) to hold it against them."
        )
    else:
        text = "The records do not decide whether κ stayed below the upper end of an exact round (P8)."
    moved = [one.steps[-1].upper for one in kept if one.statement == "modes_stay"]
    if any(moved):
        text += (
            f" The theory's exact rounds never move a mode (P5); here up to {numbers.share(max(moved))} of the modes "
            "moved, so this run sharpened towards partly new favourites, and its ceiling is no longer the base "
            "model's modes."
        )
    elif moved:
        which = numbers.proved(run.widened)
        text += f" No {which} mode moved (P5): the run sharpened what the base model already preferred."
    return text
