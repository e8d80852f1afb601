"""What is remembered of every prompt between two visits, in bounded memory.

Knows: the last majority (the candidate named beforehand for the next visit, P11), the first, and running levels. Above
a limit the prompts whose hashes are smallest stay, so it is the same prompts at every step. Refuses to know: what is
alarming.
"""

import math
from hashlib import blake2b
from typing import NamedTuple

from srlm.watching.groups import Group, mean

# Weight of the newest visit in a level: the memory is about three visits.
_NEWEST = 0.3
_LONGEST = 64
Levels = tuple[float | None, ...]
LEVELS = ("corrupted_grow", "majority_wrong", "accuracy_falls", "answers_narrow", "reward")  # named after their alarms


class Visit(NamedTuple):
    """What is remembered of a prompt.

    Attributes:
        first, last: majorities of its first and its last visit (long ones by their hash); None where no answer was.
        first_correct, correct: whether they were right.
        first_length: mean length at the first visit.
        top, second, parsed: counts of the last visit's two commonest answers and of all.
        moves: visits at which the majority moved beyond the noise of draws.
        levels: running means over visits of `LEVELS`, None where unknown.
    """

    first: str | None
    first_correct: bool | None
    first_length: float
    last: str | None
    correct: bool | None
    top: int
    second: int
    parsed: int
    moves: int
    levels: Levels


class Memory:
    """Prompts and their last visits, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.sampled = False
        self._below = 1 << 64
        self._visits: dict[int, Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def last(self, number: int) -> Visit | None:
        """The last visit of the prompt with this hash."""
        return self._visits.get(number)

    def take(self, number: int, group: Group, levels: Levels, moved: bool) -> None:
        """Remember a visit."""
        if number >= self._below:
            return
        then = self._visits.get(number)
        counts = group.counts[:2]
        name, right = key(group.leader), group.leader_correct
        if then is not None and name == then.last:
            name = then.last  # one text for many visits
        if then is not None:
            levels = tuple(newer(before, now, _NEWEST) for before, now in zip(then.levels, levels, strict=True))
        first = (
            (name, right, mean(group.lengths) or 0.0)
            if then is None
            else (then.first, then.first_correct, then.first_length)
        )
        self._visits[number] = Visit(
            *first,
            name,
            right,
            counts[0][1] if counts else 0,
            counts[1][1] if len(counts) > 1 else 0,
            group.parsed,
            (then.moves if then else 0) + moved,
            levels,
        )
        if len(self._visits) > self.limit:
            self.sampled = True
            self._below //= 2
            self._visits = {at: one for at, one in self._visits.items() if at < self._below}


def levels_of(group: Group) -> Levels:
    """`LEVELS` of one visit, from 0 to 1 but for the reward; a rise of any of the first three is harm.

    In order: the majority is wrong; 1/2 + half of its share where it is wrong, minus where it is right; the share of
    wrong completions; how far from all different the answers are; the mean reward.
    """
    right, parsed = group.leader_correct, group.parsed
    share = group.counts[0][1] / len(group.answers) if group.counts else 0.0
    known = None if right is None else float(not right)
    mass = None if right is None else 0.5 - (share if right else -share) / 2
    error = None if group.accuracy is None else 1 - group.accuracy
    repeats = 1 - (len(group.counts) - 1) / (parsed - 1) if parsed > 1 else None
    reward = mean(group.rewards or ())
    return known, mass, error, repeats, reward


def number_of(prompt: str) -> int:
    """A prompt's hash, the same in every process."""
    return int.from_bytes(blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def key(answer: str | None) -> str | None:
    """An answer as it is remembered: itself, or the hash of a long one."""
    return answer if answer is None or len(answer) <= _LONGEST else f"{number_of(answer):016x}"


def beyond_noise(now: Group, then: Visit) -> bool:
    """Whether the majority moved further than draws alone move it: Fisher's exact test on the counts of both leaders at
    both visits, one-sided at 0.05; written out, because scipy.stats takes longer to import than a small audit. The new
    leader's count then is at most the second one's, which is what is kept.
    """
    name = key(now.leader)
    if name is None or then.last is None or name == then.last:
        return False
    a, b = then.top, then.second
    c = next((count for answer, count in now.counts if key(answer) == then.last), 0)
    d = now.counts[0][1]
    rows, column = a + b, a + c
    ways = sum(math.comb(rows, x) * math.comb(c + d, column - x) for x in range(a, min(rows, column) + 1))
    return ways <= 0.05 * math.comb(rows + c + d, column)


def newer(then: float | None, now: float | None, weight: float) -> float | None:
    """A running mean with one more value."""
    return now if then is None else then if now is None else then + weight * (now - then)
