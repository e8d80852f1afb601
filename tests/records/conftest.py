"""A diagnosis made by hand."""

import math

import pytest

from srlm.records.bracket import Bracket, Interval
from srlm.records.diagnosis import (
    MARKS,
    AccuracyByWay,
    Bootstrap,
    DiagnosisRecord,
    DiagnosisSetup,
    GreedyReply,
    ModeReply,
    PromptDiagnosis,
    SampleFacts,
    Verdict,
)
from srlm.records.forecast import Forecast, KnownResponses


@pytest.fixture
def record() -> DiagnosisRecord:
    """One prompt that allows a single response, on a model so unsure that kappa is no double."""
    far, wide = Bracket.of(0.5, math.inf), Interval(lower=800.0, upper=812.0, level=0.95)
    some = Interval(lower=0.0, upper=1.0, level=0.95)
    logs = Bracket(lower=0.5, upper=812.0)
    prompt = PromptDiagnosis(
        prompt="Why?",
        group="all",
        mode=ModeReply(text="So.", tokens=2, marks=("cut",), logprob_lower=-812.0, logprob_upper=-0.5, certified=False),
        greedy=GreedyReply(text="So.", tokens=2, marks=(), logprob=-812.0),
        greedy_is_mode=None,
        margin_lower=None,
        margin_note="no other response is possible",
        runner_up=None,
        expansions=3,
        answer=("a", "b"),
        mode_correct=False,
        greedy_correct=False,
        best_of_n_correct=False,
        majority_correct=True,
        sample_accuracy=0.25,
        samples=SampleFacts(count=4, distinct=2, mean_tokens=2.0, cut_share=0.5, entropy=1.0, self_reward_mean=-3.0),
        known=KnownResponses(
            best=(-812.0,),
            certified=False,
            open_prefixes=(0.0,),
            dropped_mass=0.0,
            dropped_logprob=None,
            samples=(-812.0,),
            times=(4,),
            sample_known=(True,),
        ),
    )
    accuracy = AccuracyByWay(sample=0.25, greedy=0.0, mode=0.0, mode_bracket=Bracket(lower=0.0, upper=1.0), prompts=1)
    return DiagnosisRecord(
        model="m",
        checksum="sha256:0",
        settings=DiagnosisSetup(
            prompts="records",
            max_new_tokens=2,
            expansions=3,
            samples=4,
            mass_slack=0.5,
            seed=0,
            raw_prompts=False,
            dtype="float32",
            parameters=7,
            architecture="Tiny",
            versions={"torch": "2"},
        ),
        prompts=(prompt,),
        kappa=far,
        log_kappa=logs,
        failure_rate=Bracket(lower=0.0, upper=1.0),
        min_confidence=Bracket(lower=None, upper=0.6),
        log_min_confidence=Bracket(lower=-812.0, upper=-0.5),
        bootstrap=Bootstrap(
            log_kappa=wide, kappa=None, failure_rate=some, sample_accuracy=some, mode_accuracy=None, resamples=9
        ),
        certified=0,
        greedy_failures=0,
        degenerate_modes=dict.fromkeys(MARKS, 0),
        samples=prompt.samples,
        accuracy=accuracy,
        self_reward_against_correctness=None,
        effective_dimension=None,
        numeric_error=0.0,
        forecast=Forecast(beta=1.0, rounds=(), assumes=()),
        verdict=(
            Verdict(
                group="all",
                prompts=1,
                verdict="undecided",
                reason="too few",
                remedy="",
                accuracy=accuracy,
                gain=None,
                kappa=far,
                log_kappa=logs,
                failure_rate=Bracket(lower=0.0, upper=1.0),
                degenerate_modes=0,
            ),
        ),
        seconds={"sample": 1.0},
    )
