"""Functions from features and parameters to scores: pi_theta(y|x) proportional to exp(score(phi(x, y); theta)).

Knows: scores and their derivatives, for a linear function and for one hidden layer. Refuses to know: how parameters are
learned.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Network(Protocol):
    """`size`: D for features of d dimensions. `scores`: (S, P, M) for theta (S, D) and phi (P, M, d). `jacobian`:
    (N, D) for theta (D,) and phi (N, d)."""

    def size(self, dimensions: int) -> int: ...

    def scores(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray: ...

    def jacobian(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray: ...


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
        return np.stack([self._active(one, phi) @ one[-self.hidden :] for one in theta])

    def jacobian(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        active = self._active(theta, phi)
        inner = ((1 - active**2) * theta[-self.hidden :])[:, :, None] * phi[:, None, :]
        return np.concatenate([inner.reshape(len(phi), -1), active], axis=1)

    def start(self, rng: np.random.Generator, features: np.ndarray, spread: float) -> np.ndarray:
        """Random parameters (D,) whose scores differ by `spread` nats at a prompt (standard deviation)."""
        inner = 2 * rng.standard_normal((self.hidden, features.shape[2])) / np.linalg.norm(features, axis=2).mean()
        theta = np.concatenate([inner.ravel(), rng.standard_normal(self.hidden)])
        theta[inner.size :] *= spread / self.scores(theta[None], features)[0].std(axis=1).mean()
        return theta

    def _active(self, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
        return np.tanh(phi @ theta[: -self.hidden].reshape(self.hidden, -1).T)
