"""Best-of-N, majority vote, AUROC and calibration against their definitions."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm.measure.strategies import best_of_n, majority, self_judgement
from srlm.records.responses import Complete, Response, Rollout


def responses(*logprobs: float) -> list[Response]:
    return [Response(Complete((at, 0), value, True)) for at, value in enumerate(logprobs)]


def graded(*prompts: Sequence[tuple[float, bool | None]]) -> list[Rollout]:
    """Rollouts of (self-reward, right or not) pairs."""
    return [
        Rollout(
            at, tuple(Response(Complete((n,), logprob, True), "", right) for n, (logprob, right) in enumerate(some))
        )
        for at, some in enumerate(prompts)
    ]


def test_best_of_n_is_the_largest_self_reward_and_the_first_of_equals() -> None:
    assert best_of_n(responses(-3.0, -1.0, -2.0)) == 1
    assert best_of_n(responses(-1.0, -1.0)) == 0


def test_majority_reads_answers_and_not_spellings() -> None:
    drawn = responses(-1.0, -4.0, -5.0)
    assert majority(["7", "It is 5.", "5"], drawn) in (1, 2)
    assert majority(["Paris", "paris.", "Rome"], drawn) == 0


def test_majority_breaks_ties_by_probability() -> None:
    assert majority(["Rome", "Paris"], responses(-3.0, -2.0)) == 1
    assert majority(["Rome", "Paris"], responses(-2.0, -3.0)) == 0


PAIRS = st.lists(
    st.lists(st.tuples(st.sampled_from([-4.0, -2.0, -1.0, -0.5]), st.booleans()), min_size=1, max_size=6),
    min_size=1, max_size=5,
)  # fmt: skip


def pairs_won(pairs: list[tuple[float, bool]]) -> float | None:
    """AUROC by its definition: pairs of a right and a wrong one, ties worth half."""
    won = [
        1.0 if right > wrong else 0.5 if right == wrong else 0.0
        for right in (reward for reward, good in pairs if good)
        for wrong in (reward for reward, good in pairs if not good)
    ]
    return float(np.mean(won)) if won else None


@settings(deadline=None)  # the first example imports scikit-learn
@given(PAIRS)
def test_auroc_is_the_share_of_pairs_won(table: list[list[tuple[float, bool]]]) -> None:
    found = self_judgement(graded(*table))
    assert found is not None
    assert found.auroc == pytest.approx(pairs_won([one for row in table for one in row]))
    within = [value for row in table if (value := pairs_won(row)) is not None]
    assert found.prompts_within == len(within)
    assert found.auroc_within == (pytest.approx(np.mean(within)) if within else None)
    assert sum(one.count for one in found.calibration) == found.samples
    assert 0 <= found.calibration_error <= 1


def test_calibration_error_is_zero_for_calibrated_rewards_and_large_for_boasts() -> None:
    calibrated = self_judgement(graded([(math.log(0.5), at % 2 == 0) for at in range(20)]))
    boasting = self_judgement(graded([(0.0, False)] * 20))
    assert calibrated is not None
    assert boasting is not None
    assert calibrated.calibration_error == pytest.approx(0.0, abs=1e-12)
    assert boasting.calibration_error == pytest.approx(1.0)
    assert boasting.auroc is None


def test_unknown_answers_are_left_out() -> None:
    assert self_judgement(graded([(-1.0, None), (-2.0, None)])) is None
    found = self_judgement(graded([(-1.0, None)], [(-2.0, True), (-3.0, False)]))
    assert found is not None
    assert (found.samples, found.auroc) == (2, 1.0)


def test_a_bin_of_responses_too_long_for_a_double_has_confidence_0() -> None:
    judgement = self_judgement(graded([(-2000.0, True)]))
    assert judgement is not None
    assert judgement.calibration[0].confidence == 0.0
