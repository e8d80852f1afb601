"""Updates of linear softmax parameters from one round's samples, for many seeds at once.

Knows: eq. 3 by exact least squares with the minimum-norm change and the exact ball constraint (docs/theory:
linear-softmax); DPO, IPO and best-of-K fine-tuning as their authors define them. S seeds, G groups (prompts drawn), K
responses each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from srlm.theory.objective import group_rows, pair_differences

# Eigenvalues of the normal equations below this share of the largest count as zero; one refinement step in the original
# rows restores what squaring the condition number loses (tests compare with numpy.linalg.lstsq).
_RANK = 1e-11


@dataclass(frozen=True)
class Sampled:
    """What an update sees.

    Attributes:
        theta: parameters before, (S, d).
        chosen: features of the sampled responses, (S, G, K, d).
        rewards: r(x, y) of each, (S, G, K).
        prompts: prompt of each group, (S, G).
        features: all features, (P, M, d).
        beta: KL strength > 0.
        radius: B, or None for no constraint.
        uniforms: (S, G, K(K-1)/2) uniform numbers, one a pair, for updates that draw labels.
    """

    theta: np.ndarray
    chosen: np.ndarray
    rewards: np.ndarray
    prompts: np.ndarray
    features: np.ndarray
    beta: float
    radius: float | None
    uniforms: np.ndarray


Update = Callable[[Sampled], np.ndarray]


def regression(sampled: Sampled) -> np.ndarray:
    """Eq. 3: least squares of beta*<dphi, theta - theta_t> on Delta; returns theta_{t+1}, (S, d)."""
    rows, targets = _pair_rows(sampled.chosen, sampled.rewards)
    return least_squares(sampled.theta, rows, targets / sampled.beta, sampled.radius)


def ipo(sampled: Sampled) -> np.ndarray:
    """IPO (Azar et al., arXiv 2310.12036): least squares on the margin 1/(2 beta) in favour of the better response."""
    rows, targets = _all_pairs(sampled.chosen, sampled.rewards)
    return least_squares(sampled.theta, rows, np.sign(targets) / (2 * sampled.beta), sampled.radius)


def dpo(sampled: Sampled, ridge: float = 1e-3) -> np.ndarray:
    """DPO (Rafailov et al., arXiv 2305.18290): logistic regression on winners drawn with probability sigmoid(Delta).

    Winners named without noise would be separable and the minimiser unbounded; drawn from the Bradley-Terry model the
    population optimum is that of eq. 3. `ridge`/2 times the squared change of theta is added to the mean loss, since
    few labels can be separable all the same.
    """
    rows, targets = _all_pairs(sampled.chosen, sampled.rewards)
    labels = sampled.uniforms.reshape(targets.shape) < _sigmoid(targets)
    return _logistic(sampled.theta, rows, np.where(labels, 1.0, -1.0), sampled.beta, sampled.radius, ridge)


def best_of_k(sampled: Sampled) -> np.ndarray:
    """Maximum likelihood on each group's response of highest reward."""
    seeds = np.arange(len(sampled.theta))[:, None]
    groups = np.arange(sampled.chosen.shape[1])[None, :]
    return _likelihood(sampled, sampled.chosen[seeds, groups, sampled.rewards.argmax(axis=2)].mean(axis=1))


def uniform(sampled: Sampled) -> np.ndarray:
    """Maximum likelihood on every sample, whatever its reward: the control."""
    return _likelihood(sampled, sampled.chosen.mean(axis=(1, 2)))


UPDATES: dict[str, Update] = {
    "regression": regression, "dpo": dpo, "ipo": ipo, "best-of-k": best_of_k, "uniform": uniform
}  # fmt: skip


def least_squares(theta: np.ndarray, rows: np.ndarray, targets: np.ndarray, radius: float | None = None) -> np.ndarray:
    """argmin over theta' of |rows (theta' - theta) - targets|^2, the closest minimiser to theta; then within the ball.

    Outside the span of the rows theta is kept. Where the minimiser has norm above the radius, the ball-constrained
    problem is solved exactly by its secular equation.

    Args:
        theta: (S, d).
        rows: (S, N, d).
        targets: (S, N).
        radius: B > 0, or None.

    Returns:
        (S, d).
    """
    across = rows.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(across @ rows)
    live = values > _RANK * values[:, -1:]
    live &= values > 0
    inverse = np.where(live, 1 / np.where(live, values, 1.0), 0.0)

    def solve(residual: np.ndarray) -> np.ndarray:
        within = (across @ residual[..., None])[..., 0]
        return (vectors @ (inverse * (vectors.transpose(0, 2, 1) @ within[..., None])[..., 0])[..., None])[..., 0]

    change = solve(targets)
    change += solve(targets - (rows @ change[..., None])[..., 0])
    free = theta + change
    if radius is None:
        return free
    outside = np.linalg.norm(free, axis=1) > radius
    if outside.any():
        free[outside] = _ball_constrained(free[outside], values[outside], vectors[outside], live[outside], radius)
    return free


def _ball_constrained(
    free: np.ndarray, values: np.ndarray, vectors: np.ndarray, live: np.ndarray, radius: float
) -> np.ndarray:
    """The constrained minimiser, given the free one: (V^T theta)_i = lambda_i u_i/(lambda_i + mu) with |theta| = B.

    Where the part in the span already fits (mu = 0), the part outside it, which the loss does not see, is shortened.
    """
    along = (vectors.transpose(0, 2, 1) @ free[..., None])[..., 0]
    inside = np.where(live, along, 0.0)
    room = radius**2 - (inside**2).sum(axis=1)
    beyond = np.linalg.norm(along - inside, axis=1)
    shrunk = inside + (along - inside) * (np.sqrt(np.maximum(room, 0)) / np.maximum(beyond, 1e-300))[:, None]
    tight = room < 0
    if tight.any():
        lam, u = np.where(live, values, 0.0)[tight], inside[tight]
        mu = np.zeros(len(lam))
        for _ in range(100):  # Newton on 1/|w(mu)| - 1/B, concave and increasing in mu: monotone from 0
            weights = lam / (lam + mu[:, None] + (lam == 0))
            w = weights * u
            norm = np.linalg.norm(w, axis=1)
            slope = (w**2 / (lam + mu[:, None] + (lam == 0))).sum(axis=1) / norm**3
            step = (1 / radius - 1 / norm) / slope
            mu = np.maximum(mu + step, 0.0)
            if np.all(np.abs(step) <= 1e-15 * np.maximum(mu, 1e-300)):
                break
        w = lam / (lam + mu[:, None] + (lam == 0)) * u
        shrunk[tight] = w * (radius / np.linalg.norm(w, axis=1))[:, None]
    return (vectors @ shrunk[..., None])[..., 0]


def _pair_rows(chosen: np.ndarray, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose normal equations are those of all pairs: the differences for K = 2, else sqrt(K) * centred (P2)."""
    if chosen.shape[2] == 2:
        return chosen[:, :, 0] - chosen[:, :, 1], rewards[:, :, 0] - rewards[:, :, 1]
    rows = group_rows(chosen, chosen.mean(axis=2, keepdims=True), chosen.shape[2])
    targets = group_rows(rewards, rewards.mean(axis=2, keepdims=True), chosen.shape[2])
    return rows.reshape(len(rows), -1, rows.shape[-1]), targets.reshape(len(rows), -1)


def _all_pairs(chosen: np.ndarray, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, targets = pair_differences(chosen, axis=2), pair_differences(rewards, axis=2)
    return rows.reshape(len(rows), -1, rows.shape[-1]), targets.reshape(len(rows), -1)


def _logistic(
    theta: np.ndarray, rows: np.ndarray, signs: np.ndarray, beta: float, radius: float | None, ridge: float
) -> np.ndarray:
    """Newton's method for mean log(1 + exp(-sign*beta*<row, change>)) + ridge/2 |change|^2, steps halved to descend."""
    count, size = rows.shape[1], rows.shape[2]
    change = np.zeros_like(theta)

    def loss(at: np.ndarray) -> np.ndarray:
        scores = signs * beta * (rows @ at[..., None])[..., 0]
        return np.logaddexp(0, -scores).mean(axis=1) + 0.5 * ridge * (at**2).sum(axis=1)

    now = loss(change)
    for _ in range(30):
        scores = signs * beta * (rows @ change[..., None])[..., 0]
        pull = _sigmoid(-scores)
        gradient = -beta * (rows.transpose(0, 2, 1) @ (signs * pull)[..., None])[..., 0] / count + ridge * change
        weights = pull * (1 - pull) * beta**2 / count
        hessian = rows.transpose(0, 2, 1) @ (rows * weights[..., None]) + ridge * np.eye(size)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        scale = np.ones(len(theta))
        fresh = loss(change - step)
        for _ in range(20):
            worse = fresh > now + 1e-14
            if not worse.any():
                break
            scale[worse] *= 0.5
            fresh = loss(change - scale[:, None] * step)
        change = change - scale[:, None] * step
        done = np.abs(now - fresh) <= 1e-12 * np.maximum(1.0, np.abs(now))
        now = fresh
        if done.all():
            break
    return _into_ball(theta + change, radius)


def _likelihood(sampled: Sampled, target: np.ndarray) -> np.ndarray:
    """Maximum likelihood from theta_t of responses whose mean features are `target`, (S, d); Newton's method."""
    fitted = [
        _fit(sampled.features, prompts, wanted, start, steps=50)
        for prompts, wanted, start in zip(sampled.prompts, target, sampled.theta, strict=True)
    ]
    return _into_ball(np.stack(fitted), sampled.radius)


def _fit(features: np.ndarray, prompts: np.ndarray, target: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """Newton's method for the likelihood of linear softmax: the model's mean feature meets the target."""
    used, counts = np.unique(prompts, return_counts=True)
    phi, share = features[used].astype(np.float64), counts / counts.sum()
    flat, theta = phi.reshape(-1, phi.shape[2]), start.copy()

    def loss(at: np.ndarray) -> float:
        return float(share @ np.logaddexp.reduce(phi @ at, axis=1) - target @ at)

    now = loss(theta)
    for _ in range(steps):
        scores = phi @ theta
        chance = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        mean = np.einsum("pm,pmd->pd", chance, phi)
        gradient = target - share @ mean
        hessian = flat.T @ (flat * (share[:, None] * chance).reshape(-1, 1)) - mean.T @ (mean * share[:, None])
        # The smallest ridge that keeps the step finite where directions are not seen.
        ridge = 1e-9 * max(float(np.trace(hessian)), 1e-9)
        step = np.linalg.solve(hessian + ridge * np.eye(len(theta)), gradient)
        scale = 1.0
        while (fresh := loss(theta + scale * step)) > now + 1e-15 * abs(now) and scale > 1e-6:
            scale /= 2
        theta, gain, now = theta + scale * step, now - fresh, fresh
        if gain <= 1e-13 * max(1.0, abs(now)):
            break
    return theta


def _into_ball(theta: np.ndarray, radius: float | None) -> np.ndarray:
    if radius is None:
        return theta
    return theta * np.minimum(1.0, radius / np.maximum(np.linalg.norm(theta, axis=1), 1e-300))[:, None]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * values))
