"""Verdicts on groups whose truth is known by construction."""

import math

import numpy as np
import pytest

from srlm.measure.verdict import accuracy_of, bootstrap_of, judge_group
from srlm.records.diagnosis import GreedyReply, Mark, ModeReply, PromptDiagnosis, SampleFacts, Verdict
from srlm.records.forecast import KnownResponses


def prompt(
    mode: bool | None = True,
    sample: float | None = 0.2,
    *,
    probability: float = 0.1,
    certified: bool = True,
    marks: tuple[Mark, ...] = (),
) -> PromptDiagnosis:
    low = math.log(probability)
    reply = {"text": "x", "tokens": 2, "marks": marks}
    ends = {"logprob_lower": low, "logprob_upper": low if certified else 0.0, "certified": certified}
    return PromptDiagnosis(
        prompt="p",
        group="all",
        mode=ModeReply(**reply, **ends),
        greedy=GreedyReply(**reply, logprob=low),
        greedy_is_mode=None,
        margin_lower=0.1,
        runner_up=None,
        expansions=3,
        answer="x",
        mode_correct=mode,
        greedy_correct=mode,
        best_of_n_correct=mode,
        majority_correct=mode,
        sample_accuracy=sample,
        samples=SampleFacts(count=4, distinct=4, mean_tokens=2.0, cut_share=0.0, entropy=1.0, self_reward_mean=-3.0),
        known=KnownResponses(
            best=(low,),
            certified=certified,
            open_prefixes=(),
            dropped_mass=0.0,
            dropped_logprob=None,
            samples=(low,),
            times=(4,),
            sample_known=(True,),
        ),
    )


def judge(*prompts: PromptDiagnosis) -> Verdict:
    return judge_group("all", prompts, np.random.default_rng(0))


def test_right_modes_and_wrong_samples_mean_help() -> None:
    found = judge(*[prompt(True, 0.2)] * 6)
    assert found.verdict == "helps"
    assert found.gain is not None
    assert found.gain.lower == found.gain.upper == pytest.approx(0.8)
    assert "20%" in found.reason
    assert "100%" in found.reason


def test_wrong_modes_and_partly_right_samples_mean_amplified_errors() -> None:
    assert judge(*[prompt(False, 0.5)] * 6).verdict == "would amplify errors"


@pytest.mark.parametrize("mark", ["empty", "cut", "repeating"])
def test_degenerate_wrong_modes_decide_before_anything_else(mark: Mark) -> None:
    found = judge(*[prompt(None, None, marks=(mark,))] * 4, *[prompt(None, None)] * 3)
    assert found.verdict == "would amplify errors"
    assert mark in found.reason
    assert found.degenerate_modes == 4
    assert ("new tokens" in found.remedy) == (mark == "cut")


def test_a_mode_that_was_cut_but_is_right_does_no_harm() -> None:
    found = judge(*[prompt(True, 0.2, marks=("cut",))] * 6)
    assert found.verdict == "helps"
    assert found.degenerate_modes == 6


def test_a_sharp_policy_and_an_equal_accuracy_have_no_headroom() -> None:
    assert judge(*[prompt(True, 1.0, probability=0.99)] * 6).verdict == "no headroom"
    assert judge(*[prompt(None, None, probability=0.99)] * 2).verdict == "no headroom"
    assert judge(*[prompt(True, 1.0)] * 6).verdict == "no headroom"


def test_too_little_evidence_is_undecided_and_says_what_is_missing() -> None:
    assert "5" in judge(*[prompt(True, 0.2)] * 4).remedy
    assert "answer" in judge(*[prompt(None, None)] * 6).remedy
    mixed = judge(*[prompt(True, 0.5)] * 3, *[prompt(False, 0.5)] * 3)
    assert (mixed.verdict, mixed.remedy) == ("undecided", "give more prompts")
    unproved = judge(*[prompt(True, 0.2, certified=False)] * 6)
    assert (unproved.verdict, unproved.remedy) == ("undecided", "raise --expansions or allow fewer new tokens")


def test_modes_not_proved_widen_the_ceiling_to_both_sides() -> None:
    sure, open_ = prompt(True, 0.5), prompt(True, 0.5, certified=False)
    found = accuracy_of([sure, sure, open_, open_.model_copy(update={"mode_correct": False})])
    assert found.mode_bracket is not None
    assert (found.mode_bracket.lower, found.mode_bracket.upper) == (0.5, 1.0)
    assert found.mode == 0.75
    assert accuracy_of([prompt(None, None)]).mode_bracket is None


def test_intervals_over_prompts_hold_the_definitions_where_all_prompts_are_alike() -> None:
    generator = np.random.default_rng(0)
    sure = bootstrap_of([prompt(True, 0.25, probability=0.125)] * 3, 0.5, generator)
    for interval, value in (
        (sure.log_kappa, math.log(8)), (sure.kappa, 8.0), (sure.failure_rate, 1.0), (sure.sample_accuracy, 0.25),
        (sure.mode_accuracy, 1.0),
    ):  # fmt: skip
        assert interval is not None
        assert interval.lower == interval.upper == pytest.approx(value)
    # At mass slack 0.9 a mode fails below 0.1 only; e^800 is beyond a double, its logarithm is not.
    assert bootstrap_of([prompt(probability=0.125)], 0.9, generator).failure_rate.upper == 0.0
    reply = prompt().mode.model_copy(update={"logprob_lower": -800.0})
    far = bootstrap_of([prompt(None, None).model_copy(update={"mode": reply})], 0.5, generator)
    assert (far.kappa, far.log_kappa.upper) == (None, pytest.approx(800.0))
    assert (far.sample_accuracy, far.mode_accuracy) == (None, None)
