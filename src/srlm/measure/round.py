"""The door of the floor: one round, measured.

Knows: which prompts are trained on and which held out. Refuses to know: who drew, searched or trained.
"""

from collections.abc import Sequence
from typing import Any

from srlm.measure.signatures import History, signatures
from srlm.measure.split import MASS_SLACK, measure_split
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.rounds import SPLITS, RoundRecord, Split


def measure_round(
    number: int,
    splits: Sequence[Split],
    rollouts: Sequence[Rollout],
    modes: Sequence[ModeBracket],
    *,
    base: Sequence[ModeBracket],
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
        base: modes of every prompt at round 00.
        beta: KL strength of the round.
        mass_slack: delta of the failure rate.
        history: records of rounds 0 to t - 1.
        facts: other fields of `RoundRecord` (seconds, tokens, the update that led here, ...).
    """
    measured = {}
    for name in SPLITS:
        chosen = [at for at, split in enumerate(splits) if split == name]
        of_split = [rollouts[at] for at in chosen], [modes[at] for at in chosen], [base[at] for at in chosen]
        measured[name] = measure_split(*of_split, beta, mass_slack)
    record = RoundRecord(round=number, **measured, beta=beta, **facts)
    return record.model_copy(update={"signatures": signatures([*history, record])})
