"""What a diagnosis says of answers: accuracy by every way of answering, when training pays, and the verdict.

Knows: answered draws and their majorities. By P10 rounds that reward answers end in the majorities, so what decides is
their accuracy against that of single draws. Refuses to know: formulas of its own, who drew.
"""

import math
from collections.abc import Sequence

import numpy as np

from srlm import theory
from srlm.measure.split import share
from srlm.measure.uncertainty import bootstrap, mean_of, over_prompts
from srlm.measure.verdict import FEWEST_PROMPTS, WORTHWHILE_GAIN
from srlm.records.answer_diagnosis import AnswerAccuracy, AnswerVerdict, BreakEven
from srlm.records.answers import Majority
from srlm.records.bracket import Bracket
from srlm.records.forecast import ForecastRecord
from srlm.records.responses import Rollout
from srlm.records.rounds import SplitRecord

# A pass over a response costs about three times its decoding: forward, and twice that backward.
_PASS = 3


def steps_of(draws: int) -> list[int]:
    """k of maj@k and pass@k: powers of two up to K, and K."""
    return sorted({2**at for at in range(draws.bit_length()) if 2**at <= draws} | {draws} - {0})


def accuracy_of_votes(now: Sequence[Majority], rollouts: Sequence[Rollout], split: SplitRecord) -> AnswerAccuracy:
    """Shares of right answers; maj@k and pass@k up to the fewest draws of a prompt. `split` measures them."""
    known = [(one, rollout) for one, rollout in zip(now, rollouts, strict=True) if _known(rollout)]
    tables = [_counts(one, rollout) for one, rollout in known]
    steps = steps_of(min((int(sum(counts)) for counts, _ in tables), default=0))
    agreed = [
        None if rollout.greedy is None or one.leader is None else rollout.greedy.answer == one.leader
        for one, rollout in zip(now, rollouts, strict=True)
    ]
    of = split.answers
    return AnswerAccuracy(
        sample=split.accuracy.sample,
        greedy=split.accuracy.greedy,
        majority=split.accuracy.mode,
        maj_at={str(k): _mean([theory.majority_accuracy(*table, k) for table in tables]) for k in steps},
        pass_at={str(k): _mean([theory.pass_at(*table, k) for table in tables]) for k in steps},
        certified=of and of.certified_accuracy,
        certified_interval=of and of.certified_interval,
        majority_interval=over_prompts([one.correct for one in now]),
        greedy_agrees=share(agreed),
    )


def break_even(
    accuracy: AnswerAccuracy, after: ForecastRecord, prompts: int, draws: int, passes: float = 4.0
) -> BreakEven | None:
    """When a run of P prompts, K draws a round and so many passes over them pays: from the base model's accuracy and
    the forecast of the last round. None where no answers are known.
    """
    aim = after.sample_accuracy_point
    if aim is None or not accuracy.maj_at:
        return None
    cost = math.ceil(prompts * draws * (after.round + 1 + _PASS * passes * after.round))
    enough = [int(k) for k, value in accuracy.maj_at.items() if value >= aim]
    votes = min(enough, default=0)
    told = (
        f"{after.round} rounds of {draws} draws at {prompts} prompts, {passes:g} passes; a pass over a response costs "
        f"{_PASS} times its decoding; single draws reach the forecast {aim:.2f}"
    )
    pays = votes > 1
    return BreakEven(
        votes=votes if pays else None,
        questions=math.ceil(cost / (votes - 1)) if pays else None,
        run_draws=cost,
        assumes=told,
    )


def judge_answers(
    now: Sequence[Majority], rollouts: Sequence[Rollout], accuracy: AnswerAccuracy, generator: np.random.Generator
) -> AnswerVerdict:
    """The verdict on all prompts together, whose accuracy is that of `accuracy_of_votes`."""
    gains = [
        float(one.correct) - right
        for one, rollout in zip(now, rollouts, strict=True)
        if one.correct is not None and (right := share([each.correct for each in rollout.responses])) is not None
    ]
    if not gains or accuracy.majority is None or accuracy.sample is None:
        return AnswerVerdict(
            verdict="undecided",
            reason="no answers are known, so nobody can say whether the majorities are right",
            remedy="add an `answer` to some prompts, or judge the majorities yourself",
        )
    gain = bootstrap(np.array(gains), mean_of, generator)
    wrong = sum(one.correct is False for one in now)
    sure = sum(one.correct is False and one.certified for one in now)
    what = (
        f"single draws are right {accuracy.sample:.0%} of the time, majorities {accuracy.majority:.0%}, so training "
        f"gains about {100 * (accuracy.majority - accuracy.sample):.0f} points (between {100 * gain.lower:+.0f} and "
        f"{100 * gain.upper:+.0f} at {gain.level:.0%} confidence) and makes the model surer of a wrong answer at "
        f"{wrong} of {len(now)} prompts (certain of it at {sure})"
    )
    if len(gains) < FEWEST_PROMPTS:
        remedy = f"give at least {FEWEST_PROMPTS} prompts with a known answer"
        return AnswerVerdict(verdict="undecided", reason=what, remedy=remedy, gain=gain)
    if gain.lower > WORTHWHILE_GAIN:
        return AnswerVerdict(verdict="helps", reason=what, gain=gain)
    if gain.upper < -WORTHWHILE_GAIN:
        remedy = "majorities are wrong more often than draws: sharpening harms here; use another reward"
        return AnswerVerdict(verdict="would amplify errors", reason=what, remedy=remedy, gain=gain)
    if gain.lower >= -WORTHWHILE_GAIN and gain.upper <= WORTHWHILE_GAIN:
        return AnswerVerdict(verdict="no headroom", reason=what, gain=gain)
    return AnswerVerdict(verdict="undecided", reason=what, remedy="give more prompts, or draw more", gain=gain)


def surer_of_wrong(now: Sequence[Majority]) -> tuple[int, ...]:
    """Numbers of the prompts whose majority is wrong, those with the largest evidence first."""
    wrong = [at for at, one in enumerate(now) if one.correct is False]
    return tuple(sorted(wrong, key=lambda at: (-now[at].log_evidence, at)))


def probability_of(one: Majority, confidence: float) -> Bracket:
    """Bracket of the likeliest answer's probability."""
    lower, upper = theory.from_log(one.log_lower) or 0.0, theory.from_log(one.log_upper) or 1.0
    return Bracket(lower=lower, upper=upper, confidence=confidence)


def _known(rollout: Rollout) -> bool:
    return any(one.correct is not None for one in rollout.responses)


def _counts(one: Majority, rollout: Rollout) -> tuple[list[int], int]:
    """Counts of all draws, those without an answer as one more, and the number of the right answer."""
    right = {each.answer for each in rollout.responses if each.correct and each.answer is not None}
    counts = [count for _, count in one.counts]
    place = next((at for at, (answer, _) in enumerate(one.counts) if answer in right), -1)
    return ([*counts, one.draws - one.parsed] if one.parsed < one.draws else counts), place


def _mean(values: Sequence[float]) -> float:
    return min(1.0, math.fsum(values) / len(values))
