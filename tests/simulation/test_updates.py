"""Updates against generic solvers, optimality conditions, and definitions written pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from srlm.policies.networks import Linear, TwoLayer
from srlm.simulation.updates import (
    UPDATES,
    Sampled,
    Update,
    best_of_k,
    dpo,
    ipo,
    least_squares,
    projection,
    regression,
    uniform,
)

quick = settings(deadline=None, max_examples=40, derandomize=True, database=None)


def sampled(rng: np.random.Generator, k: int = 2, groups: int = 40, d: int = 5, radius: float | None = None) -> Sampled:
    features = rng.standard_normal((6, 7, d))
    prompts = rng.integers(0, 6, (3, groups))
    responses = rng.integers(0, 7, (3, groups, k))
    return Sampled(
        theta=rng.standard_normal((3, d)),
        chosen=features[prompts[..., None], responses],
        rewards=rng.standard_normal((3, groups, k)),
        prompts=prompts,
        responses=responses,
        features=features,
        beta=0.7,
        radius=radius,
        uniforms=rng.random((3, groups, k * (k - 1) // 2)),
    )


@quick
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 8))
def test_least_squares_equals_a_generic_solver(seed: int, rows: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, theta = rng.standard_normal((2, rows, d)), rng.standard_normal((2, rows)), rng.standard_normal((2, d))
    a[1] *= 10.0 ** -np.arange(d).clip(0, 3)  # badly scaled columns
    found = least_squares(theta, a, b)
    for k in range(2):
        expected = theta[k] + np.linalg.lstsq(a[k], b[k], rcond=1e-9)[0]
        assert found[k] == pytest.approx(expected, rel=1e-8, abs=1e-8 * (1 + np.abs(expected).max()))


def test_outside_the_span_of_the_rows_theta_is_kept() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    rows = (rng.standard_normal((1, 20, 3)) @ basis[:3])[0][None]
    theta = rng.standard_normal((1, 6))
    found = least_squares(theta, rows, rng.standard_normal((1, 20)))
    assert basis[3:] @ found[0] == pytest.approx(basis[3:] @ theta[0])
    assert np.abs(basis[:3] @ (found - theta)[0]).min() > 1e-3
    assert least_squares(theta, np.zeros((1, 4, 6)), np.zeros((1, 4))) == pytest.approx(theta)


@quick
@given(st.integers(0, 10**6), st.floats(0.05, 3), st.integers(1, 12))
def test_the_ball_constrained_solution_satisfies_its_optimality_conditions(seed: int, radius: float, rows: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((1, rows, 6)), 2 * rng.standard_normal((1, rows))
    theta = rng.standard_normal((1, 6))
    theta *= min(1, radius / np.linalg.norm(theta))
    found = least_squares(theta, a, b, radius)[0]
    free = least_squares(theta, a, b)[0]
    assert np.linalg.norm(found) <= radius * (1 + 1e-12)
    # KKT: A^T(A(theta' - theta) - b) + mu theta' = 0 with mu >= 0, mu = 0 inside.
    gradient = a[0].T @ (a[0] @ (found - theta[0]) - b[0])
    mu = -float(gradient @ found) / float(found @ found)
    scale = np.linalg.norm(a[0], 2) ** 2 * max(1.0, radius)
    assert np.abs(gradient + mu * found).max() <= 1e-8 * scale
    assert mu >= -1e-8 * scale
    if np.linalg.norm(free) <= radius:
        assert found == pytest.approx(free)
    # And no feasible point found by a generic solver is better.
    loss = lambda t: float(((a[0] @ (t - theta[0]) - b[0]) ** 2).sum())  # noqa: E731
    other = minimize(loss, theta[0] * 0.9, constraints={"type": "ineq", "fun": lambda t: radius**2 - t @ t}, tol=1e-12)
    assert loss(found) <= other.fun + 1e-6 * max(1.0, abs(other.fun))


def test_noise_free_self_rewards_are_sharpened_exactly() -> None:
    rng = np.random.default_rng(3)
    one = sampled(rng, groups=200)
    rewards = np.einsum("sgkd,sd->sgk", one.chosen, one.theta)  # log pi_t up to a constant of the prompt
    found = regression(Sampled(**{**one.__dict__, "rewards": rewards}))
    assert found == pytest.approx((1 + 1 / one.beta) * one.theta, rel=1e-9)


@pytest.mark.parametrize("k", [3, 5])
def test_groups_give_all_their_pairs(k: int) -> None:
    one = sampled(np.random.default_rng(4), k=k)
    found = regression(one)
    for s in range(3):
        rows, targets = [], []
        for g in range(one.chosen.shape[1]):
            for i in range(k):
                for j in range(i):
                    rows.append(one.chosen[s, g, i] - one.chosen[s, g, j])
                    targets.append((one.rewards[s, g, i] - one.rewards[s, g, j]) / one.beta)
        expected = one.theta[s] + np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
        assert found[s] == pytest.approx(expected, rel=1e-8)


def test_ipo_regresses_on_a_constant_margin() -> None:
    one = sampled(np.random.default_rng(5))
    rows = one.chosen[:, :, 0] - one.chosen[:, :, 1]
    signs = np.sign(one.rewards[:, :, 0] - one.rewards[:, :, 1])
    for s in range(3):
        expected = one.theta[s] + np.linalg.lstsq(rows[s], signs[s] / (2 * one.beta), rcond=None)[0]
        assert ipo(one)[s] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("ridge", [1e-3, 0.3])
def test_dpo_minimises_its_logistic_loss(ridge: float) -> None:
    one = sampled(np.random.default_rng(6), groups=120)
    found = dpo(one, ridge)
    rows = one.chosen[:, :, 0] - one.chosen[:, :, 1]
    gaps = one.rewards[:, :, 0] - one.rewards[:, :, 1]
    labels = np.where(one.uniforms[:, :, 0] < 1 / (1 + np.exp(-gaps)), 1, -1)
    for s in range(3):

        def loss(t: np.ndarray, s: int = s) -> float:
            scores = labels[s] * one.beta * (rows[s] @ (t - one.theta[s]))
            return float(np.logaddexp(0, -scores).mean() + 0.5 * ridge * ((t - one.theta[s]) ** 2).sum())

        best = minimize(loss, one.theta[s], tol=1e-12)
        assert loss(found[s]) <= best.fun + 1e-9
        assert found[s] == pytest.approx(best.x, abs=1e-3)


def test_dpo_on_many_labels_agrees_with_the_regression() -> None:
    rng = np.random.default_rng(7)
    one = sampled(rng, groups=40_000, d=3)
    rewards = np.einsum("sgkd,d->sgk", one.chosen, np.array([0.5, -0.3, 0.8]))
    many = Sampled(**{**one.__dict__, "rewards": rewards})
    assert dpo(many) == pytest.approx(regression(many), abs=0.15)
    assert np.abs(dpo(many) - one.theta).max() > 0.3


@pytest.mark.parametrize("update", [best_of_k, uniform])
def test_likelihood_meets_the_mean_feature_of_its_samples(update: Update) -> None:
    one = sampled(np.random.default_rng(8), k=4, groups=300)
    found = update(one)
    for s in range(3):
        winners = one.chosen[s, np.arange(300), one.rewards[s].argmax(axis=1)].mean(axis=0)
        winners = winners if update is best_of_k else one.chosen[s].mean(axis=(0, 1))
        scores = one.features @ found[s]
        chance = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        mean = np.einsum("pm,pmd->pd", chance, one.features)[one.prompts[s]].mean(axis=0)
        assert mean == pytest.approx(winners, abs=1e-6)


@pytest.mark.parametrize("name", UPDATES)
def test_every_update_stays_in_the_ball_and_treats_seeds_apart(name: str) -> None:
    one = sampled(np.random.default_rng(9), radius=1.5)
    found = UPDATES[name](one)
    assert np.linalg.norm(found, axis=1).max() <= 1.5 * (1 + 1e-12)
    alone = {
        k: v[1:2] if k in ("theta", "chosen", "rewards", "prompts", "responses", "uniforms") else v
        for k, v in one.__dict__.items()
    }
    assert UPDATES[name](Sampled(**alone))[0] == pytest.approx(found[1], rel=1e-6)


def two_layers(seed: int = 11, k: int = 3) -> Sampled:
    """Samples of a policy with three hidden units, the rewards its own log-probabilities."""
    rng, network = np.random.default_rng(seed), TwoLayer(3)
    one = sampled(rng, k=k, groups=60, d=4)
    theta = np.stack([network.start(rng, one.features, 1.5) for _ in range(3)])
    net = Sampled(**{**one.__dict__, "theta": theta, "network": network})
    seeds = np.arange(3)[:, None, None]
    rewards = net.logprobs()[seeds, net.prompts[..., None], net.responses]
    return Sampled(**{**net.__dict__, "rewards": rewards})


def test_a_network_is_its_formula_and_its_derivatives_are_its_slopes() -> None:
    rng, network = np.random.default_rng(12), TwoLayer(3)
    features = rng.standard_normal((5, 6, 4))
    theta = network.start(rng, features, 1.5)
    assert network.size(4) == len(theta) == 15
    inner, outer = theta[:12].reshape(3, 4), theta[12:]
    by_hand = [[sum(outer[h] * np.tanh(inner[h] @ phi) for h in range(3)) for phi in row] for row in features]
    assert network.scores(theta[None], features)[0] == pytest.approx(np.array(by_hand))
    assert np.std(by_hand, axis=1).mean() == pytest.approx(1.5)
    flat = features.reshape(-1, 4)
    for at in range(15):
        ahead, behind = theta.copy(), theta.copy()
        ahead[at] += 1e-6
        behind[at] -= 1e-6
        slope = (network.scores(ahead[None], flat[None])[0, 0] - network.scores(behind[None], flat[None])[0, 0]) / 2e-6
        assert network.jacobian(theta, flat)[:, at] == pytest.approx(slope, abs=1e-7)


def test_regression_of_a_network_finds_no_better_point_by_a_generic_solver() -> None:
    one = two_layers()
    fitted = regression(one)
    for s in range(3):
        before = one.network.scores(one.theta[s][None], one.chosen[s])[0]

        def loss(theta: np.ndarray, s: int = s, before: np.ndarray = before) -> float:
            change = one.beta * (one.network.scores(theta[None], one.chosen[s])[0] - before) - one.rewards[s]
            return sum(float(((change[:, i] - change[:, j]) ** 2).sum()) for i in range(3) for j in range(i))

        assert loss(fitted[s]) < 0.2 * loss(one.theta[s])
        assert minimize(loss, fitted[s], tol=1e-10).fun >= loss(fitted[s]) * (1 - 1e-4) - 1e-9


def test_gauss_newton_on_a_linear_network_is_least_squares() -> None:
    class Unknown:  # linear, but not known to be
        size, scores, jacobian = Linear.size, Linear.scores, Linear.jacobian

    one = sampled(np.random.default_rng(13), k=3)
    assert regression(Sampled(**{**one.__dict__, "network": Unknown()})) == pytest.approx(regression(one), rel=1e-6)


@pytest.mark.parametrize("modes", [False, True])
@pytest.mark.parametrize("kind", ["linear", "two layers"])
def test_projection_maximises_the_likelihood_of_its_target(kind: str, modes: bool) -> None:
    one = two_layers() if kind == "two layers" else sampled(np.random.default_rng(14), k=3)
    fitted, table = projection(one, modes), one.logprobs()
    for s in range(3):
        target = np.zeros(table.shape[1:])
        for prompt in set(one.prompts[s].tolist()):
            rewards = {}
            if modes:
                rewards[int(table[s, prompt].argmax())] = float(table[s, prompt].max())
            for group in np.flatnonzero(one.prompts[s] == prompt):
                rewards |= dict(zip(one.responses[s, group].tolist(), one.rewards[s, group].tolist(), strict=True))
            weights = {y: np.exp(table[s, prompt, y] + r / one.beta) for y, r in rewards.items()}
            for y, weight in weights.items():
                target[prompt, y] = weight / sum(weights.values())

        def loss(theta: np.ndarray, target: np.ndarray = target) -> float:
            scores = one.network.scores(theta[None], one.features)[0]
            return -float((target * (scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))).sum())

        assert loss(fitted[s]) < loss(one.theta[s])
        slack = 0.02 if kind == "two layers" else 1e-6  # the last of a curved valley is left
        assert minimize(loss, fitted[s], tol=1e-10).fun >= loss(fitted[s]) * (1 - slack)
