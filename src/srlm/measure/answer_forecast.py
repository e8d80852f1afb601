"""What rounds that reward answers would make of kappa_A, failure and accuracy (P10 iterated), at measured prompts.

Knows: counts of answers, their certificates, and which answers are right. Refuses to know: formulas of its own, and
whether a run makes such rounds.
"""

from collections.abc import Sequence

import numpy as np

from srlm import theory
from srlm.measure.forecast import LEVEL, forecast_record
from srlm.measure.split import MASS_SLACK, right_shares, share
from srlm.measure.uncertainty import over_prompts
from srlm.records.answers import Majority
from srlm.records.bracket import Bracket
from srlm.records.forecast import ForecastRecord
from srlm.records.responses import Rollout


def forecast_answers(
    now: Sequence[Majority],
    rollouts: Sequence[Rollout],
    beta: float,
    rounds: int,
    confidence: float,
    *,
    draws: int | None = None,
    mass_slack: float = MASS_SLACK,
    seed: int = 0,
) -> tuple[ForecastRecord, ...]:
    """Rounds 0 to T at the prompts given that have an answer at all; none of them: no record.

    Args:
        now, rollouts: majorities and answered draws of every prompt.
        rounds: T >= 0.
        confidence: of the certificates behind the brackets of kappa and failure.
        draws: K of plug-in rounds, whose weights are shares of K draws; None for exact rounds.

    Returns:
        One record a round. `kappa_point` and `sample_accuracy_point` take shares for probabilities. Brackets of kappa
        and failure rest on certificates; that of accuracy is a bootstrap over prompts with their draws. Round 0 counts
        draws without an answer as wrong; later rounds are of answers alone, because an exact round leaves nothing else.
    """
    told = [(one, rollout) for one, rollout in zip(now, rollouts, strict=True) if one.counts]
    if not told:
        return ()
    laws = [one.law for one, _ in told]
    right = [_right(one, rollout) for one, rollout in told]
    ends = [(theory.from_log(one.log_lower) or 0.0, theory.from_log(one.log_upper) or 0.0) for one, _ in told]
    steps = theory.answer_forecast(
        laws, beta, rounds, draws=draws, right=right, ends=ends, mass_slack=mass_slack,
        rng=np.random.default_rng([seed, 4]),
    )  # fmt: skip
    first, *later = [
        forecast_record(
            step,
            confidence,
            sample_accuracy=step.accuracy_interval and Bracket.of(*step.accuracy_interval, LEVEL),
            sample_accuracy_point=step.sample_accuracy_point,
        )
        for step in steps
    ]
    right_now = right_shares(rollouts)
    if (interval := over_prompts(right_now)) is not None:
        measured = Bracket.of(interval.lower, interval.upper, interval.level)
        first = first.model_copy(update={"sample_accuracy": measured, "sample_accuracy_point": share(right_now)})
    return (first, *later)


def chosen_beta(now: Sequence[Majority]) -> float:
    """The beta at which plug-in weights sharpen these draws as much as an exact round with beta 1
    (`theory.matching_beta`), at the median number of draws with an answer; 1 where fewer than 3 sharpen nothing.
    """
    told = [one for one in now if one.counts]
    draws = int(np.median([one.parsed for one in told])) if told else 0
    return theory.matching_beta([one.law for one in told], draws) if draws > 2 else 1.0


def _right(one: Majority, rollout: Rollout) -> int | None:
    """Number of the right answer among those drawn, -1 where it was not drawn, None where nobody knows it."""
    outcome = {response.answer: response.correct for response in rollout.responses if response.answer is not None}
    if all(value is None for value in outcome.values()):
        return None
    return next((at for at, (answer, _) in enumerate(one.counts) if outcome[answer]), -1)
