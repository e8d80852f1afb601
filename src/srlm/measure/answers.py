"""What draws say about a policy at the level of answers, on one split of the prompts (P10, P11).

Knows: rollouts, majorities, and which formula of `srlm.theory` each number is. The fields of a `SplitRecord` mean here
of answers what they mean of responses elsewhere: kappa_A for kappa, majorities for modes. Refuses to know: formulas of
its own, who sampled, how answers are read.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.special import entr

from srlm import theory
from srlm.measure.fates import counts, fates
from srlm.measure.split import (
    MASS_SLACK,
    failure_interval,
    finite,
    intervals,
    mode_statistics,
    of_samples,
    right_shares,
    share,
)
from srlm.measure.uncertainty import over_prompts, standard_error
from srlm.records.answers import AnswersRecord, Majority
from srlm.records.responses import Rollout
from srlm.records.rounds import Accuracy, SplitRecord

_BINS = 10


def measure_answers(
    rollouts: Sequence[Rollout],
    now: Sequence[Majority],
    base: Sequence[Majority],
    confidence: float,
    mass_slack: float = MASS_SLACK,
    *,
    previous: Sequence[Majority] | None = None,
    budget: int | None = None,
    samples: Mapping[str, Any] | None = None,
) -> SplitRecord | None:
    """The measurements of one split at one round, None for an empty one.

    Args:
        now, base, previous: majorities of every prompt at this round, at round 00, and at the round before; without the
            last it is round 00.
        confidence: at which the majorities' ends hold at all prompts of the round at once.
        budget: draws at each prompt where sampling stopped as soon as a majority was certified.
        samples: fields of the record that need tokens, where the responses carry none.
    """
    if not rollouts:
        return None
    lower, upper = [one.log_lower for one in now], [one.log_upper for one in now]
    drifted, kept = moved(now, base), _kept_shares(now, base, previous is None)
    outcome = {"majority": ([one.correct for one in base], [one.correct for one in now])}
    return SplitRecord(
        **(of_samples(rollouts) if samples is None else samples),
        **asdict(mode_statistics(lower, upper, mass_slack, confidence)),
        mode_drift=share(drifted),
        kept_confidence=share(kept),
        kept_confidence_se=standard_error(kept),
        fates={what: found for what, pair in outcome.items() if (found := counts(fates(*pair)))},
        flips=None if previous is None else share(moved(now, previous)),
        commonest_mode_share=_commonest(now),
        accuracy=Accuracy(
            sample=share(right_shares(rollouts)),
            greedy=share([one.greedy and one.greedy.correct for one in rollouts]),
            mode=share([one.correct for one in now]),
        ),
        intervals=intervals(
            {
                "sample_accuracy": right_shares(rollouts),
                "greedy_accuracy": [one.greedy and one.greedy.correct for one in rollouts],
                "mode_accuracy": [one.correct for one in now],
                "mode_drift": drifted,
                "kept_confidence": kept,
            }
        )
        | failure_interval(lower, upper, mass_slack),
        answers=_record(rollouts, now, confidence, mass_slack, budget),
    )


def moved(now: Sequence[Majority], before: Sequence[Majority]) -> list[bool | None]:
    """Whether the majority of every prompt's draws is another than it was; None where either round drew no answer. An
    estimate: near a tie draws alone move it.
    """
    return [
        None if one.leader is None or then.leader is None else one.leader != then.leader
        for one, then in zip(now, before, strict=True)
    ]


def _kept_shares(now: Sequence[Majority], base: Sequence[Majority], first: bool) -> list[float | None]:
    """The share of answers that round 00's majority has, whether or not it still is one. At round 00 itself, where the
    same draws chose it, the share among the other draws, (c - 1)/(n - 1): with its own draw it would look surer than
    any later round's.
    """
    kept: list[float | None] = []
    for one, then in zip(now, base, strict=True):
        count, every = dict(one.counts).get(then.leader or "", 0) - first, one.parsed - first
        kept.append(None if then.leader is None else count / every if every > 0 else 0.0)
    return kept


def _commonest(now: Sequence[Majority]) -> float:
    leaders = Counter(one.leader for one in now if one.leader is not None)
    return max(leaders.values(), default=0) / len(now)


def _record(
    rollouts: Sequence[Rollout], now: Sequence[Majority], confidence: float, mass_slack: float, budget: int | None
) -> AnswersRecord:
    shares = [one.share for one in now if one.share is not None]
    leads = [one.lead for one in now if one.lead is not None]
    certified = [one for one in now if one.certified]
    right = [one.correct for one in certified]
    draws, parsed = sum(one.draws for one in now), sum(one.parsed for one in now)
    laws = [one.law for one in now if one.counts]
    return AnswersRecord(
        confidence=confidence,
        draws=draws,
        budget=None if budget is None else budget * len(now),
        unparseable_share=1 - parsed / draws,
        kappa_estimate=theory.from_log(float(theory.log_policy_condition_number(np.log(shares)))) if shares else None,
        failure_estimate=share(theory.mode_fails(np.log(shares), mass_slack).tolist()) if shares else None,
        median_lead=finite(float(np.median(leads))) if leads else None,
        certified=len(certified),
        proved=sum(one.proved for one in now),
        certified_accuracy=share(right),
        certified_interval=over_prompts(right),
        distinct=float(np.mean([len(one.counts) for one in now])),
        entropy=share([float(entr(law).sum()) for law in laws]),
        entropy_within=share([_within(*pair) for pair in zip(rollouts, now, strict=True)]),
        calibration_error=calibration_error(now, rollouts),
    )


def _within(rollout: Rollout, one: Majority) -> float | None:
    """H(y|answer) = E[-log pi(y)] - H(answer) over samples with an answer, at their shares (nats)."""
    answered = [each for each in rollout.responses if each.answer is not None]
    logprobs = [each.logprob for each in answered if each.complete is not None]
    if not logprobs or len(logprobs) < len(answered):
        return None
    return -math.fsum(logprobs) / len(logprobs) - float(entr(one.law).sum())


def calibration_error(now: Sequence[Majority], rollouts: Sequence[Rollout]) -> float | None:
    """Expected calibration error of every answer's share as the probability that it is right, over ten bins of equal
    width and weighted by share; None where no answer is known.
    """
    pairs: list[tuple[float, float]] = []
    for one, rollout in zip(now, rollouts, strict=True):
        right = {response.answer: response.correct for response in rollout.responses}
        marked = [(count, right[answer]) for answer, count in one.counts]
        pairs += [(count / one.parsed, float(mark)) for count, mark in marked if mark is not None]
    if not pairs:
        return None
    shares, outcomes = np.array(pairs).T
    bins = np.minimum((shares * _BINS).astype(int), _BINS - 1)
    gaps = [abs((shares[bins == at] * (outcomes - shares)[bins == at]).sum()) for at in range(_BINS)]
    return min(1.0, float(sum(gaps) / shares.sum()))
