"""Functions from features and parameters to scores: pi_theta(y|x) proportional to exp(score(phi(x, y); theta)).

Knows: scores and their derivatives, for a linear function and for one hidden layer. Refuses to know: how parameters are
learned.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Network(Protocol):
    """What the engine and its updates ask of a parametrised policy."""

    def size(self, dimensions: int) -> int:
        """D, the number of parameters for features of d dimensions."""
        ...

    def scores(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """(S, P, M) scores for parameters (S, D) and features (P, M, d)."""
        ...

    def jacobian(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        """(N, D) derivatives of the scores of features (N, d) at parameters (D,)."""
        ...


@dataclass(frozen=True)
class Linear:
    """<phi, theta>: linear softmax (docs/theory: linear-softmax)."""

    def size(self, dimensions: int) -> int:
        return dimensions

    def scores(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        return (theta @ phi.reshape(-1, phi.shape[2]).T).reshape(len(theta), *phi.shape[:2])

    def jacobian(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        return phi


@dataclass(frozen=True)
class TwoLayer:
    """<v, tanh(W phi)> with `hidden` units; theta holds W (hidden, d), then v."""

    hidden: int

    def size(self, dimensions: int) -> int:
        return self.hidden * (dimensions + 1)

    def scores(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        return np.stack([self._layers(one, phi)[0] for one in theta])

    def jacobian(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        _, active, outer = self._layers(theta, phi)
        inner = ((1 - active**2) * outer)[:, :, None] * phi[:, None, :]
        return np.concatenate([inner.reshape(len(phi), -1), active], axis=1)

    def start(self, rng: np.random.Generator, features: np.ndarray, spread: float) -> np.ndarray:
        """Random parameters (D,) whose scores differ by `spread` nats at a prompt (standard deviation)."""
        dimensions = features.shape[2]
        inner = 2 * rng.standard_normal((self.hidden, dimensions)) / np.linalg.norm(features, axis=2).mean()
        theta = np.concatenate([inner.ravel(), rng.standard_normal(self.hidden)])
        theta[inner.size :] *= spread / self.scores(theta[None], features)[0].std(axis=1).mean()
        return theta

    def _layers(self, theta: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inner, outer = theta[: -self.hidden].reshape(self.hidden, -1), theta[-self.hidden :]
        active = np.tanh(phi @ inner.T)
        return active @ outer, active, outer
