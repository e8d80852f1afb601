"""What a measured round is judged by: the theory's functions against the formulas written out prompt by prompt."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm import theory

LOGS = st.lists(st.floats(-600, 0), min_size=1, max_size=12)
SEEDS = st.integers(0, 2**32)
BETA = st.floats(0.05, 20)


@given(LOGS, st.floats(0.01, 0.99))
def test_conditioning_is_the_mean_over_prompts(logs: list[float], slack: float) -> None:
    total = math.fsum(math.exp(-one) for one in logs) / len(logs)
    assert theory.log_policy_condition_number(logs) == pytest.approx(math.log(total), rel=1e-12, abs=1e-12)
    assert theory.policy_condition_number(logs) == pytest.approx(total, rel=1e-12)
    fails = [math.exp(one) <= 1 - slack for one in logs]
    assert theory.failure_rate(logs, slack) == sum(fails) / len(logs)
    assert theory.mode_fails(logs, slack).tolist() == fails
    assert theory.log_min_confidence(logs) == min(logs)
    assert theory.mean_probability(logs) == pytest.approx(np.mean([math.exp(one) for one in logs]), rel=1e-12)


def test_a_share_of_prompts_is_the_mean_of_booleans_to_the_last_bit() -> None:
    for prompts in range(1, 40):
        for failing in range(prompts + 1):
            logs = [math.log(0.5)] * failing + [math.log(0.51)] * (prompts - failing)
            assert theory.failure_rate(logs) == failing / prompts


def test_many_rows_of_prompts_are_measured_at_once_as_one_by_one() -> None:
    rows = -np.random.default_rng(0).exponential(2, (3, 4, 6))
    weights = np.arange(6.0)
    for function in (theory.log_policy_condition_number, theory.policy_condition_number, theory.mean_probability):
        assert function(rows) == pytest.approx(np.array([[function(one) for one in part] for part in rows]))
        assert function(rows, weights)[1, 2] == pytest.approx(function(rows[1, 2], weights))
    assert theory.failure_rate(rows, 0.5).shape == theory.log_min_confidence(rows).shape == (3, 4)
    expected = (weights * np.exp(-rows[0, 1])).sum() / weights.sum()
    assert theory.policy_condition_number(rows, weights)[0, 1] == pytest.approx(expected)
    bounds = theory.population_kappa_bound_by_prompt(rows, -rows, 2.0)
    assert bounds[2, 3] == pytest.approx(theory.population_kappa_bound_by_prompt(rows[2, 3], -rows[2, 3], 2.0))


@given(LOGS, st.lists(st.floats(0, 3), min_size=12, max_size=12), st.floats(0.01, 0.99))
def test_both_ends_of_a_bracket_keep_their_order(upper: list[float], down: list[float], slack: float) -> None:
    lower = [one - less for one, less in zip(upper, down, strict=False)]
    assert theory.log_policy_condition_number(upper) <= theory.log_policy_condition_number(lower)
    assert theory.failure_rate(upper, slack) <= theory.failure_rate(lower, slack)
    assert theory.log_min_confidence(lower) <= theory.log_min_confidence(upper)


def test_what_nothing_is_known_of_is_infinite_and_what_is_sure_is_exact() -> None:
    assert theory.policy_condition_number([-math.inf, 0.0]) == math.inf
    assert theory.failure_rate([-math.inf, 0.0]) == 0.5
    assert theory.log_min_confidence([-math.inf, 0.0]) == -math.inf
    assert theory.policy_condition_number([-math.inf, 0.0], weights=[0, 1]) == 1.0
    # A sum of float32 logarithms can end a little above 0; what lies further above is a mistake.
    assert theory.policy_condition_number([4e-7, 0.0]) == 1.0
    assert theory.log_policy_condition_number([-2000.0]) == 2000.0


def test_a_record_gives_no_number_that_a_float_cannot_hold() -> None:
    assert theory.from_log(709.7) == pytest.approx(math.exp(709.7))
    for beyond in (709.8, 1e6, math.inf, -746.0, -1e6):
        assert theory.from_log(beyond) is None
    assert theory.from_log(-math.inf) == 0.0


@given(SEEDS, BETA, st.integers(1, 8), st.integers(2, 6))
def test_p3_prompt_by_prompt_is_the_sum_written_out(seed: int, beta: float, prompts: int, responses: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(responses, 0.7), prompts) + 1e-9
    table /= table.sum(axis=1, keepdims=True)
    ordered = np.sort(table, axis=1)
    modes, margins = np.log(ordered[:, -1]), np.log(ordered[:, -1] / ordered[:, -2])
    bound = theory.population_kappa_bound_by_prompt(modes, margins, beta)
    written = [math.exp(-g / beta) * (1 / math.exp(m) - 1) for m, g in zip(modes, margins, strict=True)]
    assert bound == pytest.approx(1 + math.fsum(written) / prompts, rel=1e-12)
    log = theory.log_population_kappa_bound_by_prompt(modes, margins, beta)
    assert log == pytest.approx(math.log(bound), rel=1e-12, abs=1e-12)
    # Between the exact round and the bound from the smallest margin alone.
    power = table ** (1 + 1 / beta)
    assert np.mean(power.sum(axis=1) / power.max(axis=1)) <= bound * (1 + 1e-12)
    weakest = theory.population_kappa_bound(theory.policy_condition_number(modes), max(0.0, margins.min()), beta)
    assert bound <= weakest * (1 + 1e-12)


def test_p3_prompt_by_prompt_at_the_ends_of_its_domain() -> None:
    bound, log = theory.population_kappa_bound_by_prompt, theory.log_population_kappa_bound_by_prompt
    assert bound([-3.0, -math.inf], [math.inf, math.inf], 1.0) == 1.0  # one possible response: nothing to add
    assert bound([0.0, 0.0], [1.0, math.inf], 1.0) == 1.0
    assert bound([-2000.0], [0.0], 1.0) == math.inf
    assert log([-2000.0], [500.0], 2.0) == pytest.approx(1750.0, rel=1e-15)
    assert log([-2000.0, 0.0], [500.0, 0.0], 2.0) == pytest.approx(1750.0 - math.log(2), rel=1e-15)
    # A third of the weight where P3 allows 1 + e^-1 (1/p - 1), p = 1/2.
    assert bound(np.log([0.5, 1.0]), [1.0, 1.0], 1.0, weights=[1, 2]) == pytest.approx(1 + math.exp(-1) / 3)


@given(SEEDS, BETA)
def test_the_error_of_p4_vanishes_at_the_exact_round_only(seed: int, beta: float) -> None:
    rng = np.random.default_rng(seed)
    before = -np.sort(rng.exponential(3, 6))
    exact = theory.sharpen(before - np.logaddexp.reduce(before), beta)
    assert theory.log_ratio_error(before, exact, beta) == pytest.approx(0, abs=1e-9)
    noise = rng.normal(size=6)
    written = max(abs(one - noise[0]) for one in noise)
    assert theory.log_ratio_error(before, exact + noise, beta) == pytest.approx(written, rel=1e-9)
    # What the mode and all others share cancels: eps speaks of ratios.
    assert theory.log_ratio_error(before, exact + noise + 5, beta) == pytest.approx(written, rel=1e-9)


def test_contraction_is_certified_exactly_where_the_log_factor_is_negative() -> None:
    room = np.array([0.25, 1.0, math.inf])
    assert (theory.certified_log_factor(room * 2, 2.0, 0.5) < 0).tolist() == [one > 0.5 for one in room]
    assert theory.certified_kappa_bound(3.0, 1.0, 0.5, 0.7) == pytest.approx(1 + math.exp(0.7 - 1.0 / 0.5) * 2)
    assert theory.certified_kappa_bound(3.0, math.inf, 0.5, 0.7) == 1.0


def test_margins_grow_by_the_power_of_as_many_rounds() -> None:
    grown = 0.3
    for rounds in range(4):
        assert theory.population_margin(0.3, 2.0, rounds) == pytest.approx(grown, rel=1e-14)
        grown *= 1.5
    assert theory.population_margin(0.0, 1e-3, 10_000) == 0.0
    assert theory.population_margin(1.0, 1e-3, 10_000) == math.inf


@settings(max_examples=30)
@given(SEEDS, BETA, st.integers(2, 7))
def test_all_forms_of_eq_3_agree(seed: int, beta: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    logps, reference, rewards = -rng.exponential(3, (3, count))
    written = [
        beta * ((logps[i] - reference[i]) - (logps[j] - reference[j])) - (rewards[i] - rewards[j])
        for i, j in combinations(range(count), 2)
    ]
    a = theory.residual(logps, reference, rewards, beta)
    assert beta * theory.pair_differences(a) == pytest.approx(written, rel=1e-9, abs=1e-9)
    total = math.fsum(one**2 for one in written)
    rows = theory.group_rows(a, a.mean(), count)
    assert beta**2 * (rows**2).sum() == pytest.approx(total, rel=1e-9)
    assert beta * theory.residual_rms([a]) == pytest.approx(math.sqrt(total / len(written)), rel=1e-9)
    free = [(1 + beta) * (reference[j] - reference[i]) + beta * (logps[i] - logps[j])
            for i, j in combinations(range(count), 2)]  # fmt: skip
    assert theory.group_loss(logps, reference, beta) == pytest.approx(math.fsum(one**2 for one in free), rel=1e-9)


def test_tensors_pass_through_the_arithmetic_with_their_gradients() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    logps, reference, rewards = -rng.exponential(3, (3, 4))
    free = torch.tensor(logps, requires_grad=True)
    a = theory.residual(free, torch.tensor(reference), torch.tensor(rewards), 2.0)
    loss = (theory.group_rows(a, a.mean(), torch.tensor(4)) ** 2).sum()
    loss.backward()
    array = theory.residual(logps, reference, rewards, 2.0)
    assert loss.item() == pytest.approx((theory.pair_differences(array) ** 2).sum())
    # d/da_i of sum_{i<j} (a_i - a_j)^2 is 2 sum_j (a_i - a_j).
    assert free.grad is not None
    assert free.grad.numpy() == pytest.approx([2 * (one - array).sum() for one in array])


def test_pairs_of_vectors_are_taken_along_the_axis_asked_for() -> None:
    values = np.random.default_rng(1).normal(size=(2, 3, 4))
    found = theory.pair_differences(values, axis=1)
    assert found.shape == (2, 3, 4)
    for at, (i, j) in enumerate(combinations(range(3), 2)):
        assert np.array_equal(found[:, at], values[:, i] - values[:, j])
    assert theory.pair_differences([1.0]).shape == (0,)


def test_groups_count_alike_however_many_pairs_they_have() -> None:
    # Pairs of (0, 3) differ by 3; of (1, 1, 1, 1) by nothing: the mean of 9 and 0.
    assert theory.residual_rms([[0.0, 3.0], [1.0] * 4, [5.0]]) == pytest.approx(math.sqrt(4.5))
    assert theory.residual_rms([[5.0], []]) is None


def test_beta_of_the_theorems_order_keeps_its_ratio_to_the_sampling_error() -> None:
    # beta * sqrt(n) stays what it is, whatever n.
    pairs = np.array([1.0, 10.0, 1e6])
    assert theory.beta_of_order(pairs, 17.0) * np.sqrt(pairs) == pytest.approx(17.0)
    assert theory.failure_coefficient(math.e, 0.0, theory.beta_of_order(400), 1.0) == pytest.approx(1 / 20)
