"""Brackets against the theory's definitions, intervals against their coverage."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlm.measure.split import mode_statistics, share
from srlm.measure.uncertainty import bootstrap, log_kappa_of, mean_of
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
