"""Exact rounds of other rules against enumeration and against the samples they are the limit of."""

import numpy as np
import pytest

from srlm.errors import InputError
from srlm.policies import TabularPolicy
from srlm.simulation.population import RULES, population_round
from srlm.theory import sharpen

RNG = np.random.default_rng(0)
POLICY = TabularPolicy.from_logits(RNG.standard_normal((3, 5)))
REWARDS = np.round(RNG.standard_normal((3, 5)), 1)
REWARDS[1, 2] = REWARDS[1, 4]  # a tie


@pytest.mark.parametrize("rule", ["regression", "dpo"])
def test_the_self_reward_is_sharpened(rule: str) -> None:
    found = population_round(POLICY, POLICY.logprobs, 0.8, rule)
    assert found.logprobs == pytest.approx(sharpen(POLICY.logprobs, 0.8))


def test_any_reward_tilts_the_policy() -> None:
    tilted = np.exp(POLICY.logprobs) * np.exp(REWARDS / 0.5)
    found = population_round(POLICY, REWARDS, 0.5)
    assert np.exp(found.logprobs) == pytest.approx(tilted / tilted.sum(axis=1, keepdims=True))


def test_ipo_is_the_least_squares_solution_over_all_pairs() -> None:
    # minimise sum_{y,z} pi(y) pi(z) (beta (h(y) - h(z)) - sign(r(y) - r(z))/2)^2, h = log(pi_new / pi).
    found = population_round(POLICY, REWARDS, 0.7, "ipo")
    for row in range(3):
        chance = np.exp(POLICY.logprobs[row])
        rows, targets, weights = [], [], []
        for y in range(5):
            for z in range(5):
                one = np.zeros(5)
                one[y] += 0.7
                one[z] -= 0.7
                rows.append(one)
                targets.append(np.sign(REWARDS[row, y] - REWARDS[row, z]) / 2)
                weights.append(np.sqrt(chance[y] * chance[z]))
        w = np.array(weights)
        h = np.linalg.lstsq(np.array(rows) * w[:, None], np.array(targets) * w, rcond=None)[0]
        expected = chance * np.exp(h)
        assert np.exp(found.logprobs[row]) == pytest.approx(expected / expected.sum())


def test_best_of_k_is_the_law_of_the_best_draw() -> None:
    found = np.exp(population_round(POLICY, REWARDS, 1.0, "best-of-k", responses=3).logprobs)
    for row in range(3):
        chance, law = np.exp(POLICY.logprobs[row]), np.zeros(5)
        for a in range(5):
            for b in range(5):
                for c in range(5):
                    drawn = np.array([a, b, c])
                    best = drawn[REWARDS[row, drawn] == REWARDS[row, drawn].max()]
                    for one in best:
                        law[one] += chance[a] * chance[b] * chance[c] / len(best)
        assert found[row] == pytest.approx(law)


@pytest.mark.parametrize("rule", RULES)
def test_impossible_responses_stay_impossible(rule: str) -> None:
    policy = TabularPolicy.from_logits([[0.0, 0.0, -np.inf]])
    found = population_round(policy, np.array([[1.0, 2.0, np.nan]]), 1.0, rule)
    assert found.logprobs[0, 2] == -np.inf
    if rule == "uniform":  # the control looks at no reward
        assert found.logprobs == pytest.approx(policy.logprobs)
    else:
        assert found.logprobs[0, 1] > found.logprobs[0, 0]


@pytest.mark.parametrize("rule", RULES)
def test_a_constant_reward_changes_nothing(rule: str) -> None:
    found = population_round(POLICY, np.full(POLICY.logprobs.shape, 3.0), 0.5, rule)
    assert found.logprobs == pytest.approx(POLICY.logprobs, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "luck"}, "rule 'luck' is unknown"),
        ({"beta": 0.0}, "beta is 0"),
        ({"responses": 1}, "at least 2 responses"),
        ({"rewards": np.zeros((2, 2))}, "rewards have shape"),
        ({"rewards": np.full((3, 5), np.inf)}, "finite numbers"),
    ],
)
def test_misuse_is_one_clear_sentence(arguments: dict, message: str) -> None:
    given = {"rewards": REWARDS, "beta": 1.0} | arguments
    with pytest.raises(InputError, match=message):
        population_round(POLICY, given.pop("rewards"), given.pop("beta"), **given)
