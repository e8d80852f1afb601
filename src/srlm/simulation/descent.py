"""Damped Gauss-Newton for the two losses whose scores need not be linear in the parameters: likelihood, and eq. 3.

Knows: losses, gradients and Gauss-Newton matrices through a network's derivatives; steps that go down. Refuses to know:
where targets and rewards come from.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from srlm.policies.networks import Network
from srlm.theory.objective import group_rows


class Problem(Protocol):
    def loss(self, theta: np.ndarray) -> float: ...

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient (D,) and a positive semi-definite stand-in for the second derivative, (D, D)."""
        ...


def descend(start: np.ndarray, problem: Problem, steps: int = 60) -> np.ndarray:
    """A minimiser near `start`: Gauss-Newton steps, damped until they go down, until a step gains nothing.

    A likelihood without a maximum (separable samples) ends after `steps` steps.
    """
    theta, now, damping = start, problem.loss(start), 1e-9
    for _ in range(steps):
        gradient, matrix = problem.derivatives(theta)
        scale = max(float(np.trace(matrix)), 1e-9)
        while True:
            step = np.linalg.solve(matrix + damping * scale * np.eye(len(theta)), gradient)
            fresh = problem.loss(theta - step)
            if fresh <= now + 1e-15 * abs(now) or damping > 1e6:
                break
            damping *= 10
        if fresh > now:
            return theta
        theta, gain, now, damping = theta - step, now - fresh, fresh, max(damping / 10, 1e-9)
        if gain <= 1e-13 * max(1.0, abs(now)):
            break
    return theta


@dataclass(frozen=True)
class Likelihood:
    """Mean of -log pi over the responses of some prompts, weighted by a target.

    Attributes:
        network: scores.
        phi: (P, M, d).
        target: (P, M) weights >= 0 with sum 1; a row's sum is its prompt's share.
    """

    network: Network
    phi: np.ndarray
    target: np.ndarray

    def loss(self, theta: np.ndarray) -> float:
        scores = self.network.scores(theta[None], self.phi)[0]
        return float(self.target.sum(axis=1) @ np.logaddexp.reduce(scores, axis=1) - (self.target * scores).sum())

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = self.network.scores(theta[None], self.phi)[0]
        chance = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        share = self.target.sum(axis=1, keepdims=True)
        slopes = self.network.jacobian(theta, self.phi.reshape(-1, self.phi.shape[2]))
        mean = np.einsum("pm,pmd->pd", chance, slopes.reshape(*chance.shape, -1))
        weights = (share * chance).reshape(-1, 1)
        gradient = slopes.T @ (weights[:, 0] - self.target.ravel())
        return gradient, slopes.T @ (slopes * weights) - mean.T @ (mean * share)


@dataclass(frozen=True)
class Differences:
    """Eq. 3 over all pairs of every group (P2), as half a mean over groups, divided by beta^2.

    Attributes:
        network: scores.
        phi: (G, K, d) features of the groups' responses.
        wanted: (G, K) scores that would leave no residual: those of pi_t plus r/beta.
    """

    network: Network
    phi: np.ndarray
    wanted: np.ndarray

    def _rows(self, values: np.ndarray) -> np.ndarray:
        rows = group_rows(values, values.mean(axis=1, keepdims=True), values.shape[1])
        return rows.reshape(-1, *rows.shape[2:]) / np.sqrt(len(self.phi))

    def loss(self, theta: np.ndarray) -> float:
        return float((self._rows(self.network.scores(theta[None], self.phi)[0] - self.wanted) ** 2).sum() / 2)

    def derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        residual = self._rows(self.network.scores(theta[None], self.phi)[0] - self.wanted)
        slopes = self.network.jacobian(theta, self.phi.reshape(-1, self.phi.shape[2]))
        rows = self._rows(slopes.reshape(*self.phi.shape[:2], -1))
        return rows.T @ residual, rows.T @ rows
