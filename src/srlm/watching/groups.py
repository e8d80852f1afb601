"""What a watcher is told: the completions of one prompt at one step.

Knows: canonical answers, what was right, rewards, lengths. Refuses to know: where they came from, how answers are read.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property


@dataclass(frozen=True)
class Group:
    """The completions of one prompt at one step.

    Attributes:
        prompt: its text (a chat rendered to one text): its identity.
        answers: canonical answer of each; None: it has none.
        correct: whether each is right; None where no answer is known.
        rewards: total reward of each; None where unknown.
        lengths: of each, in one unit for all steps.
        cut: whether each was cut at the limit, where known.
        logprobs: log pi(y|x) of each (nats), where known.
        mismatch: mean absolute difference of sampler's and trainer's log-probability (nats a token), where known.
        entropy: nats a token, where known.
        sample: texts to show, may be fewer than the completions.
    """

    prompt: str
    answers: tuple[str | None, ...]
    correct: tuple[bool | None, ...]
    rewards: tuple[float, ...] | None
    lengths: tuple[int, ...]
    cut: tuple[bool | None, ...] = ()
    logprobs: tuple[float, ...] | None = None
    mismatch: float | None = None
    entropy: float | None = None
    sample: tuple[str, ...] = ()

    @cached_property
    def counts(self) -> list[tuple[str, int]]:
        """Answers with how often each was drawn, most often first, of equals the one found first."""
        return Counter(one for one in self.answers if one is not None).most_common()

    @cached_property
    def parsed(self) -> int:
        """Completions with an answer."""
        return sum(count for _, count in self.counts)

    @property
    def leader(self) -> str | None:
        """The answer drawn most often, of equals the one found first; None where no completion has one."""
        return self.counts[0][0] if self.counts else None

    @cached_property
    def leader_correct(self) -> bool | None:
        """Whether the leader is right."""
        return None if self.leader is None else self.correct[self.answers.index(self.leader)]

    @cached_property
    def accuracy(self) -> float | None:
        """Share of right completions among those of which it is known."""
        return mean([one for one in self.correct if one is not None])


def mean(values: Sequence[float]) -> float | None:
    """None of no values."""
    return math.fsum(values) / len(values) if values else None


def joined(groups: Sequence[Group]) -> list[Group]:
    """Groups of one prompt become one, in order: they were drawn from one policy."""
    by_prompt: dict[str, Group] = {}
    for one in groups:
        then = by_prompt.get(one.prompt)
        by_prompt[one.prompt] = one if then is None else _sum(then, one)
    return list(by_prompt.values())


def _sum(one: Group, other: Group) -> Group:
    pairs = {
        name: (getattr(one, name), getattr(other, name))
        for name in ("answers", "correct", "rewards", "lengths", "cut", "logprobs", "sample")
    }
    return replace(one, **{name: None if None in pair else pair[0] + pair[1] for name, pair in pairs.items()})
