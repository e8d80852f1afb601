"""What the projection and its controls train on, against the definitions; how far from a target an update ended."""

import math
from collections import Counter

import numpy as np
import pytest

from srlm.engines.engine import Encoded
from srlm.measure.projection import left_out
from srlm.records.responses import Complete, ModeBracket, Outside, Response, Rollout
from srlm.theory import projection_weights
from srlm.training.reached import distance, projected
from srlm.training.update import Group, MeasuredPrompt
from srlm.training.updates import UPDATES

LAW = (0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05)


def response(number: int) -> Response:
    return Response(Complete((number,), math.log(LAW[number]), True), f"answer {number}")


def measured(
    samples: list[int], kept: list[int], rewards: dict[int, float | None] | None = None, update: str = "projection"
) -> MeasuredPrompt:
    best = tuple(map(response, kept))
    left = sorted((math.log(LAW[at]) for at in range(len(LAW)) if at not in kept), reverse=True)
    mode = ModeBracket(best, best[0].logprob, best[0].logprob, True, best[0], proved=1, outside=Outside(tuple(left)))
    rollout = UPDATES[update].responses(Rollout(0, tuple(map(response, samples))), mode)
    worth = [one.logprob if rewards is None else rewards[one.tokens[0]] for one in rollout.responses]
    return MeasuredPrompt(Encoded(3, (7,)), rollout, mode, worth, rollout.logprobs)


def only(groups: list[Group]) -> Group:
    (group,) = groups
    assert sum(group.weights) == pytest.approx(1)
    assert (group.prompt, group.number) == ((7,), 3)
    return group


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_each_known_response_is_trained_on_once_with_its_power(beta: float) -> None:
    group = only(UPDATES["projection"].groups([measured([2, 4, 4, 0], [0, 1])], beta))
    powers = {at: LAW[at] ** (1 + 1 / beta) for at in (0, 1, 2, 4)}
    whole = sum(powers.values())
    heavy: list[int] = []
    for at in sorted(powers, key=lambda at: -powers[at]):
        if sum(powers[one] for one in heavy) < 0.99 * whole:
            heavy.append(at)
    assert [tokens[0] for tokens in group.responses] == heavy
    expected = [powers[at] / sum(powers[one] for one in heavy) for at in heavy]
    assert group.weights == pytest.approx(expected)
    assert group.rewards == group.reference_logps == pytest.approx([math.log(LAW[at]) for at in heavy])


def test_at_most_six_are_trained_on_and_a_reward_may_leave_some_out() -> None:
    flat: dict[int, float | None] = {at: -math.log(LAW[at]) for at in range(8)}  # the same weight for every one
    assert len(only(UPDATES["projection"].groups([measured([5, 6, 7], [0, 1, 2, 3, 4], flat)], 1.0)).responses) == 6
    rewards = {0: None, 1: 0.0, 2: 3.0}
    group = only(UPDATES["projection"].groups([measured([2], [0, 1], rewards)], 2.0))
    odds = LAW[2] / LAW[1] * math.exp(3 / 2)
    assert [tokens[0] for tokens in group.responses] == [2, 1]
    assert group.weights[0] / group.weights[1] == pytest.approx(odds)
    assert UPDATES["projection"].groups([measured([0], [0], {0: None})], 1.0) == []


def test_distinct_responses_and_multiplicities_have_the_same_target() -> None:
    beta, generator = 1.0, np.random.default_rng(0)
    drawn = generator.choice(len(LAW), 200_000, p=LAW)
    target = np.array(LAW) ** 2 / (np.array(LAW) ** 2).sum()
    distinct = projection_weights(np.log(LAW), beta)
    assert distinct == pytest.approx(target)
    per_draw = projection_weights(np.log(LAW)[drawn], beta, distinct=False)
    assert np.bincount(drawn, per_draw) == pytest.approx(target, abs=3e-3)
    # The two mixed up: squares counted as often as they were drawn make cubes.
    wrong = np.bincount(drawn, projection_weights(np.log(LAW)[drawn], beta))
    assert np.abs(wrong - target).max() > 0.1


def test_controls_train_on_samples_alike_or_on_the_mode_alone() -> None:
    group = only(UPDATES["likelihood"].groups([measured([2, 4, 4, 0], [0, 1], update="likelihood")], 1.0))
    counts = Counter(tokens[0] for tokens in group.responses)
    assert counts == {2: 1, 4: 2, 0: 1}
    assert set(group.weights) == {0.25}
    group = only(UPDATES["mode_likelihood"].groups([measured([2, 2], [0, 1], update="mode_likelihood")], 1.0))
    assert (group.responses, group.weights) == (((0,),), (1.0,))


def test_the_distance_to_a_target_is_zero_at_it_and_the_rest_is_left_out() -> None:
    one = measured([2], [0, 1])
    groups = UPDATES["projection"].groups([one], 1.0)
    weights = np.array(groups[0].weights)
    assert distance(groups, [np.log(weights).tolist()]) == pytest.approx([0.0], abs=1e-12)
    half = [(np.log(weights) - math.log(2)).tolist()]  # half of the mass elsewhere
    assert distance(groups, half) == pytest.approx([math.log(2)])
    rollouts, modes = [one.rollout] * 4, [one.mode] * 4
    record = projected(groups, half, rollouts, modes, 2.0)
    assert record is not None
    assert (record.distance, record.distance_worst_prompt) == (pytest.approx(math.log(2)), 3)
    assert record.target_kappa == pytest.approx(1 / weights.max())
    # Everything outside is an open prefix of its own here, so the upper end of tau is tau itself, but for the sample
    # that lies under one of them and counts twice.
    inside = sum(LAW[tokens[0]] ** 2 for tokens in groups[0].responses)
    outside = sum(p**2 for p in LAW[2:])
    assert record.tau == pytest.approx(outside / (inside + outside))
    assert left_out(groups, rollouts, modes, 2.0) == pytest.approx([record.tau])
