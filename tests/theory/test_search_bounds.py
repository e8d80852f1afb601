"""P9 against simulation of its events, tails of the binomial, and brute force over instances."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from srlm import theory
from srlm.errors import InputError

RUNS = 2000


def allowed(rho: float, runs: int = RUNS) -> float:
    """Most violations that a chance of rho each leaves possible with p > 0.001."""
    return float(stats.binom.ppf(0.999, runs, rho))


def test_p9_check_values() -> None:
    size = math.log(1e6)
    assert theory.search_failure_bound(size, 200) == pytest.approx(0.0840562142, abs=1e-9)
    assert theory.search_failure_bound(size, 200, loss=3.0) == pytest.approx(0.1981124283, abs=1e-9)
    assert theory.search_failure_bound(size, 200, loss=3.0, eta=1.0) == pytest.approx((size + math.log(20) + 3) / 100)
    assert theory.hellinger_gap(0.5, 0.1) == pytest.approx(0.2111456180, abs=1e-9)
    assert theory.worst_search_failure(50, 1000, 4) == pytest.approx(0.0014707225, abs=1e-9)
    assert theory.worst_search_failure(50, 30000, 4) == pytest.approx(4.904966755e-5, abs=1e-9)
    assert theory.worst_hard_instance(50, 1000, 4).failure_rate == pytest.approx(0.1896798875, abs=1e-9)
    assert theory.worst_hard_instance(50, 30000, 4).failure_rate == pytest.approx(0.0346602400, abs=1e-9)


def classes(seed: int, policies: int = 12, prompts: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """RUNS prompt distributions, and KL_x of every policy of every class: small, but for a few prompts that may go
    unseen, which is what a bound has to fear.
    """
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(prompts, 3.0), RUNS)
    small, large = rng.exponential(1e-3, (RUNS, policies, prompts)), rng.uniform(0.5, 5, (RUNS, policies, prompts))
    return weights, np.where(rng.random(small.shape) < 0.07, large, small)


@pytest.mark.parametrize("eta", [0.3, 1.0, 4.0])
def test_the_bound_holds_for_all_policies_at_once(eta: float) -> None:
    weights, kl = classes(seed=1)
    rng = np.random.default_rng(2)
    n, rho, slack = 40, 0.2, 0.5
    counts = np.stack([rng.multinomial(n, one) for one in weights])
    loss = np.einsum("rmp,rp->rm", kl, counts)
    for threshold in (None, 0.2):
        k = math.log(2) if threshold is None else threshold
        failing = np.einsum("rmp,rp->rm", kl >= k, weights)
        bound = theory.search_failure_bound(
            math.log(kl.shape[1]), n, loss=loss, mass_slack=slack, rho=rho, eta=eta, threshold=threshold
        )
        assert (failing > bound).any(axis=1).sum() <= allowed(rho)
    # Not by being loose alone: without the size of the class and rho it would be violated.
    bare = eta * loss / (n * (1 - np.exp(-eta * k)))
    assert (failing > bare).any(axis=1).sum() > allowed(rho)


def test_a_policy_that_fits_every_prompt_fails_rarely() -> None:
    weights, kl = classes(seed=3)
    rng = np.random.default_rng(4)
    n, rho = 40, 0.2
    seen = np.stack([rng.multinomial(n, one) for one in weights]) > 0
    fitted = ~((kl >= math.log(2)) & seen[:, None, :]).any(axis=2)
    failing = np.einsum("rmp,rp->rm", kl >= math.log(2), weights)
    assert 0.2 < fitted.any(axis=1).mean() < 0.9
    assert ((failing > theory.search_failure_bound(math.log(kl.shape[1]), n, rho=rho)) & fitted).any(axis=1).sum() <= (
        allowed(rho)
    )


def test_maximum_likelihood_on_labels_of_a_target_in_the_class() -> None:
    rng = np.random.default_rng(5)
    policies, prompts, labels, n, rho, slack, doubt = 8, 5, 3, 60, 0.1, 0.5, 0.1
    weights = rng.dirichlet(np.ones(prompts), RUNS)
    table = rng.dirichlet(np.full(labels, 0.4), (RUNS, policies, prompts))
    table[:, 0] = (1 - doubt) * np.eye(labels)[0] + doubt * rng.dirichlet(np.ones(labels), (RUNS, prompts))
    counts = np.stack([rng.multinomial(n, (w[:, None] * q).ravel()) for w, q in zip(weights, table[:, 0], strict=True)])
    likelihood = np.einsum("rmpl,rpl->rm", np.log(table + 1e-300), counts.reshape(RUNS, prompts, labels))
    best = table[np.arange(RUNS), likelihood.argmax(axis=1)]
    distance = ((np.sqrt(best) - np.sqrt(table[:, 0])) ** 2).sum(axis=2)
    complexity = math.log(policies / rho)
    assert (np.einsum("rp,rp->r", distance, weights) > 2 * complexity / n).sum() <= allowed(rho)
    failing = np.einsum("rp,rp->r", best[..., 0] <= 1 - slack, weights)
    bound = theory.sampled_target_failure_bound(math.log(policies), n, target_slack=doubt, mass_slack=slack, rho=rho)
    assert bound == pytest.approx(2 * complexity / (n * 0.2111456180), rel=1e-9)
    assert (failing > bound).sum() <= allowed(rho)


def test_no_failing_policy_is_closer_to_the_target_than_h2() -> None:
    rng = np.random.default_rng(6)
    slack = rng.uniform(0.01, 0.99, RUNS)
    target_slack = slack * rng.random(RUNS)
    gap = theory.hellinger_gap(slack, target_slack)
    q = np.c_[1 - target_slack * rng.random(RUNS), np.zeros((RUNS, 3))]
    q[:, 1:] = (1 - q[:, :1]) * rng.dirichlet(np.ones(3), RUNS)
    p = np.c_[(1 - slack) * rng.random(RUNS), np.zeros((RUNS, 3))]
    p[:, 1:] = (1 - p[:, :1]) * rng.dirichlet(np.ones(3), RUNS)
    assert (((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=1) >= gap * (1 - 1e-12)).all()
    written = 2 * (1 - np.sqrt((1 - slack) * (1 - target_slack)) - np.sqrt(slack * target_slack))
    assert gap == pytest.approx(written, rel=1e-6, abs=1e-12)


def test_the_smallest_arguments_are_accepted() -> None:
    assert theory.search_failure_bound(0.0, 1, rho=math.exp(-1)) == pytest.approx(1.0)
    assert theory.sampled_target_failure_bound(0.0, 1, target_slack=0.0, rho=math.exp(-1)) == pytest.approx(
        2 / theory.hellinger_gap(0.5, 0.0)
    )
    assert theory.linear_softmax_search_bound(1.0, 0.25, 1, loss=0.0, rho=0.5) == pytest.approx(2 * (math.log(4) + 2))
    assert theory.held_out_failure_bound(0, 1) == pytest.approx(0.95)
    assert theory.worst_search_failure(5, 1, 1) > 0.1


def test_clopper_pearson_meets_its_tail() -> None:
    rng = np.random.default_rng(7)
    n = rng.integers(1, 500, RUNS)
    f = np.floor(rng.random(RUNS) * n)
    rho = np.exp(rng.uniform(-20, -0.05, RUNS))
    bound = theory.held_out_failure_bound(f, n, rho)
    assert stats.binom.cdf(f, n, bound) == pytest.approx(rho, rel=1e-7)
    none = theory.held_out_failure_bound(np.zeros(RUNS), n, rho)
    assert none == pytest.approx(-np.expm1(np.log(rho) / n), rel=1e-9)
    assert (none <= -np.log(rho) / n).all()
    assert theory.held_out_failure_bound(7, 7) == 1.0
    assert (np.asarray(theory.held_out_failure_bound(f, n, 0.05)) < 1).all()
    # As a guarantee: a true rate is rarely above it.
    rate = rng.random(RUNS)
    seen = rng.binomial(50, rate)
    assert (rate > theory.held_out_failure_bound(seen, 50, 0.1)).sum() <= allowed(0.1)


def test_linear_softmax_takes_its_covering_number_and_two_nats() -> None:
    size = 64 * math.log(1 + 4 * 10 * 500)
    found = theory.linear_softmax_search_bound(64, 10, 500, loss=3.0, mass_slack=0.3, rho=0.1, eta=2.0)
    assert found == pytest.approx((size - math.log(0.1) + 2 * 5.0) / (500 * (1 - 0.7**2)))
    # A policy of the ball and the nearest of a cover at scale 1/n: neither loss nor failure moves by more than that.
    rng = np.random.default_rng(8)
    for _ in range(200):
        phi = rng.standard_normal((20, 6, 4))
        phi /= np.linalg.norm(phi, axis=-1, keepdims=True)
        theta, step = rng.standard_normal(4), rng.standard_normal(4)
        near = theta + step / np.linalg.norm(step) / 40  # 2 ||theta - theta'|| = 1/n
        logs = [s - np.logaddexp.reduce(s, axis=1, keepdims=True) for s in (phi @ theta, phi @ near)]
        assert np.abs(logs[0] - logs[1]).max() <= 1 / 20


def test_the_adversary_of_a_searching_learner_by_grid() -> None:
    rng = np.random.default_rng(9)
    for _ in range(100):
        kappa, n, d = 1 + float(rng.exponential(30)), int(rng.integers(1, 3000)), int(rng.integers(1, 9))
        p = np.geomspace(1e-7, 1, 40_001) if d > n + 1 else d / (n + 1) * np.linspace(1e-4, 1, 40_001)
        p = p[p <= 1]
        labels = 2 * (kappa - 1 + p) / p
        grid = (p * (1 - p / d) ** n * (1 - 1 / labels)).max()
        assert theory.worst_search_failure(kappa, n, d) == pytest.approx(grid, rel=1e-6)
    assert theory.worst_search_failure(1.0, 10) == 0.0
    # Simulated: the learner asks at each prompt that it sees, and guesses among M labels at the others.
    p, n, labels, d = 0.5, 6, 5, 3
    seen = rng.integers(d, size=(20_000, n)) + d * (rng.random((20_000, n)) >= p)  # d and above: the sure prompt
    missed = np.stack([(seen != at).all(axis=1) for at in range(d)], axis=1)
    failures = p / d * (missed & (rng.random((20_000, d)) >= 1 / labels)).sum(axis=1)
    exact = p * (1 - p / d) ** n * (1 - 1 / labels)
    assert abs(failures.mean() - exact) < 4 * failures.std() / math.sqrt(20_000)
    assert exact <= theory.worst_search_failure((1 - p) + p * labels / 2, n, d)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.search_failure_bound(-1.0, 10), "log_class_size is -1"),
        (lambda: theory.search_failure_bound(1.0, 0), "prompts is 0"),
        (lambda: theory.search_failure_bound(1.0, 10, loss=-1.0), "loss is -1"),
        (lambda: theory.search_failure_bound(1.0, 10, mass_slack=1.0), "mass_slack is 1"),
        (lambda: theory.search_failure_bound(1.0, 10, rho=0.0), "rho is 0"),
        (lambda: theory.search_failure_bound(1.0, 10, rho=1.5), "rho is 1.5"),
        (lambda: theory.search_failure_bound(1.0, 10, mass_slack=1.5), "mass_slack is 1.5"),
        (lambda: theory.sampled_target_failure_bound(1.0, 10, target_slack=0.1, rho=1.5), "rho is 1.5"),
        (lambda: theory.hellinger_gap(1.5, 0.1), "mass_slack is 1.5"),
        (lambda: theory.hellinger_gap(0.5, 1.5), "target_slack is 1.5"),
        (lambda: theory.held_out_failure_bound(1, 10, 1.5), "rho is 1.5"),
        (lambda: theory.search_failure_bound(1.0, 10, eta=0.0), "eta is 0"),
        (lambda: theory.search_failure_bound(1.0, 10, threshold=0.0), "threshold is 0"),
        (lambda: theory.linear_softmax_search_bound(0, 1, 10, loss=1.0), "dimension is 0"),
        (lambda: theory.held_out_failure_bound(11, 10), "failures is 11"),
        (lambda: theory.held_out_failure_bound(1, 0), "prompts is 0"),
        (lambda: theory.hellinger_gap(0.5, 0.5), "target_slack is 0.5"),
        (lambda: theory.sampled_target_failure_bound(1.0, 10, target_slack=0.6), "target_slack is 0.6"),
        (lambda: theory.worst_search_failure(0.5, 10), "kappa0 is 0.5"),
    ],
)
def test_misuse_is_refused_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
