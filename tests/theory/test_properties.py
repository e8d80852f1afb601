"""What the docstrings promise: monotonicity, limits, scale laws, and bounds that are never violated."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm import theory

settings.register_profile("theory", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("theory")

kappas = st.floats(1, 1e6)
pairs = st.floats(10, 1e12)
sizes = st.floats(0.1, 1e4)
units = st.floats(0.01, 0.99)
factors = st.floats(1.01, 100)


@given(st.floats(2, 1e6), pairs, sizes, factors)
def test_the_lower_bound_solves_its_equation_and_is_monotone(kappa: float, n: float, size: float, k: float) -> None:
    def bound(kappa: float, n: float, size: float, constant: float = 1.0) -> float:
        return theory.failure_lower_bound(kappa, n, size, constant).value

    eps = bound(kappa, n, size)
    level = kappa * size / n
    if eps < 1:
        assert eps**2 * (1 + math.log(kappa / eps)) == pytest.approx(level, rel=1e-9)
    else:
        assert level >= (1 + math.log(kappa)) * (1 - 1e-9)
    assert bound(kappa * k, n, size) >= eps
    assert bound(kappa, n, size * k) >= eps
    assert bound(kappa, n * k, size) <= eps
    assert bound(kappa, n * k, size, k) == pytest.approx(eps)


@given(kappas, pairs, sizes, st.floats(0.1, 5), units, units, units, st.integers(1, 20), factors)
def test_the_guarantee_is_monotone_and_scales(
    kappa: float, n: float, size: float, margin: float, c: float, slack: float, rho: float, rounds: int, k: float
) -> None:
    said: dict[str, Any] = {
        "margin": margin, "min_confidence": c, "mass_slack": slack, "rho": rho, "rounds": rounds
    }  # fmt: skip

    def value(**changes: Any) -> float:
        first = {"kappa0": kappa, "pairs": n, "log_class_size": size} | said | changes
        return theory.failure_bound(first.pop("kappa0"), first.pop("pairs"), first.pop("log_class_size"), **first).value

    whole = value()
    assert value(rounds=rounds + 1) <= whole
    assert value(kappa0=kappa * k) >= whole
    assert value(log_class_size=size * k) >= whole
    reach = max(1.0, margin)  # the reward range: beyond it a larger margin has a larger range
    assert value(margin=margin * k) == pytest.approx(whole / k * max(1.0, margin * k) / reach)
    assert value(mass_slack=slack / k) == pytest.approx(whole * k)
    assert value(min_confidence=min(1.0, c * k)) <= whole * (1 + 1e-12)
    assert value(rho=rho / k) >= whole
    # 1/sqrt(n) up to its logarithm: four times the pairs at least halve the stable term, but for log(4n)/log(n).
    stable = theory.failure_bound(kappa, n, size, **said).stable_term
    more = theory.failure_bound(kappa, 4 * n, size, **said).stable_term
    ratio = (math.log(4 * n) + size - math.log(rho)) / (math.log(n) + size - math.log(rho))
    assert more == pytest.approx(stable * ratio / 2)
    last = theory.rounds_to_suppress(kappa, n, c)
    at = theory.failure_bound(kappa, n, size, **(said | {"rounds": last}))
    assert at.transient_term <= at.stable_term * (1 + 1e-9)
    if last > 1:
        before = theory.failure_bound(kappa, n, size, **(said | {"rounds": last - 1}))
        assert before.transient_term > before.stable_term * (1 - 1e-9)


def integral(a: float, c: float) -> float:
    """1 + the integral of min{1, A s/(s-1)} over [1, 1/c] with 30 digits, by quadrature in log(s - 1)."""
    if a == 0 or c == 1:
        return 1.0
    with mpmath.workdps(30):
        top = mpmath.log(1 / mpmath.mpf(c) - 1)
        split = mpmath.log(mpmath.mpf(a) / (1 - mpmath.mpf(a))) if a < 1 else top
        split = min(split, top)
        below = mpmath.exp(split)  # where the minimum is 1

        def density(u: Any) -> Any:  # s = 1 + e^u, ds = e^u du, A s/(s-1) ds = A (1 + e^u) du
            return a * (1 + mpmath.exp(u))

        points = [split, *(split + (top - split) * k / 6 for k in range(1, 7))]
        return float(1 + below + (mpmath.quad(density, points) if split < top else 0))


@pytest.mark.parametrize("confidence", [1e-12, 1e-6, 1e-3, 0.05, 0.3, 0.5, 0.77, 0.999, 1.0])
def test_the_tail_integral_equals_quadrature_over_the_whole_domain(confidence: float) -> None:
    edge = 1 - confidence
    around = [edge * (1 + k * h) for h in (0, 1e-12, 1e-8, 1e-4, 1e-2) for k in (-1, 1) if edge > 0]
    for a in [0.0, 1e-300, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999999, 1.0, 2.0, 1e9, *around]:
        assert theory.tail_integral_bound(a, confidence) == pytest.approx(integral(a, confidence), rel=1e-8), a


@given(st.floats(1e-6, 3), st.floats(1e-6, 1), factors)
def test_the_tail_integral_is_monotone_and_saturates(a: float, c: float, k: float) -> None:
    found = theory.tail_integral_bound(a, c)
    assert 1 <= found <= 1 / c
    assert theory.tail_integral_bound(a * k, c) >= found
    assert theory.tail_integral_bound(a, min(1.0, c * k)) <= found * (1 + 1e-12)
    assert theory.tail_integral_bound(max(a, 1 - c), c) == 1 / c


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0.1, 3), st.floats(0.01, 1), kappas, st.integers(0, 30))
def test_the_recurrence_contracts_to_its_fixed_point(
    error: float, beta: float, margin: float, c: float, kappa: float, rounds: int
) -> None:
    found = theory.recurrence(error, beta, margin, c)
    assert found.step(found.fixed_point) == pytest.approx(found.fixed_point)
    assert 0 <= found.contraction_factor < 0.5
    at = kappa
    for _ in range(rounds):
        at = found.step(at)
    assert at <= found.bound_after(kappa, rounds) * (1 + 1e-9)
    assert found.bound_after(kappa, rounds + 1) <= found.bound_after(kappa, rounds)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5), st.floats(0, 2))
def test_no_measured_value_violates_p3_p4_or_p5(seed: int, beta: float, eps: float) -> None:
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((4, 5))
    table = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    before = theory.condition(table)
    sharper = theory.sharpen(table, beta)
    after = theory.condition(sharper)
    bound = theory.population_kappa_bound(before.policy_condition_number, before.margin, beta)
    assert after.policy_condition_number <= bound * (1 + 1e-12)
    assert after.margin == pytest.approx(theory.population_margin(before.margin, beta))
    assert (sharper.argmax(axis=1) == table.argmax(axis=1)).all()
    noise = rng.uniform(-eps, eps, table.shape)
    noise[np.arange(4), table.argmax(axis=1)] = 0
    hat = sharper + noise
    hat -= np.logaddexp.reduce(hat, axis=1, keepdims=True)
    certified = theory.certified_kappa_bound(before.policy_condition_number, before.margin, beta, eps)
    assert theory.policy_condition_number(hat.max(axis=1)) <= certified * (1 + 1e-12)
    # Contraction is guaranteed when eps < gamma/beta, and then only.
    kappa = before.policy_condition_number
    assert (certified < kappa) == (eps < before.margin / beta) or math.isclose(eps, before.margin / beta)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 5), st.integers(0, 10))
def test_effective_dimension_is_bounded_monotone_and_dominated(seed: int, ridge: float, kept: int) -> None:
    values = np.random.default_rng(seed).exponential(size=8) ** 3
    values[5:] = 0
    found = theory.effective_dimension(values, ridge)
    assert 0 <= found <= 5
    assert theory.effective_dimension(values, 2 * ridge) < found
    assert theory.effective_dimension(7 * values, 7 * ridge) == pytest.approx(found)
    assert theory.effective_dimension_bound(values, ridge, kept) >= found


@given(st.floats(0.01, 10), st.floats(0.05, 3), st.floats(1.1, 5), st.floats(1e-4, 2))
def test_decay_bounds_dominate_their_spectra(scale: float, rate: float, power: float, ridge: float) -> None:
    index = np.arange(1, 5001)
    exponential = theory.effective_dimension(scale * np.exp(-rate * index), ridge)
    assert exponential <= theory.exponential_decay_bound(scale, rate, ridge) * (1 + 1e-9)
    polynomial = theory.effective_dimension(scale * index**-power, ridge)
    assert polynomial <= theory.polynomial_decay_bound(scale, power, ridge) * (1 + 1e-9)


@given(st.floats(1, 1e5), st.floats(1, 1e7), st.integers(1, 20))
def test_the_adversary_does_worse_with_fewer_samples(kappa: float, n: float, prompts: int) -> None:
    worst = theory.worst_hard_instance(kappa, n, prompts).failure_rate
    assert 0 <= worst <= 1
    assert theory.worst_hard_instance(kappa, 2 * n, prompts).failure_rate <= worst * (1 + 1e-6)


def test_p3_iterated_compounds_the_growing_margin() -> None:
    kappa, gamma = 50.0, 0.3
    expected = [kappa]
    for _ in range(4):
        kappa = 1 + math.exp(-gamma / 0.8) * (kappa - 1)
        gamma *= 1 + 1 / 0.8
        expected.append(kappa)
    assert theory.population_kappa_bounds(50.0, 0.3, 0.8, 4) == pytest.approx(expected)
    assert len(theory.population_kappa_bounds(50.0, 0.3, 0.8, 0)) == 1
    assert theory.population_kappa_bounds(50.0, 1.0, 1e-3, 500)[-1] == 1.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0.1, 10))
def test_the_group_loss_is_the_sum_over_pairs(seed: int, count: int, beta: float) -> None:
    rng = np.random.default_rng(seed)
    logps, reference = -rng.exponential(5, count), -rng.exponential(5, count)
    direct = sum(
        (beta * ((logps[i] - reference[i]) - (logps[j] - reference[j])) - (reference[i] - reference[j])) ** 2
        for i in range(count)
        for j in range(i)
    )
    assert theory.group_loss(logps, reference, beta) == pytest.approx(direct, rel=1e-9, abs=1e-12)


def test_sharpening_keeps_impossible_responses_and_ties() -> None:
    table = np.log([[0.4, 0.4, 0.2]])
    assert theory.sharpen(table, 1.0) == pytest.approx(np.log([[4 / 9, 4 / 9, 1 / 9]]))
    with np.errstate(divide="ignore"):
        found = np.exp(theory.sharpen(np.log([0.75, 0.25, 0.0]), 0.5))
    assert found == pytest.approx([27 / 28, 1 / 28, 0.0])


def test_lemma_c1_says_nothing_at_margin_zero_and_never_more_than_one() -> None:
    assert theory.failure_from_suboptimality(0.1, 0.0) == 1.0
    assert theory.failure_from_suboptimality(0.0, 1.0) == 0.0
    assert theory.failure_from_suboptimality(0.1, 1.0, 0.25) == pytest.approx(0.4)
    assert theory.failure_from_suboptimality(5.0, 1.0) == 1.0
    assert theory.failure_from_suboptimality(np.array([0.1, 0.1]), np.array([0.0, 1.0])) == pytest.approx([1.0, 0.2])
    assert theory.one_round_failure_bound(0.2, 0.5) == pytest.approx(0.4)
    assert theory.one_round_failure_bound(0.7, 0.5) == 1.0
    assert theory.failure_coefficient(math.e**2, 0.1, 0.3, 2.0) == pytest.approx((0.1 * math.e + 0.6) / 2)
    assert theory.change_of_measure_bound(4.0, 9.0) == pytest.approx(6.0)
    assert theory.expansions_bound(5, 0.25) == 1 + 4 / 0.25
    assert theory.expansions_bound(1, 0.25) == 1
    assert theory.near_uniform_kappa(9) == 9
    assert theory.autoregressive_kappa(0.1, 400) == math.inf
    assert theory.autoregressive_kappa(0.5, 10) == pytest.approx(1024)
