"""Autoregressive policies small enough to be exact: a tree of tokens with an end token.

Knows: next-token probabilities of every prefix; modes by best-first search (P6) and by enumeration.
"""

import heapq
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError


@dataclass(frozen=True)
class Found:
    """What a best-first search proved.

    Attributes:
        response: tokens of the mode.
        logprob: log pi(y*|x).
        expansions: prefixes expanded, at most 1 + (L-1) / pi(y*|x) (P6).
    """

    response: tuple[int, ...]
    logprob: float
    expansions: int


@dataclass(frozen=True)
class AutoregressivePolicy:
    """One prompt's policy: a response is at most L tokens, ended by token 0 (where `ends`) or cut at L.

    Attributes:
        steps: L arrays of next-token log-probabilities; `steps[t]` is (V^t, V), one row a prefix of t tokens in
            lexicographic order. Rows of prefixes that have ended already are not used.
        ends: whether token 0 ends a response.
    """

    steps: tuple[np.ndarray, ...]
    ends: bool = True

    @classmethod
    def from_logits(cls, logits: list[ArrayLike], ends: bool = True) -> "AutoregressivePolicy":
        """The softmax of scores shaped like `steps`.

        Raises:
            InputError: arrays that do not make a tree.
        """
        found = [np.asarray(one, dtype=np.float64) for one in logits]
        if not found or found[0].ndim != 2:
            raise InputError("give at least one step of scores, (V^t, V) at step t")
        tokens = found[0].shape[1]
        for t, one in enumerate(found):
            if one.shape != (tokens**t, tokens) or np.isnan(one).any():
                raise InputError(f"step {t} has shape {one.shape}; it must be {(tokens**t, tokens)} and hold numbers")
        return cls(tuple(one - np.logaddexp.reduce(one, axis=1, keepdims=True) for one in found), ends)

    @property
    def tokens(self) -> int:
        """V, tokens of the vocabulary."""
        return self.steps[0].shape[1]

    @property
    def length(self) -> int:
        """L, the longest response."""
        return len(self.steps)

    @cached_property
    def responses(self) -> tuple[tuple[int, ...], ...]:
        """Every response, shorter before longer continuations, in lexicographic order of prefixes."""
        return tuple(one for one, _ in self._enumerate())

    @cached_property
    def logprobs(self) -> np.ndarray:
        """log pi(y|x) of every response in `responses`."""
        return np.array([logprob for _, logprob in self._enumerate()])

    def next_logprobs(self, prefix: tuple[int, ...]) -> np.ndarray:
        """(V,) next-token log-probabilities after a prefix shorter than L that has not ended."""
        at = 0
        for token in prefix:
            at = at * self.tokens + token
        return self.steps[len(prefix)][at]

    def greedy(self) -> tuple[int, ...]:
        """The response of greedy decoding."""
        prefix: tuple[int, ...] = ()
        while not self._complete(prefix):
            prefix = (*prefix, int(np.argmax(self.next_logprobs(prefix))))
        return prefix

    def mode(self) -> Found:
        """The mode by best-first search, with the number of prefixes expanded (P6)."""
        frontier: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        expansions = 0
        while True:
            cost, prefix = heapq.heappop(frontier)
            if self._complete(prefix):
                return Found(prefix, -cost, expansions)
            expansions += 1
            for token, logprob in enumerate(self.next_logprobs(prefix)):
                if logprob > -math.inf:
                    heapq.heappush(frontier, (cost - float(logprob), (*prefix, token)))

    def _complete(self, prefix: tuple[int, ...]) -> bool:
        return len(prefix) == self.length or (self.ends and len(prefix) > 0 and prefix[-1] == 0)

    def _enumerate(self) -> list[tuple[tuple[int, ...], float]]:
        open_, done = [((), 0.0)], []
        while open_:
            prefix, logprob = open_.pop(0)
            if self._complete(prefix):
                done.append((prefix, logprob))
                continue
            row = self.next_logprobs(prefix)
            open_ += [((*prefix, token), logprob + float(value)) for token, value in enumerate(row)]
        return done
