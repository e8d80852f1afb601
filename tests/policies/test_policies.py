"""Exact policies against enumeration and definitions written out."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm.errors import InputError
from srlm.policies import AutoregressivePolicy, LinearSoftmaxPolicy, TabularPolicy, instances
from srlm.theory import expansions_bound


def test_a_table_says_what_its_definition_says() -> None:
    policy = TabularPolicy.from_logits([np.log([1, 3, 4]), [1, 1, -np.inf]], weights=[3, 1])
    assert np.exp(policy.logprobs) == pytest.approx(np.array([[1, 3, 4], [4, 4, 0]]) / 8)
    assert policy.modes.tolist() == [2, 0]
    assert policy.margins == pytest.approx([math.log(4 / 3), 0.0])
    found = policy.conditioning()
    assert found.policy_condition_number == pytest.approx(0.75 * 2 + 0.25 * 2)
    assert found.failure_rate == 1.0
    assert policy.accuracy([2, 1]) == pytest.approx(0.75 * 0.5 + 0.25 * 0.5)
    assert TabularPolicy.from_logits([[0.0]]).margins.tolist() == [math.inf]


def tree(rng: np.random.Generator, tokens: int, length: int, ends: bool, spread: float = 1.5) -> AutoregressivePolicy:
    return AutoregressivePolicy.from_logits(
        [spread * rng.standard_normal((tokens**t, tokens)) for t in range(length)], ends
    )


@settings(deadline=None, max_examples=40, derandomize=True, database=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 4), st.booleans(), st.floats(0.1, 4))
def test_mode_search_finds_the_mode_within_the_bound_of_p6(
    seed: int, tokens: int, length: int, ends: bool, spread: float
) -> None:
    policy = tree(np.random.default_rng(seed), tokens, length, ends, spread)
    found = policy.mode()
    best = int(policy.logprobs.argmax())
    assert found.response == policy.responses[best]
    assert found.logprob == pytest.approx(policy.logprobs[best])
    assert found.expansions <= expansions_bound(length, math.exp(found.logprob)) * (1 + 1e-12)
    assert np.exp(policy.logprobs).sum() == pytest.approx(1)
    if found.logprob > math.log(0.5):
        assert policy.greedy() == found.response


def test_responses_end_at_token_zero_or_are_cut() -> None:
    policy = tree(np.random.default_rng(0), 3, 3, ends=True)
    brute = set()
    for one in itertools.product(range(3), repeat=3):
        at = one.index(0) + 1 if 0 in one else 3
        brute.add(one[:at])
    assert set(policy.responses) == brute
    assert len(policy.responses) == len(brute)
    by_hand = policy.next_logprobs(())[2] + policy.next_logprobs((2,))[1] + policy.next_logprobs((2, 1))[2]
    assert policy.logprobs[policy.responses.index((2, 1, 2))] == pytest.approx(by_hand)


def test_linear_softmax_is_its_formula() -> None:
    rng = np.random.default_rng(1)
    policy = LinearSoftmaxPolicy(rng.standard_normal((3, 4, 2)), np.array([0.5, -1.0]))
    scores = policy.features @ policy.theta
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.exp(policy.tabular().logprobs) == pytest.approx(expected)
    covariances = [np.cov(policy.features[p].T, aweights=expected[p], bias=True) for p in range(3)]
    assert policy.fisher().eigenvalues == pytest.approx(np.linalg.eigvalsh(np.mean(covariances, axis=0))[::-1])


@pytest.mark.parametrize("kind", [list, np.float16, np.float32, np.int64])
def test_features_of_any_kind_give_the_same_policy(kind: Any) -> None:
    features = np.random.default_rng(2).integers(-2, 3, (3, 4, 2))  # whole numbers: exact in every kind
    given_ = features.tolist() if kind is list else features.astype(kind)
    policy = LinearSoftmaxPolicy(given_, [0.5, -1.0])  # pyright: ignore[reportArgumentType]
    assert policy.features.dtype == (np.float32 if kind is np.float32 else np.float64)
    same = LinearSoftmaxPolicy(features.astype(np.float64), np.array([0.5, -1.0]))
    assert policy.tabular().logprobs == pytest.approx(same.tabular().logprobs, rel=1e-12)
    assert policy.fisher().eigenvalues == pytest.approx(same.fisher().eigenvalues, rel=1e-12)


@pytest.mark.parametrize(("mode", "excess"), [(0.45, 0.05), (0.3, 0.1), (0.3, 0.4), (0.1, 0.5), (0.05, 0.01)])
def test_greedy_decoding_walks_into_the_trap(mode: float, excess: float) -> None:
    policy = instances.greedy_trap_tree(mode, excess)
    found = policy.mode()
    assert math.exp(found.logprob) == pytest.approx(mode)
    assert policy.greedy() != found.response
    ordered = np.sort(policy.logprobs)
    assert ordered[-1] - ordered[-2] > 1e-9  # unique
    assert np.exp(policy.logprobs).sum() == pytest.approx(1)


@pytest.mark.parametrize(("regime", "strength"), [("A", 0.2), ("B", 2.0), ("C", 3)])
def test_controlled_spectra_have_the_decay_asked_for(regime: Any, strength: float) -> None:
    rng = np.random.default_rng(0)
    policy = instances.controlled_spectrum(rng, regime, strength, prompts=400, responses=50, dimensions=8)
    flat = policy.features.reshape(-1, 8)
    values = np.linalg.eigvalsh(flat.T @ flat / len(flat))[::-1]
    expected = instances.spectrum_of(regime, 8, strength)
    assert values / values[0] == pytest.approx(expected / expected[0], rel=0.1)
    assert np.linalg.norm(policy.features, axis=-1).max() <= 1 + 1e-12


def test_digits_are_a_task_with_headroom() -> None:
    task = instances.digits()
    table = task.policy.tabular()
    assert table.accuracy(task.correct) < 0.5 < np.mean(table.modes == task.correct)
    assert np.linalg.norm(task.policy.features, axis=-1).max() <= 1 + 1e-9
    again = instances.digits()
    assert (again.policy.theta == task.policy.theta).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TabularPolicy.from_logits([1.0]), "logits have shape"),
        (lambda: TabularPolicy.from_logits([[math.nan]]), "logits have shape"),
        (lambda: TabularPolicy.from_logits([[0.0]], [1, 2]), "weights must be 1 numbers"),
        (lambda: TabularPolicy.from_logits([[0.0]], [-1]), "weights must be"),
        (lambda: AutoregressivePolicy.from_logits([]), "at least one step"),
        (lambda: AutoregressivePolicy.from_logits([np.zeros((1, 2)), np.zeros((3, 2))]), r"step 1 has shape"),
        (lambda: LinearSoftmaxPolicy(np.zeros((2, 2)), np.zeros(2)), "features have shape"),
        (lambda: LinearSoftmaxPolicy(np.full((1, 2, 2), math.inf), np.zeros(2)), "4 entries that are not finite"),
        (lambda: LinearSoftmaxPolicy([[["a"]]], np.zeros(1)), "features are no table of numbers"),
        (lambda: LinearSoftmaxPolicy(np.zeros((1, 2, 2)), np.zeros(3)), "theta has shape"),
        (lambda: instances.greedy_trap_tree(0.5, 0.1), "mode_probability is 0.5"),
        (lambda: instances.random_softmax(np.random.default_rng(0), prompts=0), "at least 1"),
        (lambda: instances.spectrum_of("B", 4, 0.5), "regime is 'B'"),
        (lambda: instances.digits(labelled=3), "labelled is 3"),
    ],
)
def test_misuse_is_one_clear_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
