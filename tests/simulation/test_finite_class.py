"""Empirical risk minimisation picks what brute force picks, and says when the class is too small."""

import numpy as np
import pytest

from srlm.errors import InputError
from srlm.policies import TabularPolicy
from srlm.policies.instances import hard_instance
from srlm.simulation.finite_class import erm_round, optimum_gap
from srlm.theory import sharpen

RNG = np.random.default_rng(0)
CURRENT = TabularPolicy.from_logits(RNG.standard_normal((4, 5))).logprobs
OTHERS = [TabularPolicy.from_logits(RNG.standard_normal((4, 5))).logprobs for _ in range(6)]
MEMBERS = np.stack([*OTHERS[:3], sharpen(CURRENT, 0.7), *OTHERS[3:]])
PROMPTS, RESPONSES = RNG.integers(0, 4, 30), RNG.integers(0, 5, (30, 2))
REWARDS = CURRENT[PROMPTS[:, None], RESPONSES]


def test_losses_are_eq_3_pair_by_pair() -> None:
    found = erm_round(MEMBERS, CURRENT, PROMPTS, RESPONSES, REWARDS, 0.7)
    for member, table in enumerate(MEMBERS):
        direct = 0.0
        for x, (y, z) in zip(PROMPTS, RESPONSES, strict=True):
            ratio = (table[x, y] - CURRENT[x, y]) - (table[x, z] - CURRENT[x, z])
            direct += (0.7 * ratio - (CURRENT[x, y] - CURRENT[x, z])) ** 2 / 30
        assert found.losses[member] == pytest.approx(direct, abs=1e-12)


def test_a_realizable_class_yields_the_sharpened_policy() -> None:
    found = erm_round(MEMBERS, CURRENT, PROMPTS, RESPONSES, REWARDS, 0.7, require_optimum=True)
    assert found.member == 3
    assert found.losses[3] == pytest.approx(0, abs=1e-20)
    assert optimum_gap(MEMBERS, CURRENT, 0.7) == pytest.approx(0, abs=1e-12)


def test_on_the_hard_instance_it_finds_the_favourite_exactly_when_a_pair_shows_it() -> None:
    favourites = np.arange(6)
    truth = hard_instance(0.5, 6, 1, np.array([2])).logprobs
    members = np.stack([sharpen(hard_instance(0.5, 6, 1, np.array([f])).logprobs, 1.0) for f in favourites])
    seen = erm_round(members, truth, np.array([1]), np.array([[2, 4]]), truth[1][[[2, 4]]], 1.0)
    assert seen.member == 2
    unseen = erm_round(members, truth, np.array([1]), np.array([[0, 4]]), truth[1][[[0, 4]]], 1.0)
    left = np.flatnonzero(np.isclose(unseen.losses, unseen.losses.min()))
    assert left.tolist() == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": np.stack(OTHERS), "require_optimum": True}, "cannot realise the round's optimum"),
        ({"members": MEMBERS[:, :2]}, "members have shape"),
        ({"beta": 0.0}, "beta > 0"),
        ({"responses": RESPONSES[:3]}, "n >= 1 prompts"),
    ],
)
def test_misuse_is_one_clear_sentence(changes: dict, message: str) -> None:
    given = {"members": MEMBERS, "current": CURRENT, "prompts": PROMPTS, "responses": RESPONSES}
    given |= {"rewards": REWARDS, "beta": 0.7} | changes
    with pytest.raises(InputError, match=message):
        erm_round(**given)
