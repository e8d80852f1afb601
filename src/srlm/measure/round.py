"""The door of the floor: one round, measured.

Knows: which prompts are trained on and which held out. Refuses to know: who drew, searched or trained.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from srlm.measure.answers import measure_answers
from srlm.measure.majorities import majorities
from srlm.measure.signatures import signatures
from srlm.measure.split import MASS_SLACK, measure_split
from srlm.measure.symptoms import History
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.rounds import SPLITS, RoundRecord, Split, SplitRecord


def measure_round(
    number: int,
    splits: Sequence[Split],
    rollouts: Sequence[Rollout],
    modes: Sequence[ModeBracket],
    *,
    base: Sequence[ModeBracket],
    base_rollouts: Sequence[Rollout] | None = None,
    previous: Sequence[ModeBracket] | None = None,
    beta: float | None = None,
    mass_slack: float = MASS_SLACK,
    history: History = (),
    **facts: Any,
) -> RoundRecord:
    """The record of one round, with the signatures that it shows after the rounds before it.

    Args:
        number: t; 0 is the untouched base model.
        splits: of every prompt.
        rollouts, modes: of every prompt at policy t, graded.
        base, base_rollouts: modes of every prompt, and what was drawn, at round 00; without the latter no fates of
            majorities.
        previous: modes of every prompt at round t - 1; without them no flips.
        facts: other fields of `RoundRecord` (seconds, tokens, the update that led here, ...).
    """

    def of_split(chosen: list[int]) -> SplitRecord | None:
        return measure_split(
            [rollouts[at] for at in chosen],
            [modes[at] for at in chosen],
            [base[at] for at in chosen],
            beta,
            mass_slack,
            previous=previous and [previous[at] for at in chosen],
            base_rollouts=base_rollouts and [base_rollouts[at] for at in chosen],
        )

    return _record(number, splits, of_split, history, beta=beta, **facts)


def measure_answer_round(
    number: int,
    splits: Sequence[Split],
    rollouts: Sequence[Rollout],
    *,
    base: Sequence[Rollout],
    previous: Sequence[Rollout] | None,
    confidence: float,
    budget: int | None = None,
    mass_slack: float = MASS_SLACK,
    history: History = (),
    samples: Mapping[str, Any] | None = None,
    **facts: Any,
) -> RoundRecord:
    """The same at the level of answers: certificates come from the draws, no search takes part.

    Args:
        number, splits, facts: as `measure_round`.
        rollouts, base, previous: what was drawn at every prompt at this round, at round 00, and at the round before
            (None at round 00); answered.
        confidence: at which the round's certificates hold at all prompts at once.
        budget: draws at each prompt where sampling stopped at a certificate.
        samples: as `measure_answers`.
    """
    now, first = majorities(rollouts, previous, confidence), majorities(base, None, confidence)
    before = None if previous is None else majorities(previous, None, confidence)

    def of_split(chosen: list[int]) -> SplitRecord | None:
        return measure_answers(
            [rollouts[at] for at in chosen],
            [now[at] for at in chosen],
            [first[at] for at in chosen],
            confidence,
            mass_slack,
            previous=before and [before[at] for at in chosen],
            budget=budget,
            samples=samples,
        )

    return _record(number, splits, of_split, history, **facts)


def _record(
    number: int,
    splits: Sequence[Split],
    of_split: Callable[[list[int]], SplitRecord | None],
    history: History,
    **facts: Any,
) -> RoundRecord:
    measured = {name: of_split([at for at, split in enumerate(splits) if split == name]) for name in SPLITS}
    record = RoundRecord(round=number, **measured, **facts)
    return record.model_copy(update={"signatures": signatures([*history, record])})
