"""The prompts of a run of answers as a page shows them: which answers were drawn how often, and what is certain of it.

Knows: tables of samples through `srlm.records`, and certificates through `srlm.measure.majorities`. Refuses to know:
how a page looks. What draws certify is called certified, at its confidence; proved is what the responses prove.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from srlm.measure.fates import fates
from srlm.measure.majorities import majorities
from srlm.measure.split import right_shares
from srlm.records.answers import Majority
from srlm.records.responses import Rollout
from srlm.records.rounds import Split
from srlm.records.run_directory import RoundDirectory
from srlm.records.tables import samples_from_table
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report._pieces import cut

_SHOWN = 4  # answers of a prompt


@dataclass(frozen=True, slots=True)
class QuestionAt:
    """What was drawn at one prompt at one round, without the tokens, which may be many.

    Attributes:
        majority: what the draws say of it.
        marks: every answer drawn, and whether it is right; None where no answer is known.
        said: the first response with the majority's answer.
        greedy: greedy decoding's answer.
        sample_accuracy: share of right samples; None where no answer is known.
    """

    majority: Majority
    marks: Mapping[str, bool | None]
    said: str | None
    greedy: str | None
    sample_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt, and what was answered to it at every round from 0 to the one shown."""

    prompt: str
    split: Split
    rounds: tuple[QuestionAt, ...]

    @property
    def changed(self) -> bool:
        """Whether the majority of the round shown is another than round 0's."""
        return self.rounds[0].majority.leader != self.rounds[-1].majority.leader


def questions(rounds: Sequence[RoundDirectory], confidence: float) -> tuple[Question, ...]:
    """One a prompt.

    Args:
        rounds: round 0 and those after it, complete.
        confidence: of the certificates of a round, at all its prompts at once.
    """
    tables = [one.read_table("samples") for one in rounds]
    texts = {row["prompt_id"]: row for row in tables[0].select(["prompt_id", "prompt", "split"]).to_pylist()}
    told: list[list[QuestionAt]] = []
    before: list[Rollout] | None = None
    for table in tables:
        drawn = samples_from_table(table)
        found = majorities(drawn, before, confidence)
        told.append([_at(*one) for one in zip(drawn, found, right_shares(drawn), strict=True)])
        before = [replace(one, responses=tuple(replace(of, complete=None) for of in one.responses)) for one in drawn]
    series = zip(*told, strict=True)
    return tuple(
        Question(texts[at]["prompt"], texts[at]["split"], of_rounds)
        for at, of_rounds in enumerate(series)
        if at in texts
    )


def _at(rollout: Rollout, one: Majority, right: float | None) -> QuestionAt:
    replies = [reply for reply in rollout.responses if reply.answer is not None]
    marks = {reply.answer: reply.correct for reply in replies if reply.answer is not None}
    said = next((reply.text for reply in replies if reply.answer == one.leader), None)
    return QuestionAt(one, marks, said, rollout.greedy and (rollout.greedy.answer or "none"), right)


def row(one: Question) -> dict[str, Any]:
    """A question as the template shows it."""
    shown = one.rounds[0], one.rounds[-1]
    base, last = (at.majority for at in shown)
    fate = fates([base.correct], [last.correct])[0] if len(one.rounds) > 1 else None
    leaders = [at.majority.leader for at in one.rounds]
    right = dict.fromkeys(name for at in one.rounds for name, correct in at.marks.items() if correct)
    tags = [one.split, fate, one.changed and "moved", last.certified and "certain"]
    return {
        "prompt": cut(one.prompt),
        "known": visible(", ".join(right), 80),
        "held_out": one.split == "held_out",
        "tags": [tag for tag in tags if tag],
        "fate": fate and fate.replace("_", " "),
        "majority": None,
        "flips": sum(now != then for then, now in pairwise(leaders)),
        "columns": [_column(at) for at in shown],
    }


def _column(at: QuestionAt) -> dict[str, Any]:
    one = at.majority
    return {
        "answers": [
            {
                "text": visible(name, 60),
                "count": count,
                "width": round(100 * count / one.draws),
                "correct": at.marks[name],
            }
            for name, count in one.counts[:_SHOWN]
        ],
        "draws": one.draws,
        "others": len(one.counts[_SHOWN:]),
        "unread": one.draws - one.parsed,
        "certain": "proved" if one.proved else "certified" if one.certified else "not certified",
        "share": numbers.from_to(numbers.chance(one.log_lower), numbers.chance(one.log_upper)),
        "said": None if at.said is None else cut(at.said),
        "greedy": at.greedy and visible(at.greedy, 60),
        "samples": at.sample_accuracy,
    }
