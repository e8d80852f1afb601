"""The check values that the specification prints, and closed forms at arguments where they are known by hand."""

import math
from typing import Any

import numpy as np
import pytest

from srlm import theory
from srlm.errors import InputError


@pytest.mark.parametrize(
    ("kappa0", "level", "expected"),
    [(10, 0.01, 0.0390897044), (1000, 0.05, 0.0687277684), (1, 0.001, 0.0137536474)],
)
def test_theorem_4_1_check_values(kappa0: float, level: float, expected: float) -> None:
    assert theory.failure_at_level(kappa0, level) == pytest.approx(expected, abs=1e-10)
    # The same level from n and log|Pi|: a = C0 kappa_0 log|Pi| / n, where the theorem applies.
    known = expected if kappa0 >= 2 else 0.0
    for scale in (1.0, 4.0, 1 / (2 * math.e)):
        rate = theory.failure_lower_bound(kappa0, scale * kappa0 * 3 / level, 3.0, scale)
        assert (rate.value, rate.constant) == (pytest.approx(known, abs=1e-10), scale)
        assert rate.applies is (kappa0 >= 2)


def test_theorem_4_1_is_a_rate_for_kappa_from_two_on_with_a_constant_the_hard_instance_supports() -> None:
    kappas = np.array([1.0, 1.999, 2.0, 50.0])
    for statement in (theory.failure_lower_bound, theory.failure_lower_bound_asymptotic):
        rate = statement(kappas, 1e6, 5.0)
        assert rate.applies.tolist() == [False, False, True, True]
        assert (rate.value > 0).tolist() == rate.applies.tolist()
        assert rate.constant == pytest.approx(1 / (2 * math.e))
        assert rate.value[3] == statement(50.0, 1e6, 5.0, lower_constant=1 / (2 * math.e)).value
    assert isinstance(theory.failure_lower_bound(10, 10, 1.0), theory.Rate)
    assert isinstance(theory.failure_bound(10, 10, 1.0), theory.Rate)
    assert not isinstance(theory.population_kappa_bound(10.0, 1.0, 1.0), theory.Rate)  # a bound: no hidden constant


def test_no_constant_saves_theorem_4_1_at_kappa_one() -> None:
    # Two deterministic policies: the first sample shows which it is, so a consistent learner never fails; P9 says at
    # most log(|Pi|/rho)/n. The root at level C0 log 2/n would be positive, hence false, for every C0.
    assert theory.failure_at_level(1.0, 1e-6 * math.log(2) / 100) > 0
    assert theory.failure_lower_bound(1.0, 100, math.log(2), 1e-6).value == 0.0


@pytest.mark.parametrize(
    ("coefficient", "confidence", "expected"),
    [(0.01, 0.05, 1.2753955883), (0.1, 0.2, 1.8583518938), (0.3, 0.01, 32.6327253132)],
)
def test_tail_integral_check_values(coefficient: float, confidence: float, expected: float) -> None:
    assert theory.tail_integral_bound(coefficient, confidence) == pytest.approx(expected, abs=1e-9)


def test_theorem_4_1_saturates_at_one_where_the_level_exceeds_the_equation() -> None:
    edge = 1 + math.log(10)
    assert theory.failure_at_level(10, edge) == 1.0
    assert theory.failure_at_level(10, edge * (1 - 1e-9)) < 1.0
    assert theory.failure_at_level(10, edge * 1e6) == 1.0
    assert theory.failure_lower_bound(1e300, 1, 1e300).value == 1.0


def test_extreme_but_legal_arguments_give_finite_numbers() -> None:
    assert 0 < theory.failure_lower_bound(1e300, 1e308, 1e-300).value < 1e-100
    assert theory.failure_lower_bound(2.0, 1e308, 1e-308).value > 0
    bound = theory.failure_bound(1e300, 1, 1e10, rho=1e-300, mass_slack=1 - 1e-12, rounds=1e6)
    assert np.isfinite(bound.value)
    assert bound.vacuous
    assert theory.recurrence(1e3, 1e3, 1e-3, 1e-3).fixed_point == pytest.approx(4e18, rel=1e-6)
    assert theory.worst_hard_instance(1e300, 1e300).failure_rate > 0.1
    assert theory.worst_hard_instance(1.0, 10).failure_rate == 0.0


def test_the_asymptotic_rate_meets_the_bound_as_n_grows() -> None:
    n = np.array([1e3, 1e6, 1e12, 1e24, 1e48, 1e96])
    rate = theory.failure_lower_bound_asymptotic(5.0, n, 2.0, 1.0).value
    gap = rate / theory.failure_lower_bound(5.0, n, 2.0, 1.0).value - 1
    assert (np.diff(np.abs(gap)) < 0).all()
    assert abs(gap[-1]) < 0.02
    assert theory.failure_lower_bound_asymptotic(2.0, 1.0, 1.0, 1.0).value == 1.0  # the logarithm is small
    assert theory.failure_lower_bound_asymptotic(2.0, 1.0, 10.0, 1.0).value == 1.0  # the logarithm is negative


def test_hard_instance_examples_by_hand() -> None:
    # d = 1, M = 2, p = 1, g = 1/2, n = 0: a blind guess between two labels.
    assert theory.bayes_failure(1.0, 2, 1, 0, 0.5) == pytest.approx(0.5)
    # One draw (n = 1): it shows the favourite with 3/4, else the other label, which then is excluded.
    assert theory.bayes_failure(1.0, 2, 1, 1, 0.5) == pytest.approx(0.0, abs=1e-15)
    # M = 3: one draw shows one of two wrong labels with 1 - 2/3 and leaves two labels.
    assert theory.bayes_failure(1.0, 3, 1, 1, 1.0) == pytest.approx(1 / 3 * 1 / 2)
    # The favourite has probability (1+g)/M = 1: it is seen at the first draw there.
    assert theory.bayes_failure(1.0, 2, 1, 5, 1.0) == 0.0
    assert theory.bayes_failure(1.0, 2, 1, 0, 1.0) == pytest.approx(0.5)
    assert theory.bayes_failure(0.4, 2, 1, 3, 1.0) == pytest.approx(0.4 * 0.6**3 * 0.5)
    assert theory.hard_instance_kappa(0.25, 8) == pytest.approx(0.75 + 0.25 * 4)


def test_large_label_sets_join_the_exact_formula_smoothly() -> None:
    for n in (10.0, 5e3, 1e5):
        below, above = theory.bayes_failure(0.5, 4096, 2, n), theory.bayes_failure(0.5, 4097, 2, n)
        assert above == pytest.approx(below, rel=4e-3)  # (1 - hit)^n itself moves with M
    assert theory.bayes_failure(0.5, 100, 2, 1.0000001e7) == pytest.approx(0, abs=1e-200)
    # 4,097 labels exactly: the sum over visits with the occupancy mean is checked against simulation of one prompt.
    rng, trials, n, m = np.random.default_rng(0), 3000, 6000, 4097
    drawn = rng.integers(0, m - 1, (trials, n))
    distinct = np.array([len(np.unique(row)) for row in drawn])
    observed = float(np.mean(1 / (m - distinct)))
    mass = 1.0
    hit = 2 / m
    predicted = mass * (1 - hit) ** n * (1 - observed)
    assert theory.bayes_failure(mass, m, 1, n) == pytest.approx(predicted, rel=1e-5)


@pytest.mark.parametrize(("labels", "pairs", "prompts"), [(3, 1e6, 1e6), (3, 4e6, 1e6), (2, 2e6, 5e5), (3, 2e6, 1e3)])
def test_few_labels_at_many_prompts_by_inclusion_and_exclusion(labels: int, pairs: float, prompts: float) -> None:
    # The favourite and one or two others; a sample shows a given other one with chance `each`, if not the favourite.
    hit = 1 / prompts * 2 / labels if labels > 2 else 1 / prompts * 1.5 / labels
    bias = 1.0 if labels > 2 else 0.5
    each = 1 / prompts * (1 - (1 + bias) / labels) / (labels - 1) / (1 - hit)
    none, one = math.exp(pairs * math.log1p(-each * (labels - 1))), math.exp(pairs * math.log1p(-each))
    guess = none / 2 + (1 - none) if labels == 2 else none / 3 + 2 * (one - none) / 2 + (1 - 2 * one + none)
    expected = math.exp(pairs * math.log1p(-hit)) * (1 - guess)
    assert theory.bayes_failure(1.0, labels, prompts, pairs, bias) == pytest.approx(expected, rel=1e-5)


def test_the_adversary_keeps_kappa_and_stays_within_the_simplex() -> None:
    for kappa, n, d, g in ((1.5, 1.0, 1, 1.0), (30.0, 1e4, 4, 0.5), (2.0, 1e9, 3, 3.0), (1e20, 1e30, 2, 1.0)):
        worst = theory.worst_hard_instance(kappa, n, d, g)
        assert 0 < worst.informative_mass <= 1
        assert worst.bias == g
        assert worst.pairs == n
        assert worst.informative_prompts == d
        assert theory.hard_instance_kappa(worst.informative_mass, worst.responses, g) == pytest.approx(kappa, rel=1e-9)
        assert worst.failure_rate == pytest.approx(
            theory.bayes_failure(worst.informative_mass, worst.responses, d, n, g), rel=1e-12
        )


@pytest.mark.parametrize(
    ("mode", "excess"), [(0.499, 1e-6), (0.3, 0.1), (0.2, 0.59), (0.01, 0.3), (0.25, 0.25), (0.1, 0.5)]
)
def test_the_greedy_trap_hides_the_mode_with_the_fewest_continuations(mode: float, excess: float) -> None:
    trap = theory.greedy_trap(mode, excess)
    assert (trap.mode_probability, trap.excess) == (mode, excess)
    assert (mode + excess) / trap.continuations < mode
    assert (mode + excess) / (trap.continuations - 1) >= mode * (1 - 1e-12)


def test_conditioning_by_hand() -> None:
    table = np.log([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]])
    found = theory.condition(table)
    assert found.policy_condition_number == pytest.approx((2 + 1 / 0.9) / 2)
    assert found.log_policy_condition_number == pytest.approx(math.log((2 + 1 / 0.9) / 2))
    assert found.failure_rate == 0.5
    assert found.min_confidence == pytest.approx(0.5)
    assert found.margin == pytest.approx(math.log(0.5 / 0.3))
    assert theory.condition(table, mass_slack=0.05).failure_rate == 1.0
    assert theory.condition(table, mass_slack=0.2).failure_rate == 0.5
    assert theory.condition(table, weights=[3, 1]).policy_condition_number == pytest.approx(0.75 * 2 + 0.25 / 0.9)
    assert theory.condition(table, weights=[3, 1]).failure_rate == 0.75
    assert theory.condition(np.zeros((3, 1))).margin == math.inf
    assert theory.condition(np.zeros((3, 1))).policy_condition_number == 1.0


def test_conditioning_where_probabilities_underflow() -> None:
    assert theory.policy_condition_number([-2000.0]) == math.inf
    assert theory.log_policy_condition_number([-2000.0, -2000.0]) == pytest.approx(2000)
    assert theory.policy_condition_number([-708.0]) == pytest.approx(math.exp(708))
    assert theory.policy_condition_number([-1.0, -3.0], weights=[0.0, 2.0]) == pytest.approx(math.exp(3))
    assert theory.failure_rate([-1e6, 0.0]) == 0.5


def test_failure_is_at_most_one_minus_delta_ties_included() -> None:
    assert theory.failure_rate([math.log(0.5)], 0.5) == 1.0
    assert theory.failure_rate([math.log(0.5) + 1e-9], 0.5) == 0.0
    assert not theory.greedy_finds_mode(0.5)
    assert theory.greedy_finds_mode(0.5 + 1e-12)


def test_defaults_are_one_half_and_rounding_is_forgiven() -> None:
    between = math.log(0.4975)  # fails at delta = 0.5 only
    assert theory.failure_rate([between]) == theory.failure_rate([between], 0.5) == 1.0
    assert theory.failure_rate([between], 0.505) == 0.0
    assert theory.condition(np.log([[0.4975, 0.4975, 0.005]])).failure_rate == 1.0
    assert theory.one_round_failure_bound(0.3) == pytest.approx(0.6)
    assert theory.failure_from_suboptimality(0.3, 1.0) == pytest.approx(0.6)
    assert theory.condition([[1e-10]]).policy_condition_number == 1.0
    assert theory.condition(np.log([[0.75, 0.25]])).margin == pytest.approx(math.log(3))
    assert theory.condition(np.log([[0.5, 0.4999995]])).min_confidence == pytest.approx(0.5)
    assert theory.sharpen([1e-10, -50.0], 1.0)[0] == pytest.approx(0)


def test_where_theorem_4_1_changes_its_formula_it_does_not_change_its_value() -> None:
    # m = 2 + 2 log kappa - log 2a crosses 3, where Lambert's W hands over to Wright's omega.
    for kappa in (1.0, 20.0):
        edge = math.exp(2 + 2 * math.log(kappa) - math.log(2) - 3)
        if edge >= 1 + math.log(kappa):
            continue
        for level in (edge * (1 - 1e-9), edge * (1 + 1e-9), edge):
            eps = theory.failure_at_level(kappa, level)
            assert eps**2 * (1 + math.log(kappa / eps)) == pytest.approx(level, rel=1e-12)
    assert theory.failure_at_level(1.0, 1.0) == 1.0
    near = theory.failure_at_level(1.0, 1 - 1e-9)
    assert near**2 * (1 - math.log(near)) == pytest.approx(1 - 1e-9, rel=1e-12)


def test_nothing_can_be_hidden_at_kappa_one() -> None:
    one = theory.worst_hard_instance(1.0, 10.0, 3, 4.5)
    assert (one.informative_mass, one.failure_rate, one.informative_prompts) == (0.0, 0.0, 3)
    assert one.responses == 6
    assert theory.worst_hard_instance(1.0, 10.0, 3, 0.5).responses == 2
    assert theory.worst_hard_instance(1.05, 1.0, 1, 0.3).responses == 2
    assert theory.worst_hard_instance(1.0, 10.0).informative_prompts == 1
    assert theory.worst_hard_instance(20.0, 50.0) == theory.worst_hard_instance(20.0, 50.0, 1, 1.0)
    assert theory.hard_instance_kappa(0.5, 8) == theory.hard_instance_kappa(0.5, 8, 1.0)
    assert theory.bayes_failure(0.5, 8, 2, 4) == theory.bayes_failure(0.5, 8, 2, 4, 1.0)


@pytest.mark.parametrize(("kappa", "n", "d", "g"), [(3.0, 2.0, 1, 1.0), (12.0, 300.0, 2, 0.5), (40.0, 400.0, 3, 2.0)])
def test_no_other_number_of_labels_serves_the_adversary_better(kappa: float, n: float, d: int, g: float) -> None:
    worst = theory.worst_hard_instance(kappa, n, d, g)
    for labels in (*range(math.ceil(max(2, (1 + g) * kappa)), 400), *range(400, 2000, 37)):
        mass = (kappa - 1) * (1 + g) / (labels - 1 - g)
        if mass <= 1:
            assert theory.bayes_failure(mass, labels, d, n, g) <= worst.failure_rate * (1 + 1e-12)


def test_fisher_information_of_two_responses_by_hand() -> None:
    # One prompt, responses at phi = 0 and 1 with probabilities 1/4 and 3/4: variance 3/16.
    found = theory.fisher_spectrum(np.array([[[0.0], [1.0]]]), np.log([[0.25, 0.75]]))
    assert found.eigenvalues == pytest.approx([3 / 16])
    assert (found.condition_number, found.rank, found.cutoff) == (1.0, 1, 1e-10)
    flat = theory.fisher_spectrum(np.zeros((1, 2, 3)), np.log([[0.5, 0.5]]))
    assert (flat.condition_number, flat.rank) == (math.inf, 0)
    # Two directions with variances 1/4 and 1/400 weighted evenly over two prompts; the third direction is never used.
    phi = np.zeros((2, 2, 3))
    phi[0, 1, 0], phi[1, 1, 1] = 1.0, 0.1
    both = theory.fisher_spectrum(phi, np.log(np.full((2, 2), 0.5)))
    assert both.eigenvalues == pytest.approx([0.125, 0.00125, 0.0])
    assert both.condition_number == pytest.approx(100)
    assert both.rank == 2
    assert theory.fisher_spectrum(phi, np.log(np.full((2, 2), 0.5)), cutoff=0.05).rank == 1
    assert theory.fisher_spectrum(phi, np.log(np.full((2, 2), 0.5)), weights=[0.2, 0.8]).eigenvalues[
        0
    ] == pytest.approx(0.05)


def test_effective_dimension_regimes_by_hand() -> None:
    assert theory.effective_dimension([3.0, 1.0], 1.0) == pytest.approx(0.75 + 0.5)
    assert theory.effective_dimension_bound([1.0, 3.0, 2.0], 0.5, 1) == pytest.approx(1 + 3 / 0.5)
    # A: C = 1, a = log 2, lambda = 1/4: k = 2, tail 2^-3/(1/4 * 1/2) = 1.
    assert theory.exponential_decay_bound(1.0, math.log(2), 0.25) == pytest.approx(3.0)
    assert theory.exponential_decay_bound(1.0, math.log(2), 8.0) == pytest.approx(0 + 0.5 / (8 * 0.5))
    # B: C = 1, p = 2, lambda = 1/9: k = 3, tail 9 * 3^-1 = 3.
    assert theory.polynomial_decay_bound(1.0, 2.0, 1 / 9) == pytest.approx(6.0)
    assert theory.polynomial_decay_bound(1.0, 2.0, 4.0) == pytest.approx(1 + 0.25)
    assert theory.spike_bound(10, 2, 0.5, 0.5) == pytest.approx(6.0)
    assert theory.log_covering_number(3, 2, 0.5) == pytest.approx(3 * math.log(17))
    assert theory.loss_lipschitz_bound(2, 3, 0.1) == pytest.approx(4.8)


def test_guarantees_by_hand() -> None:
    # log(n|Pi|/rho) = log(100) + 5 + log(20); 1/(gamma delta sqrt n) = 1/(2 * 0.25 * 10); c = 1/4, 1 + sqrt(n c) = 6.
    # R = 2, the larger of 1 nat and the margin, multiplies C.
    front = 2 * (math.log(100) + 5 + math.log(20)) / 5
    bound = theory.failure_bound(9.0, 100, 5.0, margin=2, min_confidence=0.25, mass_slack=0.25, rounds=3, measured=0.5)
    assert (bound.reward_range, bound.constant) == (2.0, 1.0)
    assert bound.stable_term == pytest.approx(2 * front)
    assert bound.transient_term == pytest.approx(front * 3 / 6)
    assert bound.value == pytest.approx(2.5 * front)
    assert bound.vacuous
    assert bound.tightness == pytest.approx(5 * front)
    assert theory.failure_bound(9.0, 100, 5.0).tightness is None
    assert theory.failure_bound(9.0, 100, 5.0, measured=0.0).tightness == math.inf
    assert not theory.failure_bound(1.0, 1e12, 5.0, rounds=9).vacuous
    assert theory.failure_bound(9.0, 100, 5.0, constant=3.0).value == pytest.approx(
        3 * theory.failure_bound(9.0, 100, 5.0).value
    )
    # A bound of exactly 1 is vacuous.
    one = theory.failure_bound(9.0, 100, 5.0)
    assert theory.failure_bound(9.0, 100, 5.0, constant=1 / one.value * (1 + 1e-15)).vacuous
    # c kappa_0 = 36 = (1 + sqrt(25))^2 exactly: three rounds; one of them when c kappa_0 <= 1.
    assert theory.rounds_to_suppress(144.0, 100.0, 0.25) == 3
    assert theory.rounds_to_suppress(145.0, 100.0, 0.25) == 4
    assert theory.rounds_to_suppress(1.0, 100.0, 0.25) == 1
    stable = theory.stable_failure_bound(100, 5.0, margin=2, min_confidence=0.25, mass_slack=0.25, rho=0.05)
    assert (stable.value, stable.vacuous) == (pytest.approx(4 * front), True)
    assert theory.statistical_error(100, 5.0, reward_range=3.0) == pytest.approx(3 * theory.statistical_error(100, 5.0))


def test_the_reward_range_holds_the_margin_and_multiplies_the_constant() -> None:
    def value(**changes: Any) -> float:
        return theory.failure_bound(9.0, 100, 5.0, **changes).value

    assert value() == value(reward_range=1.0) == pytest.approx(value(reward_range=5.0) / 5)
    assert value(margin=0.5) == value(margin=0.5, reward_range=1.0)
    assert value(margin=3.0) == value(margin=3.0, reward_range=3.0) == pytest.approx(value())
    for call in (theory.failure_bound, lambda *a, **k: theory.failure_bound_at_beta(*a, 0.1, **k)):
        with pytest.raises(InputError, match=r"reward_range is 2.9; it holds the margin, so give at least 3 nats"):
            call(9.0, 100, 5.0, margin=3.0, reward_range=2.9)
    # Two policies of four on M responses, favourite A or B with 1/2, the rest shared: at least (1 - p/2)^n/2 of the
    # learner's chances fail, whatever the margin log(M-1) is. Without the range the rate would fall below it.
    n, mass = 50, 0.04
    floor = mass * (1 - mass / 2) ** n / 2
    for margin in (math.log(2), 7.0, 1e4):
        assert theory.failure_bound(2.0, n, math.log(4), margin=margin).value >= floor
    assert theory.failure_bound(2.0, n, math.log(4), margin=1e4).value / 1e4 < floor


def test_eq_43_along_the_recurrence_by_hand() -> None:
    # eps = C R log(n |Pi|/rho)/sqrt(n) with n = 100, R = 2, C = 1/2; gamma = 2, c = 1/4, delta = 1/2, beta = 3.
    given: dict[str, Any] = {"margin": 2.0, "min_confidence": 0.25, "mass_slack": 0.5, "constant": 0.5}
    eps = (math.log(100) + 5 + math.log(20)) / 10
    once = theory.failure_bound_at_beta(1.5, 100, 5.0, 3.0, **given)
    assert once.sampling_term == pytest.approx(eps * math.sqrt(1.5))  # 1/(gamma delta) = 1
    assert once.beta_term == once.without_sampling == pytest.approx(3 * math.log(1.5))
    assert once.value == pytest.approx(once.sampling_term + once.beta_term)
    assert (once.vacuous, once.pairs_help, once.constant, once.reward_range) == (True, False, 0.5, 2.0)
    # A round more: kappa_1 = 1 + (eps sqrt(kappa_0) + beta log(kappa_0))/(gamma c), at most 1/c = 4.
    kappa = min(4.0, 1 + (eps * math.sqrt(1.01) + 3 * math.log(1.01)) / 0.5)
    assert kappa < 4
    twice = theory.failure_bound_at_beta(1.01, 100, 5.0, 3.0, rounds=2, **given)
    assert twice.value == pytest.approx(eps * math.sqrt(kappa) + 3 * math.log(kappa))
    assert twice.without_sampling == pytest.approx(3 * math.log(1 + 6 * math.log(1.01)))
    assert twice.pairs_help is True
    many = theory.failure_bound_at_beta(1e6, 100, 5.0, 3.0, rounds=9, **given)
    assert many.value == pytest.approx(eps * 2 + 3 * math.log(4))  # saturated at 1/c
    edge = theory.failure_bound_at_beta(math.e, 100, 5.0, 1.0, **given)
    assert (edge.without_sampling, edge.pairs_help) == (pytest.approx(1.0), edge.without_sampling < 1)


def test_recurrence_by_hand() -> None:
    # d = (1 + 1/2)/(1 * 1) = 3/2: k = 1 + 3/2 sqrt k at sqrt k = 2.
    found = theory.recurrence(1.0, 0.5, 1.0, 1.0)
    assert found.slope == pytest.approx(1.5)
    assert found.fixed_point == pytest.approx(4.0)
    assert found.contraction_factor == pytest.approx(1.5 / (1.5 + 2.5))
    assert found.step(9.0) == pytest.approx(5.5)
    assert found.bound_after(100.0, 2) == pytest.approx(4 + 0.375**2 * 96)
    assert found.bound_after(1.0, 5) == pytest.approx(4.0)
    assert theory.recurrence(0.0, 0.0, 1.0, 1.0).fixed_point == 1.0
    assert theory.recurrence(1.0, 0.5, 2.0, 0.25).slope == pytest.approx(3.0)


def test_the_hard_instance_within_a_class_uses_it_and_never_exceeds_it() -> None:
    for kappa, n, size, g in (
        (10, 1000, 5.0, 1.0), (10, 1000, 50.0, 1.0), (130, 192, 573.0, 1.0), (3.0, 1e5, 1e4, 0.5), (1.5, 40, 3.0, 2.0),
        (2.0, 1e9, 1e12, 1.0), (1e300, 1e300, 1e300, 1.0), (10, 1000, 3.0, 1.0),
    ):  # fmt: skip
        one = theory.worst_hard_instance_within(kappa, n, size, g)
        d = one.informative_prompts
        assert d >= 1
        assert d * math.log(one.responses) <= size
        assert theory.hard_instance_kappa(one.informative_mass, one.responses, g) == pytest.approx(kappa, rel=1e-9)
        free = theory.worst_hard_instance(kappa, n, d, g)
        more = theory.worst_hard_instance(kappa, n, d + 1, g) if d < 1e15 else free
        if free.responses == one.responses:  # the largest d whose own best instance fits
            assert one == free
            assert d >= 1e15 or (d + 1) * math.log(more.responses) > size
        else:  # not even one prompt: as many labels as the class allows
            assert d == 1
            assert math.log(free.responses) > size
            assert math.log(one.responses + 1) > size
            assert one.failure_rate < free.failure_rate
    # 3.1 nats hold 22 labels, log(20) = 2.996 nats the least that kappa 10 asks for (p = 9/9 of them).
    assert theory.worst_hard_instance_within(10, 1000, math.log(20)).responses == 20
    nothing = theory.worst_hard_instance_within(10, 1000, 2.9)
    assert (nothing.informative_prompts, nothing.failure_rate, nothing.informative_mass) == (0, 0.0, 0.0)
    assert theory.worst_hard_instance_within(1.0, 1000, 50.0).failure_rate == 0.0
