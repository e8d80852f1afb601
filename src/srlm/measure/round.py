"""The door of the floor: one round, measured.

Knows: which prompts are trained on and which held out. Refuses to know: who drew, searched or trained.
"""

from collections.abc import Sequence
from typing import Any

from srlm.measure.signatures import signatures
from srlm.measure.split import MASS_SLACK, measure_split
from srlm.measure.symptoms import History
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.rounds import SPLITS, RoundRecord, Split


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
        beta: KL strength of the round.
        mass_slack: delta of the failure rate.
        history: records of rounds 0 to t - 1.
        facts: other fields of `RoundRecord` (seconds, tokens, the update that led here, ...).
    """
    measured = {}
    for name in SPLITS:
        chosen = [at for at, split in enumerate(splits) if split == name]
        measured[name] = measure_split(
            [rollouts[at] for at in chosen],
            [modes[at] for at in chosen],
            [base[at] for at in chosen],
            beta,
            mass_slack,
            previous=previous and [previous[at] for at in chosen],
            base_rollouts=base_rollouts and [base_rollouts[at] for at in chosen],
        )
    record = RoundRecord(round=number, **measured, beta=beta, **facts)
    return record.model_copy(update={"signatures": signatures([*history, record])})
