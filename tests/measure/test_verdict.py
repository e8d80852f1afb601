"""Verdicts on groups whose truth is known by construction."""

import math
from dataclasses import replace

import numpy as np
import pytest

from srlm.measure.degenerate import Mark
from srlm.records.diagnosis import PromptDiagnosis, Reply, SampleFacts, Verdict
from srlm.measure.verdict import accuracy_of, judge_group


def prompt(
    mode: bool | None = True,
    sample: float | None = 0.2,
    *,
    probability: float = 0.1,
    certified: bool = True,
    marks: tuple[Mark, ...] = (),
) -> PromptDiagnosis:
    low = math.log(probability)
    reply = Reply("x", low, low if certified else 0.0, 2, True, marks)
    facts = SampleFacts(4, 4, 2.0, 0.0, 1.0, -3.0)
    known = None if mode is None else mode
    return PromptDiagnosis(
        "p", "all", ("x",), reply, certified, reply, None, 0.1, None, 3, known, known, known, known, sample, facts
    )


def judge(*prompts: PromptDiagnosis) -> Verdict:
    return judge_group("all", prompts, np.random.default_rng(0))


def test_right_modes_and_wrong_samples_mean_help() -> None:
    found = judge(*[prompt(True, 0.2)] * 6)
    assert found.judgement == "helps"
    assert found.gain is not None
    assert found.gain.lower == found.gain.upper == pytest.approx(0.8)
    assert "20%" in found.reason
    assert "100%" in found.reason


def test_wrong_modes_and_partly_right_samples_mean_amplified_errors() -> None:
    assert judge(*[prompt(False, 0.5)] * 6).judgement == "would amplify errors"


@pytest.mark.parametrize("mark", ["empty", "cut", "repeating"])
def test_degenerate_wrong_modes_decide_before_anything_else(mark: Mark) -> None:
    found = judge(*[prompt(None, None, marks=(mark,))] * 4, *[prompt(None, None)] * 3)
    assert found.judgement == "would amplify errors"
    assert mark in found.reason
    assert found.degenerate == 4
    assert ("new tokens" in found.remedy) == (mark == "cut")


def test_a_mode_that_was_cut_but_is_right_does_no_harm() -> None:
    found = judge(*[prompt(True, 0.2, marks=("cut",))] * 6)
    assert found.judgement == "helps"
    assert found.degenerate == 6


def test_a_sharp_policy_and_an_equal_accuracy_have_no_headroom() -> None:
    assert judge(*[prompt(True, 1.0, probability=0.99)] * 6).judgement == "no headroom"
    assert judge(*[prompt(None, None, probability=0.99)] * 2).judgement == "no headroom"
    assert judge(*[prompt(True, 1.0)] * 6).judgement == "no headroom"


def test_too_little_evidence_is_undecided_and_says_what_is_missing() -> None:
    assert "5" in judge(*[prompt(True, 0.2)] * 4).remedy
    assert "answer" in judge(*[prompt(None, None)] * 6).remedy
    mixed = judge(*[prompt(True, 0.5)] * 3, *[prompt(False, 0.5)] * 3)
    assert (mixed.judgement, mixed.remedy) == ("undecided", "give more prompts")
    unproved = judge(*[prompt(True, 0.2, certified=False)] * 6)
    assert (unproved.judgement, unproved.remedy) == ("undecided", "raise --expansions or allow fewer new tokens")


def test_modes_not_proved_widen_the_ceiling_to_both_sides() -> None:
    sure, open_ = prompt(True, 0.5), prompt(True, 0.5, certified=False)
    found = accuracy_of([sure, sure, open_, replace(open_, mode_correct=False)])
    assert found.mode_bracket is not None
    assert (found.mode_bracket.lower, found.mode_bracket.upper) == (0.5, 1.0)
    assert found.mode == 0.75
    assert accuracy_of([prompt(None, None)]).mode_bracket is None
