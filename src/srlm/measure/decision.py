"""Which round a run keeps, and what it does about a signature: note it, stop, or go back to the best round.

Knows: signatures, and which round was best. Decisions are functions of the rounds' records, the gate and the actions
chosen, so a resumed run decides as the undisturbed one did. Refuses to know: how a decision is carried out.

The gate. A round's score is `kept_confidence` on held-out prompts: the mean probability of the certified mode where it
is still round 00's, 0 where it is not. Exact rounds only raise it (P3 lowers kappa, P5 moves no mode), it falls when
kappa rises and when modes drift, and it needs no answers: a gate that picked by held-out answers would flatter the
accuracy reported on the same prompts. It cannot see: whether the first modes are right (a run that improves them scores
lower), prompts whose mode was not certified at round 00, diversity, other text; a mode that a search did not prove
counts as lost. The largest of a few noisy scores is a little above its own truth.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from srlm.errors import InputError
from srlm.measure.signatures import SIGNATURES
from srlm.measure.symptoms import History, in_every_round, kept_scores, score_name
from srlm.records.rounds import RoundRecord

Action = Literal["note", "stop", "rollback"]
ACTIONS: tuple[Action, ...] = ("note", "stop", "rollback")
Gate = Literal["held_out", "answers", "off"]
GATES: tuple[Gate, ...] = get_args(Gate)
Measure = Literal["held_out", "train", "answers", "accuracy", "signatures", "last"]

# Rolled back by default: what ruins a model. Noted: what may also be the way a good run ends or looks.
DEFAULT_ACTIONS: Mapping[str, Action] = {
    "kappa_rises": "rollback",
    "kappa_stalls": "note",
    "failure_stays": "note",
    "margin_collapses": "note",
    "informative_pairs_vanish": "note",
    "modes_drift": "note",
    "modes_flip": "note",
    "peaked": "note",
    "length_collapses": "rollback",
    "length_explodes": "rollback",
    "accuracy_falls": "rollback",
    "one_answer_for_all": "rollback",
    "rewards_tie": "note",
}
# An update that leaves no numbers behind has no round of its own to be measured at; it always ends the run.
DIVERGED = "update_diverged"


@dataclass(frozen=True, slots=True)
class Choice:
    """The round that a gate keeps.

    Attributes:
        round: its number.
        by: what told it: the score on "held_out" or "train" prompts, "answers" of the third split, "accuracy" of
            samples, "signatures", or "last": nothing was compared.
        reason: one sentence for `run.json` and the page.
    """

    round: int
    by: Measure
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The end of a run before its last round.

    Attributes:
        action: "stop" keeps what the gate keeps, "rollback" the best round before the signature.
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


def decide(history: History, actions: Mapping[str, Action], gate: Gate = "held_out") -> Decision | None:
    """Whether the run ends at the last round of `history`, and with which round's policy.

    Args:
        history: records of rounds 0 to t, with the `signatures` found at each.
        actions: what to do about each signature.
        gate: which round is best.
    """
    shown = {one.name: one for one in history[-1].signatures or ()}
    for action in ("rollback", "stop"):
        names = tuple(name for name in shown if actions.get(name, "note") == action)
        if names:
            number = len(history) - 1
            told = "; ".join(f"{name}: {shown[name].evidence}" for name in names)
            keep = best_round(history, gate) if action == "stop" else round_to_return_to(history[:-1], gate)
            done = "stopped there" if action == "stop" else f"went back to round {keep.round}"
            return Decision(action, names, f"round {number} shows {told}; {done}; {keep.reason}", keep.round)
    return None


def diverged(number: int, history: History, what: str, gate: Gate = "held_out") -> Decision:
    """The decision after an update to policy `number` that left no finite numbers."""
    keep = round_to_return_to(history, gate)
    why = f"the update of round {number} diverged ({what}); went back to round {keep.round}; {keep.reason}; "
    return Decision("rollback", (DIVERGED,), f"{why}lower the learning rate", keep.round)


def round_to_return_to(history: History, gate: Gate = "held_out") -> Choice:
    """The best round for a run that goes back; a gate that is off says nothing about it, so held-out prompts do."""
    return best_round(history, "held_out" if gate == "off" else gate)


def best_round(history: History, gate: Gate = "held_out") -> Choice:
    """The round that a run keeps; of equals the first, which changed the model least.

    Args:
        history: records of rounds 0 to t, t >= 0.
        gate: "held_out": the largest `kept_confidence` on held-out prompts, on trained ones where no held-out prompt
            has it; where no prompt has it in every round (nothing was certified) the largest
            accuracy of samples on held-out, else trained, prompts, the lower kappa among equals; where no answer is
            known, the last round before any signature that is not merely noted by default.
            "answers": the largest accuracy of samples on the third split, where every round has it; else as "held_out".
            "off": the last round.
    """
    last = len(history) - 1
    if gate == "off":
        return Choice(last, "last", f"the gate is off, so round {last} is kept as the last one")
    if gate == "answers":
        if scores := in_every_round([one.gate and one.gate.accuracy.sample for one in history]):
            return _largest(scores, "answers", "accuracy of samples on the third split")
        instead = best_round(history)
        return replace(instead, reason=f"the third split's answers are not known in every round; {instead.reason}")
    if (kept := kept_scores(history)) is not None:
        told = f"mean {score_name(history)} ({kept[0].replace('_', '-')} prompts)"
        return _largest(kept[1], kept[0], told)
    if scores := in_every_round([_accuracy(one) for one in history]):
        kappas = [-_log_kappa(one) for one in history]
        what = "accuracy of samples (which flatters it on these prompts; not every round tells what it kept)"
        return _largest(scores, "accuracy", what, kappas)
    for number, one in enumerate(history):
        if any(DEFAULT_ACTIONS.get(shown.name) == "rollback" for shown in one.signatures or ()):
            kept_round = max(0, number - 1)
            return Choice(kept_round, "signatures", f"round {kept_round} is kept, the last one before signs of harm")
    return Choice(last, "last", f"neither modes nor answers tell rounds apart, so round {last} is kept as the last one")


def _largest(scores: Sequence[float], by: Measure, what: str, ties: Sequence[float] = ()) -> Choice:
    """The first round with the largest score, of equals the one with the largest of `ties`."""
    last = len(scores) - 1
    best = max(range(len(scores)), key=lambda at: (scores[at], *ties[at : at + 1], -at))
    reason = f"round {best} is kept for the largest {what}: {scores[best]:.3f}"
    return Choice(best, by, reason if best == last else f"{reason}, against {scores[last]:.3f} at round {last}")


def _accuracy(record: RoundRecord) -> float | None:
    for split in (record.held_out, record.train):
        if split is not None and split.accuracy.sample is not None:
            return split.accuracy.sample
    return None


def _log_kappa(record: RoundRecord) -> float:
    ends = record.train.log_kappa if record.train else None
    return 0.0 if ends is None else math.inf if ends.upper is None else ends.upper
