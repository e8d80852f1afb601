"""What a run does about a signature: note it, stop, or go back to the best round.

Knows: signatures, and which round was best. Decisions are a function of the rounds' records and the actions chosen, so
a resumed run decides as the undisturbed one did. Refuses to know: how a decision is carried out.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from srlm.errors import InputError
from srlm.measure.signatures import SIGNATURES, History
from srlm.records.rounds import RoundRecord

Action = Literal["note", "stop", "rollback"]
ACTIONS: tuple[Action, ...] = ("note", "stop", "rollback")

# Rolled back by default: what ruins a model. Noted: what may also be the way a good run ends or looks.
DEFAULT_ACTIONS: Mapping[str, Action] = {
    "kappa_rises": "rollback",
    "kappa_stalls": "note",
    "failure_stays": "note",
    "margin_collapses": "note",
    "informative_pairs_vanish": "note",
    "modes_drift": "note",
    "length_collapses": "rollback",
    "length_explodes": "rollback",
    "accuracy_falls": "rollback",
    "one_answer_for_all": "rollback",
    "rewards_tie": "note",
}
# An update that leaves no numbers behind has no round of its own to be measured at; it always ends the run.
DIVERGED = "update_diverged"


@dataclass(frozen=True, slots=True)
class Decision:
    """The end of a run before its last round.

    Attributes:
        action: "stop" keeps the last round, "rollback" the best one.
        signatures: names of the signatures that led to it.
        reason: one sentence for `run.json`.
        keep: the round whose policy becomes the run's model.
    """

    action: Literal["stop", "rollback"]
    signatures: tuple[str, ...]
    reason: str
    keep: int


def checked_actions(given: Mapping[str, Any] | None) -> dict[str, Action]:
    """The default actions with what the user chose; the name "all" stands for every signature.

    Raises:
        InputError: an unknown signature or action; all are named.
    """
    chosen: dict[str, Action] = dict(DEFAULT_ACTIONS)
    problems = []
    for name, action in (given or {}).items():
        if action not in ACTIONS:
            problems.append(f"on_signature has {name}={action!r}; use one of {', '.join(ACTIONS)}")
        elif name == "all":
            chosen |= dict.fromkeys(chosen, action)
        elif name not in SIGNATURES:
            problems.append(f"on_signature names {name!r}; use all, or one of {', '.join(SIGNATURES)}")
        else:
            chosen[name] = action
    if problems:
        raise InputError(problems)
    return chosen


def decide(history: History, actions: Mapping[str, Action]) -> Decision | None:
    """Whether the run ends at the last round of `history`, and with which round's policy.

    Args:
        history: records of rounds 0 to t, with the `signatures` found at each.
        actions: what to do about each signature.
    """
    shown = {one.name: one for one in history[-1].signatures or ()}
    for action in ("rollback", "stop"):
        names = tuple(name for name in shown if actions.get(name, "note") == action)
        if names:
            number = len(history) - 1
            keep = best_round(history[:-1]) if action == "rollback" else number
            told = "; ".join(f"{name}: {shown[name].evidence}" for name in names)
            done = f"went back to round {keep}" if action == "rollback" else "stopped there"
            return Decision(action, names, f"round {number} shows {told}; {done}", keep)
    return None


def diverged(number: int, history: History, what: str) -> Decision:
    """The decision after an update to policy `number` that left no finite numbers."""
    keep = best_round(history)
    reason = f"the update of round {number} diverged ({what}); went back to round {keep}; lower the learning rate"
    return Decision("rollback", (DIVERGED,), reason, keep)


def best_round(history: History) -> int:
    """The round with the highest sample accuracy on held-out prompts (on trained ones where no held-out answer is
    known), the one with the lower kappa among equals; where no answer is known, the last round before any signature
    that is not merely noted by default.

    Args:
        history: records of rounds 0 to t, t >= 0.
    """
    scores = [_accuracy(one) for one in history]
    if all(score is not None for score in scores):
        return max(range(len(history)), key=lambda at: (scores[at], -_log_kappa(history[at])))
    for number, one in enumerate(history):
        if any(DEFAULT_ACTIONS.get(shown.name) == "rollback" for shown in one.signatures or ()):
            return max(0, number - 1)
    return len(history) - 1


def _accuracy(record: RoundRecord) -> float | None:
    for split in (record.held_out, record.train):
        if split is not None and split.accuracy.sample is not None:
            return split.accuracy.sample
    return None


def _log_kappa(record: RoundRecord) -> float:
    ends = record.train.log_kappa if record.train else None
    return 0.0 if ends is None else math.inf if ends.upper is None else ends.upper
