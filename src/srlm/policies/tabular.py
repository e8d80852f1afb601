"""Policies given as a table of log-probabilities.

Knows: every exact quantity of a finite policy; the other policies turn into this one.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory.conditioning import Conditioning, condition, mean_probability


@dataclass(frozen=True)
class TabularPolicy:
    """pi(y|x) for P prompts and M responses.

    Attributes:
        logprobs: (P, M) in nats, -inf for impossible responses; rows sum to 1.
        weights: (P,) prompt probabilities.
    """

    logprobs: np.ndarray
    weights: np.ndarray

    @classmethod
    def from_logits(cls, logits: ArrayLike, weights: ArrayLike | None = None) -> "TabularPolicy":
        """The softmax of (P, M) scores; prompts are uniform unless `weights` (P,) say otherwise.

        Raises:
            InputError: scores that are not a table of numbers, or weights that do not fit.
        """
        scores = np.asarray(logits, dtype=np.float64)
        if scores.ndim != 2 or scores.size == 0 or np.isnan(scores).any() or (scores == np.inf).any():
            raise InputError(f"logits have shape {scores.shape}; give a finite table (prompts, responses)")
        share = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
        if share.shape != (len(scores),) or not np.isfinite(share).all() or (share < 0).any() or share.sum() <= 0:
            raise InputError(f"weights must be {len(scores)} numbers >= 0 with a positive sum")
        return cls(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True), share / share.sum())

    @cached_property
    def modes(self) -> np.ndarray:
        """(P,) number of each prompt's most likely response (the first of tied ones)."""
        return self.logprobs.argmax(axis=1)

    @cached_property
    def mode_logprobs(self) -> np.ndarray:
        """(P,) log pi(y*|x)."""
        return self.logprobs.max(axis=1)

    @cached_property
    def margins(self) -> np.ndarray:
        """(P,) log pi(y*|x) minus the runner-up's; inf where there is no other response."""
        if self.logprobs.shape[1] == 1:
            return np.full(len(self.logprobs), np.inf)
        top = np.partition(self.logprobs, -2, axis=1)[:, -2:]
        return top[:, 1] - top[:, 0]

    def conditioning(self, mass_slack: float = 0.5) -> Conditioning:
        """kappa, failure rate, minimum confidence and margin (docs/theory: setting)."""
        return condition(self.logprobs, mass_slack, self.weights)

    def accuracy(self, correct: ArrayLike) -> float:
        """Probability that a sampled response is the correct one; `correct`: (P,) response numbers."""
        rows = np.arange(len(self.logprobs))
        return mean_probability(self.logprobs[rows, np.asarray(correct)], self.weights)
