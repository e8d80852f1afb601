"""Brackets against the theory's definitions, intervals against their coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlm.measure.split import mode_statistics, share
from srlm.measure.uncertainty import bootstrap, log_kappa_of, mean_of, over_prompts, paired, standard_error
from srlm.theory.conditioning import failure_rate, log_policy_condition_number

BRACKETS = st.lists(st.tuples(st.floats(-30, 0), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12)


@given(BRACKETS)
def test_brackets_hold_every_policy_that_the_search_left_possible(rows: list[tuple[float, float, float]]) -> None:
    lower = np.array([low for low, _, _ in rows])
    upper = lower + np.array([wide for _, wide, _ in rows]) * -lower
    inside = lower + np.array([at for _, _, at in rows]) * (upper - lower)
    found = mode_statistics(lower, upper)
    for bracket, value in (
        (found.log_kappa, log_policy_condition_number(np.minimum(inside, 0))),
        (found.failure_rate, failure_rate(np.minimum(inside, 0))),
        (found.log_min_confidence, inside.min()),
    ):
        assert bracket.lower - 1e-9 <= value <= bracket.upper + 1e-9


def test_ends_equal_the_definitions_where_modes_are_proved() -> None:
    logprobs = np.log([0.9, 0.25, 0.5])
    found = mode_statistics(logprobs, logprobs)
    assert found.kappa.lower == found.kappa.upper == pytest.approx((1 / 0.9 + 4 + 2) / 3)
    assert found.failure_rate.upper == pytest.approx(2 / 3)  # 1/2 counts as failing: <= 1 - delta
    assert found.min_confidence.lower == pytest.approx(0.25)


def test_kappa_beyond_the_float_range_has_no_end_and_its_logarithm_has() -> None:
    found = mode_statistics([-1000.0, -1.0], [-1000.0, -1.0])
    assert found.log_kappa.upper == pytest.approx(1000 - math.log(2))
    assert found.kappa.upper is None
    assert found.min_confidence.lower is None
    assert found.log_min_confidence.lower == -1000


def test_bootstrap_of_a_mean_covers_it_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        interval = bootstrap(generator.normal(2.0, 1.0, 40), mean_of, generator, resamples=400)
        hits += interval.lower <= 2.0 <= interval.upper
    # Binomial(300, 0.95) has standard deviation 3.8; percentile intervals of 40 values cover a little less than 95 %.
    assert 0.89 <= hits / 300 <= 0.99


def test_bootstrap_of_log_kappa_uses_its_definition_on_every_resample() -> None:
    logprobs = np.log([[0.5, 0.25], [0.5, 0.5]])
    assert log_kappa_of(logprobs) == pytest.approx(np.log([3.0, 2.0]))
    same = bootstrap(np.full(9, -2.0), log_kappa_of, np.random.default_rng(0))
    assert same.lower == same.upper == pytest.approx(2.0)


def test_shares_count_only_what_is_known() -> None:
    assert share([True, None, False, True]) == pytest.approx(2 / 3)
    assert share([None]) is None
    assert share([]) is None


def log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def at_most(k: int, n: int, p: float) -> float:
    """P(Bin(n, p) <= k), term by term."""
    if p in (0.0, 1.0):
        return float(p == 0.0 or k >= n)
    return sum(math.exp(log_choose(n, j) + j * math.log(p) + (n - j) * math.log1p(-p)) for j in range(k + 1))


@pytest.mark.parametrize(("right", "prompts"), [(0, 5), (5, 5), (1, 1), (22, 24), (13, 48)])
def test_a_share_of_prompts_has_the_interval_of_clopper_and_pearson(right: int, prompts: int) -> None:
    found = over_prompts([True] * right + [False] * (prompts - right) + [None])
    assert found is not None
    # Its ends are where the binomial tails are a fortieth; a tail that cannot be that light ends at 0 or 1.
    if right < prompts:
        assert at_most(right, prompts, found.upper) == pytest.approx(0.025)
    else:
        assert found.upper == 1.0
    if right > 0:
        assert 1 - at_most(right - 1, prompts, found.lower) == pytest.approx(0.025)
    else:
        assert found.lower == 0.0


@pytest.mark.parametrize("truth", [0.05, 0.5, 0.9])
def test_a_share_of_few_prompts_is_covered_at_least_as_often_as_it_says(truth: float) -> None:
    chances = [math.exp(log_choose(12, k) + k * math.log(truth) + (12 - k) * math.log1p(-truth)) for k in range(13)]
    covered = 0.0
    for right, chance in enumerate(chances):
        found = over_prompts([True] * right + [False] * (12 - right))
        assert found is not None
        covered += chance * (found.lower <= truth <= found.upper)
    assert covered >= 0.95


@pytest.mark.parametrize("prompts", [30, 2000])
def test_a_mean_of_fractions_is_covered_about_as_often_as_it_says_whichever_way_it_is_made(prompts: int) -> None:
    generator = np.random.default_rng(5)
    tries = 200
    hits = 0
    for _ in range(tries):
        found = over_prompts((generator.binomial(4, generator.beta(2, 1, prompts)) / 4).tolist())
        assert found is not None
        hits += found.lower <= 2 / 3 <= found.upper
    # Binomial(200, 0.95) has standard deviation 3.1.
    assert 0.89 <= hits / tries <= 0.99


def test_an_interval_is_the_same_whenever_it_is_made_and_none_where_nothing_is_known() -> None:
    values = [0.25, 0.5, 1.0, None, 0.0]
    assert over_prompts(values) == over_prompts(values)
    assert over_prompts([None]) is None
    assert standard_error([None, 0.5]) is None
    assert standard_error([0.0, 1.0, None]) == pytest.approx(math.sqrt(0.5 / 2))


def test_the_paired_interval_covers_and_is_narrower_than_that_of_two_samples():
    """Simulated: 60 prompts whose outcomes go together; the true difference lies in it about as often as it says."""
    draw = np.random.default_rng(0)
    inside, widths = 0, []
    for _ in range(400):
        easy = draw.random(60) < 0.7
        one = np.where(draw.random(60) < 0.9, easy, ~easy)
        other = np.where(draw.random(60) < 0.95, easy, True)
        told = paired(one.tolist(), other.tolist())
        truth = (0.7 * 1 + 0.3 * 0.05) - (0.7 * 0.9 + 0.3 * 0.1)
        assert told is not None
        inside += told.interval.lower <= truth <= told.interval.upper
        widths.append(told.interval.upper - told.interval.lower)
    assert inside / 400 > 0.92
    assert np.mean(widths) < 2 * 1.96 * np.sqrt(2 * 0.7 * 0.3 / 60)
