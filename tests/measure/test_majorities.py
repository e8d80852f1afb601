"""Majorities and their certificates, against policies whose laws are known, and against what every rest allows."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from srlm.measure.answers import calibration_error, measure_answers, moved
from srlm.measure.majorities import majorities, settled
from srlm.records.answers import Majority
from srlm.records.responses import Complete, Response, Rollout

PROMPTS, RUNS, CONFIDENCE = 6, 1000, 0.9


def drawn(answers: Any, right: Any = None, greedy: Any = None) -> Rollout:
    """A rollout of different responses of next to no probability."""
    told = [(None if one is None else str(one), None if right is None else one == right) for one in answers]
    responses = tuple(
        Response(Complete((at,), -50.0, True), text="?", answer=answer, correct=correct)
        for at, (answer, correct) in enumerate(told)
    )
    first = None if greedy is None else Response(Complete((0,), -1.0, True), answer=str(greedy))
    return Rollout(0, responses, first)


def laws(kind: str) -> list[np.ndarray]:
    """One law of answers a prompt: near ties, plain ones, and one with a thousand answers."""
    if kind == "near ties":
        return [np.array([0.34, 0.33, 0.33]) for _ in range(PROMPTS)]
    if kind == "unbounded":
        return [np.r_[0.2, np.full(1000, 0.0008)] for _ in range(PROMPTS)]
    return [np.random.default_rng(at).dirichlet(np.ones(4)) for at in range(PROMPTS)]


@pytest.mark.parametrize("kind", ["near ties", "unbounded", "plain"])
def test_brackets_and_certificates_err_as_often_as_they_say(kind: str) -> None:
    every, random = laws(kind), np.random.default_rng(7)
    kappa = float(np.mean([1 / law.max() for law in every]))
    failing = float(np.mean([law.max() <= 0.5 for law in every]))
    misses, wrong, listed = 0, 0, 0
    for _ in range(RUNS):
        rollouts = [drawn(random.choice(len(law), int(random.integers(4, 24)), p=law)) for law in every]
        now = majorities(rollouts, None, CONFIDENCE)
        split = measure_answers(rollouts, now, now, CONFIDENCE)
        assert split is not None
        low, high = split.kappa.lower, split.kappa.upper
        assert low is not None
        misses += not low <= kappa <= (math.inf if high is None else high)
        assert split.failure_rate.lower is not None
        assert split.failure_rate.upper is not None
        misses += not split.failure_rate.lower <= failing <= split.failure_rate.upper
        certified = [one.certified for one in now]
        modes = [law.max() - law[int(one.leader or 0)] < 1e-12 for law, one in zip(every, now, strict=True)]
        listed += any(certified)
        wrong += any(sure and not mode for sure, mode in zip(certified, modes, strict=True))
    assert binomtest(misses, 2 * RUNS, 1 - CONFIDENCE, alternative="greater").pvalue > 0.001
    assert binomtest(wrong, RUNS, 1 - CONFIDENCE, alternative="greater").pvalue > 0.001
    assert kind != "plain" or listed > 0  # a certificate that never came would prove nothing here


def test_the_responses_seen_narrow_the_ends_and_prove_a_majority() -> None:
    # Three responses hold .9 of the mass: the first answers 0 with .6, two answer 1 with .2 and .1.
    logs = np.log([0.6, 0.2, 0.1])
    one = Rollout(
        0, tuple(Response(Complete((at,), float(logs[at]), True), "?", answer=str(min(at, 1))) for at in range(3))
    )
    (found,) = majorities([one], None, 0.95)
    assert (found.leader, found.proved, found.certified) == ("1", False, False)  # two draws of answer 1, one of 0
    assert np.exp([found.log_lower, found.log_upper]) == pytest.approx([0.6, 0.7])
    again = replace(one, responses=one.responses + one.responses[:1] * 2)
    (found,) = majorities([again], None, 0.95)
    assert (found.leader, found.proved, found.certified) == ("0", True, True)
    assert settled([again], [None], 0.95, 1) == [True]
    assert settled([one], [None], 0.95, 1) == [False]


def test_an_answer_named_beforehand_is_certified_sooner() -> None:
    plain, previous = drawn([5] * 8), drawn([5] * 3)
    assert majorities([plain], [previous])[0].log_evidence > majorities([plain])[0].log_evidence
    assert majorities([drawn([5] * 8, greedy=5)])[0].log_evidence == majorities([plain], [previous])[0].log_evidence


def test_responses_without_an_answer_are_counted_and_left_out() -> None:
    rollouts = [drawn([1, None, 1, 2], right=1), drawn([None] * 4, right=1)]
    now = majorities(rollouts)
    assert now[0].counts == (("1", 2), ("2", 1))
    assert now[0].share == pytest.approx(2 / 3)
    assert (now[1].leader, now[1].share, now[1].correct) == (None, None, None)
    split = measure_answers(rollouts, now, now, 0.95)
    assert split is not None
    assert split.answers is not None
    assert split.answers.unparseable_share == pytest.approx(5 / 8)
    assert split.kappa.upper is None  # a prompt that repeated no answer
    assert moved(now, now) == [False, None]


def test_what_is_kept_of_the_first_majorities_is_not_flattered_by_their_own_draws() -> None:
    first, later = [drawn([1, 1, 1, 2]), drawn([3, 4])], [drawn([1, 2, 2, 2]), drawn([3, 3])]
    base, now = majorities(first), majorities(later)
    before = measure_answers(first, base, base, 0.95)
    after = measure_answers(later, now, base, 0.95, previous=base)
    assert before is not None
    assert after is not None
    assert before.kept_confidence == pytest.approx((2 / 3 + 0 / 1) / 2)
    assert after.kept_confidence == pytest.approx((1 / 4 + 2 / 2) / 2)


def test_calibration_is_the_gap_between_share_and_truth() -> None:
    # Share .75 right and .25 wrong: both a quarter away from the truth.
    rollouts = [drawn([1, 1, 1, 2], right=1)]
    assert calibration_error(majorities(rollouts), rollouts) == pytest.approx(0.75 * 0.25 + 0.25 * 0.25)
    assert calibration_error([Majority((), 4)], [drawn([None] * 4)]) is None
