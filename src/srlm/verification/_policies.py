"""Small exact policies to check statements on, built without the code that they check.

Knows: random tables, and best-first search over a random token tree, written out plainly. Refuses to know: any formula.
"""

import heapq
from dataclasses import dataclass

import numpy as np


def random_table(rng: np.random.Generator, prompts: int = 5, responses: int = 6, spread: float = 1.5) -> np.ndarray:
    """(P, M) probabilities with normal logits: every row has one mode."""
    logits = spread * rng.standard_normal((prompts, responses))
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


def any_table(rng: np.random.Generator) -> np.ndarray:
    """A random table of random shape and spread."""
    return random_table(rng, int(rng.integers(1, 7)), int(rng.integers(2, 9)), float(rng.uniform(0.2, 4)))


def tied_table(rng: np.random.Generator, responses: int = 6, excess: float = 0.7) -> np.ndarray:
    """One prompt whose responses all tie except the mode, exp(excess) times as likely as each: P3 is sharp on it."""
    order = rng.permutation(responses)
    weights = np.where(order == 0, np.exp(excess), 1.0)
    return (weights / weights.sum())[None, :]


def power(table: np.ndarray, exponent: float) -> np.ndarray:
    """Every row to a power, normalised."""
    weights = (table / table.max(axis=1, keepdims=True)) ** exponent
    return weights / weights.sum(axis=1, keepdims=True)


def margins(table: np.ndarray) -> np.ndarray:
    """Each row's log-ratio of its two largest entries."""
    ordered = np.sort(table, axis=1)
    return np.log(ordered[:, -1] / ordered[:, -2])


def kappa_of(table: np.ndarray) -> float:
    """Mean over rows of one over the largest entry."""
    return float(np.mean(1 / table.max(axis=1)))


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A full tree of depth L over V tokens: `steps[d]` holds next-token probabilities of all V^d prefixes, (V^d, V)."""

    steps: tuple[np.ndarray, ...]

    def responses(self) -> np.ndarray:
        """Probabilities of all V^L responses."""
        total = np.ones(1)
        for step in self.steps:
            total = (total[:, None] * step).ravel()
        return total

    def greedy(self) -> int:
        """Number of the response that takes the likeliest token at every step."""
        at = 0
        for step in self.steps:
            at = at * step.shape[1] + int(np.argmax(step[at]))
        return at

    def search(self) -> tuple[int, int]:
        """Uniform-cost search: number of the mode, and prefixes expanded before it was proved, shorter ones first
        among equals.
        """
        frontier: list[tuple[float, int, int]] = [(-1.0, 0, 0)]
        expanded = 0
        while True:
            cost, depth, at = heapq.heappop(frontier)
            if depth == len(self.steps):
                return at, expanded
            expanded += 1
            for token, chance in enumerate(self.steps[depth][at]):
                if chance > 0:
                    heapq.heappush(frontier, (cost * chance, depth + 1, at * len(self.steps[depth][at]) + token))


def random_tree(rng: np.random.Generator, vocabulary: int = 3, depth: int = 4, spread: float = 1.5) -> TokenTree:
    """A tree with normal logits."""
    return TokenTree(tuple(random_table(rng, vocabulary**d, vocabulary, spread) for d in range(depth)))


def chains(number: int, depth: int) -> TokenTree:
    """`number` equally likely first tokens, each continued in one way: the search expands as much as P6 allows."""
    first = np.full((1, number), 1 / number)
    sure = np.eye(1, number)
    return TokenTree((first, *(np.tile(sure, (number**d, 1)) for d in range(1, depth))))
