"""What every update aimed at, and where it landed: the projection (P8) in plain words and in a table.

Knows: the record of an update by weighted likelihood, and the exact round's bracket from the round before. Refuses to
know: how an update is made.
"""

from dataclasses import dataclass

from srlm.measure.promises import Outcome, log_kappa
from srlm.records.rounds import ProjectionRecord, RoundRecord, SplitRecord
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report.reading import RunView


@dataclass(frozen=True, slots=True)
class UpdateText:
    """One round's update in a row: what it was made of, what it left out (tau), what it aimed at, what an exact round
    would reach, what it reached, how far it stayed from its targets, and the verdict as `Promise.outcome`.
    """

    round: int
    responses: str
    tau: str
    target: str
    exact: str
    reached: str
    distance: str
    verdict: Outcome


def rows(run: RunView) -> list[UpdateText]:
    """The updates of a run that recorded them."""
    known = {one.round: one for one in run.rounds}
    return [
        _row(run, one, update, known.get(one.round - 1)) for one in run.rounds if (update := one.projection) is not None
    ]


def _row(run: RunView, now: RoundRecord, update: ProjectionRecord, before: RoundRecord | None) -> UpdateText:
    population = before.train.population if before and before.train else None
    exact = population.log_exact_round if population else None
    tau = "–"
    if update.tau is not None:
        tau = numbers.mass(update.tau)
        tau += "" if update.tau_max is None else f" (at most {numbers.mass(update.tau_max)})"
    worst = update.distance_worst_prompt
    what = f" “{visible(run.prompts[worst].prompt, 60)}”" if 0 <= worst < len(run.prompts) else ""
    far = f"median {numbers.number(update.distance)}, most {numbers.number(update.distance_max)} (prompt {worst}{what})"
    return UpdateText(
        round=now.round,
        responses=numbers.number(update.responses),
        tau=tau,
        target=numbers.number(update.target_kappa),
        exact="–" if exact is None else numbers.log_bracket(exact),
        reached="–" if now.train is None else numbers.kappa(now.train),
        distance=far,
        verdict="note" if run.off_theory else _verdict(now.train, None if exact is None else exact.upper),
    )


def _verdict(reached: SplitRecord | None, most: float | None) -> Outcome:
    """Whether kappa is at most the upper end (nats) of an exact round."""
    if reached is None or most is None:
        return "open"
    low, high = log_kappa(reached)
    return "departed" if low > most else "held" if high <= most else "open"


def words(run: RunView) -> list[str]:
    """What the updates were, and whether they reached what an exact round would."""
    updates = rows(run)
    if not updates:
        return []
    said = []
    if run.loss == "projection":
        aim = "their rewarded" if run.off_theory else "the sharpened"
        said.append(
            f"Each update is a projection: the model is trained towards {aim} probabilities of the responses that are "
            "known (the likeliest that the search kept, and the samples), and towards no others. That is a truncated "
            "sharpening, towards the same mode as an exact round wherever the mode is among the known. It is sharper "
            "than an exact round, with less diversity; τ is the most that an exact round would have given to what was "
            "left out."
        )
    if run.off_theory:
        return said
    short = [one for one in updates if one.verdict == "departed"]
    said += [
        f"In round {one.round} fitting fell short: κ reached {one.reached} where an exact round ends at most at "
        f"{one.exact.rpartition('–')[2]}; distance to the targets in nats: {one.distance}."
        for one in short
    ]
    if not short and all(one.verdict == "held" for one in updates):
        said.append("After every update κ was at most what an exact round would have reached.")
    return said
