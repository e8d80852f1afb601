"""Best-first search over the prefixes of one prompt's responses (P6), without a model.

Knows: which prefixes were evaluated, which to evaluate next, what the best complete responses are and what every
response not yet seen is bounded by. Children of an evaluated prefix are kept sorted and merged lazily, so the heap
holds one entry a prefix; children that cannot matter any more are dropped, and the largest of them is remembered as a
bound. Refuses to know: models.
"""

import heapq
import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from srlm.records.responses import Complete, Outside

ROOT = 0
NEVER = -math.inf
# Open prefixes that are told one by one; the smaller ones count as dropped.
_PREFIXES_TOLD = 64
_PREFIXES_NAMED = 8  # the likeliest of these, with their tokens


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the model says follows a prefix.

    Attributes:
        tokens, logprobs: the likeliest next tokens and their log-probabilities, in falling order.
        rest: largest log-probability among tokens not listed, -inf where all are.
        end_logprobs: log-probability of each end token, in the order given to the frontier.
    """

    tokens: np.ndarray
    logprobs: np.ndarray
    rest: float
    end_logprobs: np.ndarray


class Frontier:
    """The search at one prompt.

    Args:
        limit: L >= 1, tokens at which a response is cut.
        end_tokens: tokens that end a response.
        k_best: how many of the likeliest responses to settle.
    """

    def __init__(self, limit: int, end_tokens: Collection[int], k_best: int) -> None:
        self._limit, self._k = limit, k_best
        self._ends = tuple(sorted(end_tokens))
        self._parents, self._tokens, self._depths, self._logprobs = [-1], [-1], [0], [0.0]
        self._child: dict[tuple[int, int], int] = {}
        # Evaluated prefixes: children in falling order of their own log-probability, and a bound on those not listed.
        self._children: dict[int, tuple[np.ndarray, np.ndarray, float]] = {}
        self._expanded: set[int] = set()
        self._heap: list[tuple[float, int, int]] = []  # (-log-probability, prefix, place of its next child)
        self._waiting = True  # the empty prefix is open until it is taken
        self._dropped = NEVER
        self.best: list[Complete] = []
        self.expansions = 0
        self.settled_at: int | None = None  # expansions when the mode was proved

    @property
    def open_bound(self) -> float:
        """No response still to be found among open prefixes is likelier than this."""
        if self._waiting:
            return 0.0
        return -self._heap[0][0] if self._heap else NEVER

    @property
    def runner_up_bound(self) -> float:
        """No response but the best one is likelier than this."""
        return max(self.open_bound, self._dropped, self.best[1].logprob if len(self.best) > 1 else NEVER)

    def is_settled(self, rank: int) -> bool:
        """Whether the `rank` likeliest responses are known for certain; always so where there are no more responses."""
        return self.open_bound <= (self.best[rank - 1].logprob if len(self.best) >= rank else NEVER)

    def outside(self) -> Outside:
        """Every response that is not among the `k_best` known ones (P8 ii)."""
        if self._waiting:
            return Outside()
        none, rests = np.zeros(0, dtype=int), [self._dropped]
        open_ = [(none, none, np.zeros(0))]
        for _, node, at in self._heap:
            tokens, logprobs, rest = self._children[node]
            open_.append((np.full(len(tokens) - at, node), tokens[at:], logprobs[at:]))
            rests.append(rest)
        nodes, tokens, logprobs = (np.concatenate(one) for one in zip(*open_, strict=True))
        order = np.argsort(-logprobs, kind="stable")
        kept, left = logprobs[order[:_PREFIXES_TOLD]], logprobs[order[_PREFIXES_TOLD:]]
        named = tuple(self.response(int(nodes[at]), int(tokens[at])) for at in order[:_PREFIXES_NAMED])
        closed = [one.logprob for one in self.best[: self._k] if self._is_closed(one)]
        largest = max(*rests, *left[:1], *(one.logprob for one in self.best[self._k :]), NEVER)
        # A sum that rounds to 1 does not show that nothing is left.
        mass = max(1.0 - float(np.exp(kept).sum()) - math.fsum(map(math.exp, closed)), 1e-6)
        return Outside(tuple(kept.tolist()), mass if largest > NEVER else 0.0, largest, named)

    def _is_closed(self, response: Complete) -> bool:
        """Whether it lies under no open prefix: the one before its last token was expanded."""
        node: int | None = ROOT
        for token in response.tokens[:-1]:
            node = self._child.get((node, token)) if node is not None else None
        return node in self._expanded

    @property
    def threshold(self) -> float:
        """Prefixes no likelier than this lead to none of the `k_best` responses."""
        return self.best[self._k - 1].logprob if len(self.best) >= self._k else NEVER

    def path(self, node: int) -> list[int]:
        """The prefixes from the empty one (left out) to `node`."""
        nodes: list[int] = []
        while node != ROOT:
            nodes.append(node)
            node = self._parents[node]
        return nodes[::-1]

    def token(self, node: int) -> int:
        """Last token of a prefix."""
        return self._tokens[node]

    def response(self, node: int, token: int) -> tuple[int, ...]:
        """Tokens of a prefix and one more."""
        return (*(self._tokens[at] for at in self.path(node)), token)

    def take(self, count: int, budget: int, after_proof: float) -> list[int]:
        """Up to `count` prefixes to evaluate next, likeliest first. Prefixes evaluated before are expanded on the way.

        Until the mode is proved only prefixes likelier than the best response are: the first is among those that P6
        counts, others are speculation, made only while all expansions together stay below L / (upper bound on the
        mode's probability), which is at most L / pi(y*|x).

        Args:
            count: most prefixes to return.
            budget: most expansions in all.
            after_proof: most expansions once the mode is proved, as a share of those before.
        """
        upper = max(self.open_bound, self.best[0].logprob if self.best else NEVER)
        taken: list[int] = []
        while len(taken) < count and self.open_bound > self.threshold:
            if self.settled_at is None and self.expansions and self.is_settled(1):
                if taken:  # let these prove it first
                    break
                self.settled_at = self.expansions
            limit = budget if self.settled_at is None else min(budget, int(self.settled_at * (1 + after_proof)))
            spent = self.expansions + len(taken)
            if spent >= limit or (taken and math.log(spent + 1) > math.log(self._limit) - upper):
                break
            node = self._pop()
            if node in self._children and node not in self._expanded:
                self._expand(node)
            else:
                taken.append(node)
        return taken

    def record(self, node: int, found: Evaluation, *, expand: bool = True) -> None:
        """Take in what the model says follows a prefix.

        Args:
            node: the prefix.
            found: the evaluation, of every token above the threshold or as many as the model step lists.
            expand: open its children, as the search does; a greedy dive leaves them for later.
        """
        base, last = self._logprobs[node], self._depths[node] + 1 == self._limit
        for token, logprob in zip(self._ends, found.end_logprobs.tolist(), strict=True):
            self._offer(Complete(self.response(node, token), base + logprob, True))
        open_ = ~np.isin(found.tokens, self._ends)
        if node in self._expanded:  # the listed children ran out: these are the ones after them
            open_ &= ~np.isin(found.tokens, self._children[node][0])
        tokens, logprobs = found.tokens[open_], base + found.logprobs[open_]
        rest = base + found.rest
        if last:
            for token, logprob in zip(tokens[: self._k + 1].tolist(), logprobs[: self._k + 1].tolist(), strict=True):
                self._offer(Complete(self.response(node, token), logprob, False))
            self._dropped = max(self._dropped, logprobs[self._k + 1] if len(logprobs) > self._k + 1 else rest)
            tokens, logprobs, rest = tokens[:0], logprobs[:0], NEVER
        kept = logprobs > self.threshold
        if not kept.all():
            self._dropped = max(self._dropped, float(logprobs[~kept][0]), rest if rest <= self.threshold else NEVER)
        elif rest <= self.threshold:
            self._dropped = max(self._dropped, rest)
        tokens, logprobs = tokens[kept], logprobs[kept]
        rest = rest if rest > self.threshold else NEVER
        if node in self._expanded:
            before = self._children[node]
            self._children[node] = (np.concatenate([before[0], tokens]), np.concatenate([before[1], logprobs]), rest)
            self._push(node, len(before[0]))
            self.expansions += 1
        else:
            self._children[node] = (tokens, logprobs, rest)
            if expand:
                self._expand(node)

    def listed(self, node: int) -> int:
        """How many next tokens of a prefix were listed already (0 for one not evaluated yet)."""
        return len(self._children[node][0]) if node in self._expanded else 0

    def greedy_child(self, node: int, token: int, logprob: float) -> int:
        """The prefix one token longer, for a greedy dive; `logprob` is the token's own."""
        return self._child_of(node, token, self._logprobs[node] + logprob)

    def logprob(self, node: int) -> float:
        """Summed log-probability of a prefix."""
        return self._logprobs[node]

    def offer(self, response: Complete) -> None:
        """Make a complete response known."""
        self._offer(response)

    def _offer(self, response: Complete) -> None:
        others = [one for one in self.best if one.tokens != response.tokens]
        ranked = sorted([*others, response], key=lambda one: (-one.logprob, one.tokens))
        self.best, left = ranked[: self._k + 1], ranked[self._k + 1 :]
        for one in left:
            self._dropped = max(self._dropped, one.logprob)

    def _expand(self, node: int) -> None:
        self._expanded.add(node)
        self.expansions += 1
        self._push(node, 0)

    def _push(self, node: int, at: int) -> None:
        tokens, logprobs, rest = self._children[node]
        bound = float(logprobs[at]) if at < len(tokens) else rest
        if bound > self.threshold:
            heapq.heappush(self._heap, (-bound, node, at))
        else:
            self._dropped = max(self._dropped, bound)

    def _pop(self) -> int:
        """Take the likeliest open prefix; one whose listed children ran out comes back itself, to be evaluated
        again.
        """
        if self._waiting:
            self._waiting = False
            return ROOT
        _, node, at = heapq.heappop(self._heap)
        tokens, logprobs, _ = self._children[node]
        if at >= len(tokens):
            return node
        child = self._child_of(node, int(tokens[at]), float(logprobs[at]))
        self._push(node, at + 1)
        return child

    def _child_of(self, node: int, token: int, logprob: float) -> int:
        found = self._child.get((node, token))
        if found is None:
            found = self._child[node, token] = len(self._tokens)
            self._parents.append(node)
            self._tokens.append(token)
            self._depths.append(self._depths[node] + 1)
            self._logprobs.append(logprob)
        return found
