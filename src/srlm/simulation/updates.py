"""Updates of a policy's parameters from one round's samples, for many seeds at once.

Knows: eq. 3 by exact least squares with the minimum-norm change and the exact ball constraint (docs/theory:
linear-softmax), and by Gauss-Newton where scores are not linear; projection (P8); DPO, IPO and best-of-K
fine-tuning as their authors define them. S seeds, G groups (prompts drawn), K responses each. Refuses to know: how
responses were drawn, and what rewards mean.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from srlm.policies.networks import Linear, Network
from srlm.theory import projection_weights
from srlm.theory.objective import group_rows, pair_differences

# Eigenvalues of the normal equations below this share of the largest count as zero; one refinement step in the original
# rows restores what squaring the condition number loses (tests compare with numpy.linalg.lstsq).
_RANK = 1e-11
LINEAR = Linear()


@dataclass(frozen=True)
class Sampled:
    """What an update sees.

    Attributes:
        theta: parameters before, (S, D).
        chosen: features of the sampled responses, (S, G, K, d).
        rewards: r(x, y) of each, (S, G, K).
        prompts: prompt of each group, (S, G).
        responses: number of each response, (S, G, K).
        features: all features, (P, M, d).
        beta: KL strength > 0.
        radius: B, or None for no constraint.
        uniforms: (S, G, K(K-1)/2) uniform numbers, one a pair, for updates that draw labels.
        network: what makes scores of parameters and features.
    """

    theta: np.ndarray
    chosen: np.ndarray
    rewards: np.ndarray
    prompts: np.ndarray
    responses: np.ndarray
    features: np.ndarray
    beta: float
    radius: float | None
    uniforms: np.ndarray
    network: Network = LINEAR

    def logprobs(self) -> np.ndarray:
        """log pi_t of every response, (S, P, M)."""
        scores = self.network.scores(self.theta, self.features)
        return scores - np.logaddexp.reduce(scores, axis=2, keepdims=True)


Update = Callable[[Sampled], np.ndarray]


def regression(sampled: Sampled) -> np.ndarray:
    """Eq. 3: least squares of beta*(change of the difference of scores) on Delta; returns theta_{t+1}, (S, D)."""
    if not isinstance(sampled.network, Linear):
        return _into_ball(np.stack([_differences(sampled, seed) for seed in range(len(sampled.theta))]), sampled.radius)
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
    best = np.take_along_axis(sampled.responses, sampled.rewards.argmax(axis=2)[..., None], axis=2)
    return _likelihood(sampled, _counts(sampled, best))


def uniform(sampled: Sampled) -> np.ndarray:
    """Maximum likelihood on every sample, whatever its reward: the control."""
    return _likelihood(sampled, _counts(sampled, sampled.responses))


def projection(sampled: Sampled, modes: bool = False) -> np.ndarray:
    """P8: likelihood of q proportional to pi_t(y)*exp(r(y)/beta) on the distinct responses known at each prompt, of
    which pi_t's mode is one if `modes`, with the self-reward. The reward of a response that was drawn twice is its last
    one.
    """
    known, table = known_responses(sampled, modes), sampled.logprobs()
    rewards = np.where(known, table, 0.0)
    seeds = np.arange(len(known))[:, None, None]
    rewards[seeds, sampled.prompts[..., None], sampled.responses] = sampled.rewards
    target, used = np.zeros_like(table), known.any(axis=2)
    target[used] = projection_weights(np.where(known, table, -np.inf)[used], sampled.beta, rewards[used])
    return _likelihood(sampled, target)


def known_responses(sampled: Sampled, modes: bool = False) -> np.ndarray:
    """(S, P, M) which responses are known at the prompts that were drawn: those sampled, and pi_t's mode if `modes`."""
    known = _counts(sampled, sampled.responses) > 0
    if modes:
        table = sampled.logprobs()
        known |= (table == table.max(axis=2, keepdims=True)) & known.any(axis=2, keepdims=True)
    return known


UPDATES: dict[str, Update] = {
    "regression": regression, "dpo": dpo, "ipo": ipo,
    "best-of-k": best_of_k, "uniform": uniform, "projection": projection,
}  # fmt: skip
LINEAR_ONLY = ("dpo", "ipo")


def least_squares(theta: np.ndarray, rows: np.ndarray, targets: np.ndarray, radius: float | None = None) -> np.ndarray:
    """argmin over theta' of |rows (theta' - theta) - targets|^2, the closest minimiser to theta; then within the ball.

    Outside the span of the rows theta is kept. Where the minimiser has norm above the radius, the ball-constrained
    problem is solved exactly by its secular equation. Of theta (S, d), rows (S, N, d) and targets (S, N): (S, d).
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


def _counts(sampled: Sampled, responses: np.ndarray) -> np.ndarray:
    """How often each response is among (S, G, k) of them, (S, P, M)."""
    size, (prompts, width, _) = len(sampled.theta), sampled.features.shape
    seeds = np.broadcast_to(np.arange(size)[:, None, None], responses.shape)
    places = np.ravel_multi_index(
        (seeds, np.broadcast_to(sampled.prompts[..., None], responses.shape), responses), (size, prompts, width)
    )
    return np.bincount(places.ravel(), minlength=size * prompts * width).reshape(size, prompts, width).astype(float)


def _differences(sampled: Sampled, seed: int) -> np.ndarray:
    """Eq. 3 over all pairs of one seed's groups (P2), by a trust region around theta_t."""
    network, theta, phi = sampled.network, sampled.theta[seed], sampled.chosen[seed]
    wanted = network.scores(theta[None], phi)[0] + sampled.rewards[seed] / sampled.beta

    def rows(values: np.ndarray) -> np.ndarray:
        return group_rows(values, values.mean(axis=1, keepdims=True), phi.shape[1]).reshape(-1, *values.shape[2:])

    def slopes(at: np.ndarray) -> np.ndarray:
        return rows(network.jacobian(at, phi.reshape(-1, phi.shape[2])).reshape(*phi.shape[:2], -1))

    residual = lambda at: rows(network.scores(at[None], phi)[0] - wanted)  # noqa: E731
    return optimize.least_squares(residual, theta, slopes, max_nfev=100).x  # pyright: ignore[reportArgumentType]


def _likelihood(sampled: Sampled, target: np.ndarray) -> np.ndarray:
    """Maximum of sum target*log pi, (S, P, M) weights, from theta_t; then within the ball."""
    fitted = []
    for theta, weights in zip(sampled.theta, target, strict=True):
        used = weights.sum(axis=1) > 0
        phi = sampled.features[used].astype(np.float64, copy=False)
        fitted.append(_fit(sampled.network, theta, phi, weights[used] / weights.sum()))
    return _into_ball(np.stack(fitted), sampled.radius)


def _fit(network: Network, start: np.ndarray, phi: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least mean of -log pi, weighted by a target (P, M) with sum 1, by Newton-CG with the Gauss-Newton matrix."""
    share = target.sum(axis=1, keepdims=True)

    def chances(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = network.scores(theta[None], phi)[0]
        total = np.logaddexp.reduce(scores, axis=1, keepdims=True)
        return scores - total, share * np.exp(scores - total)

    def gradient(theta: np.ndarray) -> np.ndarray:
        return network.jacobian(theta, phi.reshape(-1, phi.shape[2])).T @ (chances(theta)[1] - target).ravel()

    def matrix(theta: np.ndarray) -> np.ndarray:
        slopes, weights = network.jacobian(theta, phi.reshape(-1, phi.shape[2])), chances(theta)[1]
        mean = np.einsum("pm,pmd->pd", weights, slopes.reshape(*weights.shape, -1))
        return slopes.T @ (slopes * weights.reshape(-1, 1)) - mean.T @ (mean / share)

    loss = lambda theta: -float((target * chances(theta)[0]).sum())  # noqa: E731
    options = {"maxiter": 100}
    return optimize.minimize(loss, start, jac=gradient, hess=matrix, method="Newton-CG", options=options).x


def _into_ball(theta: np.ndarray, radius: float | None) -> np.ndarray:
    if radius is None:
        return theta
    return theta * np.minimum(1.0, radius / np.maximum(np.linalg.norm(theta, axis=1), 1e-300))[:, None]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * values))
