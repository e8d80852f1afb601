"""P10 against enumeration: of responses, and of every outcome of a few draws."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from srlm import theory
from srlm.errors import InputError


def tables(seed: int, count: int = 2000, responses: int = 9, answers: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.uniform(0.3, 3, (count, 1)) * rng.standard_normal((count, responses))
    number = rng.integers(answers, size=(count, responses))
    number[:, :answers] = np.arange(answers)
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), number


def by_answer(table: np.ndarray, number: np.ndarray, answers: int = 4) -> np.ndarray:
    return np.stack([(np.exp(table) * (number == a)).sum(axis=1) for a in range(answers)], axis=1)


@pytest.mark.parametrize("beta", [0.4, 1.0, 3.0])
def test_the_exact_round_sharpens_answers_and_leaves_reasoning_alone(beta: float) -> None:
    table, number = tables(0)
    law = by_answer(table, number)
    logs = theory.answer_logprobs(table, number)
    assert np.exp(logs) == pytest.approx(law, rel=1e-12)
    after = theory.answer_round(table, number, beta)
    s = 1 + 1 / beta
    sharper = by_answer(after, number)
    assert np.exp(after).sum(axis=1) == pytest.approx(1.0)
    assert sharper == pytest.approx(law**s / (law**s).sum(axis=1, keepdims=True), rel=1e-9, abs=1e-300)
    assert np.exp(theory.sharpen(logs, beta)) == pytest.approx(sharper, rel=1e-9)
    within = [np.exp(one) / np.take_along_axis(of, number, axis=1) for one, of in ((table, law), (after, sharper))]
    assert within[1] == pytest.approx(within[0], rel=1e-9)
    # P3 and P5 word for word, and kappa_A <= kappa.
    before, then = theory.condition(logs), theory.condition(theory.answer_logprobs(after, number))
    bound = theory.population_kappa_bound(before.policy_condition_number, before.margin, beta)
    assert then.policy_condition_number <= bound
    assert then.margin == pytest.approx(theory.population_margin(before.margin, beta))
    assert (sharper.argmax(axis=1) == law.argmax(axis=1)).all()
    assert (1 / law.max(axis=1) <= np.exp(-table.max(axis=1)) * (1 + 1e-12)).all()


def test_responses_without_an_answer_are_left_out_and_vanish_in_a_round() -> None:
    table, number = tables(1)
    number = np.where(np.random.default_rng(2).random(number.shape) < 0.3, -1, number)
    number[:, 0] = 0
    law = by_answer(table, number)
    law /= law.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        expected = np.log(law)
    assert theory.answer_logprobs(table, number) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    after = theory.answer_round(table, number, 1.0)
    assert (after[number < 0] == -np.inf).all()
    assert by_answer(after, number) == pytest.approx(law**2 / (law**2).sum(axis=1, keepdims=True), rel=1e-9)


def test_margins_of_answers_and_of_responses_are_not_ordered() -> None:
    gaps = []
    for probabilities, number in (([0.4, 0.35, 0.25], [0, 1, 1]), ([0.4, 0.3, 0.3], [0, 0, 1])):
        table = np.log([probabilities])
        gaps.append(theory.condition(theory.answer_logprobs(table, number)).margin - theory.condition(table).margin)
    assert min(gaps) < 0 < max(gaps) or gaps[0] * gaps[1] < 0 or gaps[0] != gaps[1]
    # The mode among responses need not be the mode among answers: votes and likelihoods then disagree for good.
    assert np.exp(theory.answer_logprobs(np.log([0.4, 0.35, 0.25]), [0, 1, 1])).argmax() == 1


def outcomes(draws: int, answers: int) -> np.ndarray:
    """Every vector of counts."""
    every = itertools.product(range(draws + 1), repeat=answers - 1)
    return np.array([(*head, draws - sum(head)) for head in every if sum(head) <= draws])


def chances(counts: np.ndarray, law: np.ndarray) -> np.ndarray:
    """(..., outcomes) of the multinomial, written out."""
    logs = [math.lgamma(sum(c) + 1) - sum(math.lgamma(k + 1) for k in c) for c in counts.tolist()]
    return np.exp(np.log(law) @ counts.T + np.array(logs))


@pytest.mark.parametrize(("draws", "j"), [(2, 1), (4, 1), (4, 2), (5, 3), (7, 2)])
def test_leave_one_out_weights_aim_at_the_exact_round_exactly(draws: int, j: int) -> None:
    law = np.random.default_rng(3).dirichlet(np.ones(3), 2000)
    counts = outcomes(draws, 3)
    weights = theory.answer_weights(counts, 1 / j)
    target = chances(counts, law) @ (counts * weights / draws)
    assert target == pytest.approx(law ** (1 + j), rel=1e-10)
    if j == 1:
        assert weights == pytest.approx(np.maximum(counts - 1, 0) / (draws - 1))


def test_the_plug_in_target_of_many_draws() -> None:
    """Two answers and counts whose factorials are beyond every float."""
    count, law = np.arange(721), 0.55
    chance = np.exp([math.lgamma(721) - math.lgamma(c + 1) - math.lgamma(721 - c) for c in count.tolist()]
                    + count * math.log(law) + (720 - count) * math.log(1 - law))  # fmt: skip
    expected = chance @ (count**1.25 / (count**1.25 + (720 - count) ** 1.25))
    assert theory.plugin_target([law, 1 - law], 4.0, 720)[0] == pytest.approx(expected, rel=1e-10)


def test_the_plug_in_target_against_every_outcome() -> None:
    rng = np.random.default_rng(4)
    law = np.array([0.5, 0.3, 0.2])
    for draws, expected in ((8, 0.5806213765), (32, 0.6316433415)):
        assert theory.plugin_target(law, 1.0, draws)[0] == pytest.approx(expected, abs=1e-9)
    assert theory.plugin_target(law, 1.0, 4)[0] == pytest.approx(0.542, abs=1e-12)
    assert theory.plugin_target(law, 1.0, 300)[0] == pytest.approx(0.6578947368, abs=5e-3)
    for number in range(2000):
        draws, answers, beta = int(rng.integers(1, 7)), int(rng.integers(2, 4)), float(rng.uniform(0.2, 4))
        one = rng.dirichlet(np.ones(answers))
        counts, s = outcomes(draws, answers), 1 + 1 / beta
        powers = counts.astype(float) ** s
        expected = chances(counts, one) @ (powers / powers.sum(axis=1, keepdims=True))
        found = theory.plugin_target(one, beta, draws)
        assert found == pytest.approx(expected, rel=1e-9), number
        order = np.argsort(one)
        assert (np.diff(found[order]) >= -1e-12).all()  # the order is kept
        exact = one**s / (one**s).sum()
        assert one.max() - 1e-12 <= found.max() <= exact.max() + 1e-12  # less sharp than an exact round
        if draws <= 2:
            assert found == pytest.approx(one, rel=1e-9)
    assert theory.plugin_target([1.0, 0.0], 1.0, 5).tolist() == [1.0, 0.0]
    assert theory.plugin_target([1.0], 1.0, 5).tolist() == [1.0]
    assert theory.plugin_target([0.6, 0.4], 1 / 99, 64)[0] == pytest.approx(
        1 - stats.binom.cdf(31, 64, 0.6) - stats.binom.pmf(32, 64, 0.6) / 2, abs=1e-3
    )  # a large power takes the majority


def test_the_regression_target_against_every_outcome() -> None:
    rng = np.random.default_rng(5)
    for _ in range(2000):
        draws, answers, beta = int(rng.integers(2, 7)), int(rng.integers(2, 4)), float(rng.uniform(0.2, 4))
        law = rng.dirichlet(np.ones(answers))
        counts = outcomes(draws - 2, answers)  # the draws beside the pair that is compared
        reward = chances(counts, law) @ np.log((counts + 1) / draws)
        expected = law * np.exp(reward / beta)
        assert theory.regression_target(law, beta, draws) == pytest.approx(expected / expected.sum(), rel=1e-9)
    assert theory.regression_target([0.7, 0.3], 1.0, 2) == pytest.approx([0.7, 0.3])


def test_long_responses_and_extreme_powers() -> None:
    table = np.array([[-2000.0, -2000.0, -2001.0]])
    assert theory.answer_logprobs(table, [0, 0, 1]) == pytest.approx(np.array([[math.log(2) - 2000, -2001.0]]))
    sure = theory.answer_round(np.log([[0.5, 0.3, 0.2]]), [0, 0, 1], 1e-310)
    assert np.exp(sure) == pytest.approx(np.array([[0.625, 0.375, 0.0]]))
    assert theory.answer_weights([1000, 0], 0.01).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.answer_logprobs(np.log([0.5, 0.5]), [0.0, 1.0]), "whole numbers"),
        (lambda: theory.answer_logprobs(np.log([0.5, 0.5]), [0]), "one a response"),
        (lambda: theory.answer_logprobs(np.log([0.5, 0.5]), [-1, -1]), "some of them >= 0"),
        (lambda: theory.answer_logprobs([0.0, -np.inf], [-1, 0]), "no possible response with an answer"),
        (lambda: theory.answer_round(np.log([0.5, 0.5]), [0, 1], 0.0), "beta is 0"),
        (lambda: theory.answer_weights([2, 1], 0.7), "1/beta whole"),
        (lambda: theory.answer_weights([2, 1], 2.0), "1/beta whole"),
        (lambda: theory.answer_weights([1, 1], 0.5), "needs at least 3"),
        (lambda: theory.answer_weights([1], 1.0), "needs at least 2"),
        (lambda: theory.answer_weights([], 1.0), "needs at least 2"),
        (lambda: theory.answer_weights([1.5, 1], 1.0), "counts must be whole"),
        (lambda: theory.answer_weights([-1, 3], 1.0), "counts is -1"),
        (lambda: theory.plugin_target([0.5, 0.4], 1.0, 4), "sums to 1"),
        (lambda: theory.plugin_target([], 1.0, 4), "sums to 1"),
        (lambda: theory.plugin_target([[0.5, 0.5]], 1.0, 4), "must be a vector"),
        (lambda: theory.plugin_target([0.5, 0.5], 1.0, 0), "draws is 0"),
        (lambda: theory.plugin_target([0.5, 0.5], 0.001, 4), "1 \\+ 1/beta is 1001"),
        (lambda: theory.regression_target([0.5, 0.5], 1.0, 1), "draws is 1"),
    ],
)
def test_misuse_is_refused_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
