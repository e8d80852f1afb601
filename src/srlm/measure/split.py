"""What samples and mode brackets say about a policy on one split of the prompts.

Knows: rollouts, brackets, and which formula of `srlm.theory` each number is. Every quantity that rests on modes is a
bracket, because a search that ran out of budget knows its mode only between two ends; all of them are monotone in
log pi(y*|x), so a bracket is the formula at both ends. Refuses to know: formulas of its own, who sampled.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from srlm import theory
from srlm.measure.fates import counts, fates, kept_probabilities, majority_outcomes, mode_outcomes, moved
from srlm.measure.projection import population
from srlm.measure.uncertainty import over_prompts, standard_error
from srlm.records.bracket import Bracket, Interval
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.rounds import Accuracy, SplitRecord

MASS_SLACK = 0.5  # delta of the failure rate (docs/theory: setting): failure is a mode with at most half the mass
_NOTE = "no other response is possible at some prompts, where the margin is infinite"


@dataclass(frozen=True, slots=True)
class ModeStatistics:
    """kappa, failure rate and minimum confidence of the prompts at hand (docs/theory: setting).

    Attributes:
        kappa: E_x[1/pi(y*|x)]; an end is None beyond what a double holds, where `log_kappa` still has it.
        log_kappa: its natural logarithm.
        failure_rate: share of prompts with pi(y*|x) <= 1 - mass_slack.
        min_confidence: min_x pi(y*|x); None likewise.
        log_min_confidence: its natural logarithm.
    """

    kappa: Bracket
    log_kappa: Bracket
    failure_rate: Bracket
    min_confidence: Bracket
    log_min_confidence: Bracket


def mode_statistics(
    lower: Sequence[float], upper: Sequence[float], mass_slack: float = MASS_SLACK, confidence: float | None = None
) -> ModeStatistics:
    """Brackets of the policy's condition from brackets of log pi(y*|x).

    Args:
        lower, upper: (P,) ends of the bracket of every prompt (nats, at most 0), P >= 1.
        confidence: at which the ends hold at all prompts at once; None: they are proved.
    """
    log_kappa = theory.log_policy_condition_number(upper), theory.log_policy_condition_number(lower)
    least = theory.log_min_confidence(lower), theory.log_min_confidence(upper)
    return ModeStatistics(
        kappa=_from_logs(*log_kappa, confidence),
        log_kappa=Bracket.of(*log_kappa, confidence),
        failure_rate=Bracket.of(
            theory.failure_rate(upper, mass_slack), theory.failure_rate(lower, mass_slack), confidence
        ),
        min_confidence=_from_logs(*least, confidence),
        log_min_confidence=Bracket.of(*least, confidence),
    )


def _from_logs(lower: float, upper: float, confidence: float | None) -> Bracket:
    return Bracket(lower=theory.from_log(lower), upper=theory.from_log(upper), confidence=confidence)


def measure_split(
    rollouts: Sequence[Rollout],
    modes: Sequence[ModeBracket],
    base: Sequence[ModeBracket],
    beta: float | None = None,
    mass_slack: float = MASS_SLACK,
    *,
    previous: Sequence[ModeBracket] | None = None,
    base_rollouts: Sequence[Rollout] | None = None,
) -> SplitRecord | None:
    """The measurements of one split at one round, None for an empty one.

    Args:
        modes: the bracket of every prompt's mode, graded.
        base: the same at round 00.
        beta: the KL strength that an exact round from here would have; None leaves that out.
        previous: the brackets of the round before; None leaves out what needs them.
        base_rollouts: what was drawn at round 00, graded; None likewise.
    """
    if not rollouts:
        return None
    lower, upper = [one.logprob_lower for one in modes], [one.logprob_upper for one in modes]
    margins = np.array([max(0.0, one.margin_lower) for one in modes])
    smallest, median = float(margins.min()), float(np.median(margins))
    outcomes = {"mode": (mode_outcomes(base), mode_outcomes(modes))}
    if base_rollouts is not None:
        outcomes["majority"] = majority_outcomes(base_rollouts), majority_outcomes(rollouts)
    kept, drifted = kept_probabilities(modes, base), moved(modes, base)
    return SplitRecord(
        **of_samples(rollouts),
        **asdict(mode_statistics(lower, upper, mass_slack)),
        margin=finite(smallest),
        median_margin=finite(median),
        margin_note=None if math.isfinite(smallest) and math.isfinite(median) else _NOTE,
        certified_share=float(np.mean([one.certified for one in modes])),
        expansions=sum(one.expansions for one in modes),
        mode_drift=share(drifted),
        kept_confidence=share(kept),
        kept_confidence_se=standard_error(kept),
        fates={what: found for what, pair in outcomes.items() if (found := counts(fates(*pair)))},
        flips=None if previous is None else share(moved(modes, previous)),
        commonest_mode_share=max(Counter(one.mode.tokens for one in modes).values()) / len(modes),
        accuracy=Accuracy(
            sample=share([response.correct for one in rollouts for response in one.responses]),
            greedy=share([one.greedy.correct for one in modes]),
            mode=share(mode_outcomes(modes)),
        ),
        intervals=intervals(
            {
                "sample_accuracy": right_shares(rollouts),
                "greedy_accuracy": [one.greedy.correct for one in modes],
                "mode_accuracy": mode_outcomes(modes),
                "mode_drift": drifted,
                "kept_confidence": kept,
            }
        )
        | failure_interval(lower, upper, mass_slack),
        population=None if beta is None else population(rollouts, modes, beta, mass_slack),
    )


def measure_samples(rollouts: Sequence[Rollout]) -> SplitRecord | None:
    """What samples alone say about a split whose modes nobody looked for: kappa and the failure rate stay open. None
    for an empty split.
    """
    if not rollouts:
        return None
    return SplitRecord(
        **of_samples(rollouts),
        kappa=Bracket(lower=None, upper=None),
        failure_rate=Bracket(lower=0.0, upper=1.0),
        accuracy=Accuracy(sample=share([response.correct for one in rollouts for response in one.responses])),
        intervals=intervals({"sample_accuracy": right_shares(rollouts)}),
    )


def of_samples(rollouts: Sequence[Rollout]) -> dict[str, Any]:
    """The fields of a `SplitRecord` that need neither modes nor answers; of texts alone there are fewer."""
    responses = [response for rollout in rollouts for response in rollout.responses]
    if any(one.complete is None for one in responses):
        texts = [[one.text for one in rollout.responses] for rollout in rollouts]
        return {
            "prompts": len(rollouts),
            "informative_pairs": share([a != b for of in texts for a, b in combinations(of, 2)]),
            "distinct": float(np.mean([len(set(of)) / len(of) for of in texts])),
            "cut_share": share([None if one.stopped is None else not one.stopped for one in responses]),
        }
    return {
        "prompts": len(rollouts),
        "informative_pairs": _informative_pairs(rollouts),
        "distinct": float(np.mean([len(set(one.tokens)) / len(one.tokens) for one in rollouts])),
        "mean_response_tokens": float(np.mean([len(one.tokens) for one in responses])),
        "cut_share": float(np.mean([not one.ended for one in responses])),
        "self_reward_mean": float(np.mean([one.logprob for one in responses])),
        "entropy": _mean([one.entropy for one in responses]),
        "self_certainty": _mean([one.self_certainty for one in responses]),
    }


def right_shares(rollouts: Sequence[Rollout]) -> list[float | None]:
    """Share of right samples, prompt by prompt."""
    return [share([response.correct for response in one.responses]) for one in rollouts]


def intervals(values: Mapping[str, Sequence[float | bool | None]]) -> dict[str, Interval]:
    """The intervals over prompts of what is known, by name."""
    found = {name: over_prompts(of_prompts) for name, of_prompts in values.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def failure_interval(lower: Sequence[float], upper: Sequence[float], mass_slack: float) -> dict[str, Interval]:
    """Around the failure rate's bracket: modes not proved widen it to both sides."""
    least, most = (over_prompts(theory.mode_fails(ends, mass_slack).tolist()) for ends in (upper, lower))
    return {"failure_rate": Interval(lower=least.lower, upper=most.upper, level=least.level)} if least and most else {}


def finite(value: float) -> float | None:
    """The number, or None where it is infinite."""
    return value if math.isfinite(value) else None


def share(outcomes: Sequence[bool | float | None]) -> float | None:
    """Mean of the known outcomes, None where none is known."""
    known = [float(outcome) for outcome in outcomes if outcome is not None]
    return math.fsum(known) / len(known) if known else None


def _mean(values: Sequence[Any]) -> float | None:
    return None if any(value is None for value in values) else float(np.mean(values))


def _informative_pairs(rollouts: Sequence[Rollout]) -> float | None:
    """Share of pairs of responses that differ: only these move the policy (P2)."""
    return share([a.tokens != b.tokens for one in rollouts for a, b in combinations(one.responses, 2)])
