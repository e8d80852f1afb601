"""What became of a prompt: is its answer still right, is its mode still the one it was?

Knows: outcomes and modes of the same prompts at two rounds. Refuses to know: which rounds they are, beyond earlier and
later, and how answers are judged.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from srlm import theory
from srlm.measure.strategies import majority
from srlm.records.responses import ModeBracket, Rollout

Fate = Literal["kept", "learned", "corrupted", "still_wrong"]
FATES: tuple[Fate, ...] = get_args(Fate)


def fates(base: Sequence[bool | None], now: Sequence[bool | None]) -> list[Fate | None]:
    """The fate of every prompt's answer; None where either outcome is unknown.

    Args:
        base, now: whether it was right at round 00 and is right now, as `mode_outcomes` or `majority_outcomes` says.

    >>> fates([True, False, True, None], [True, True, False, True])
    ['kept', 'learned', 'corrupted', None]
    """
    return [
        None if before is None or after is None else FATES[2 * (not after) + (not before)]
        for before, after in zip(base, now, strict=True)
    ]


def counts(of: Sequence[Fate | None]) -> dict[str, int]:
    """How many prompts had each fate, every fate named; empty where no fate is known."""
    known = Counter(fate for fate in of if fate is not None)
    return {fate: known[fate] for fate in FATES} if known else {}


def mode_outcomes(modes: Sequence[ModeBracket]) -> list[bool | None]:
    """Whether every prompt's mode, or the likeliest response seen, is right."""
    return [one.mode.correct for one in modes]


def majority_outcomes(rollouts: Sequence[Rollout]) -> list[bool | None]:
    """Whether the most frequent answer of every prompt's samples is right."""
    return [
        one.responses[majority([response.text or "" for response in one.responses], one.responses)].correct
        for one in rollouts
    ]


def moved(modes: Sequence[ModeBracket], before: Sequence[ModeBracket]) -> list[bool | None]:
    """Whether every prompt's mode is another than it was; None where either is not certified."""
    return [
        now.mode.tokens != then.mode.tokens if now.certified and then.certified else None
        for now, then in zip(modes, before, strict=True)
    ]


def kept_probabilities(modes: Sequence[ModeBracket], base: Sequence[ModeBracket]) -> list[float | None]:
    """pi_t(mode_t|x) where mode_t is certified and is round 00's certified mode, 0 where it is not; None where round
    00's mode was not certified. Never above the probability of round 00's mode: a lower bound on it.
    """
    return [
        None
        if not start.certified
        else _probability(now)
        if now.certified and now.mode.tokens == start.mode.tokens
        else 0.0
        for now, start in zip(modes, base, strict=True)
    ]


def _probability(one: ModeBracket) -> float:
    """pi(y*|x), its lower end where precision widened the bracket; what a double cannot hold is 0."""
    return theory.from_log(min(0.0, one.logprob_lower)) or 0.0
