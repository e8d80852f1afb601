"""What other ways of answering would get right, and whether the self-reward knows right from wrong.

Knows: the samples of each prompt with their self-rewards and marks. These are what people look at instead of modes
(best-of-N, majority vote), measured on the same samples so that they can be compared with the predicted ceiling.
Refuses to know: how answers are judged.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from srlm import theory
from srlm.records.diagnosis import CalibrationBin, SelfJudgement
from srlm.records.responses import Response, Rollout
from srlm.tasks.answers import ANSWER_RULES

_BINS = 10


def best_of_n(responses: Sequence[Response]) -> int:
    """Index of the sample with the largest self-reward, the first of equals."""
    return max(range(len(responses)), key=lambda at: (responses[at].logprob, -at))


def majority(texts: Sequence[str], responses: Sequence[Response]) -> int:
    """Index of a sample that gives the most frequent answer, as the reward `majority_vote` reads answers.

    Of answers equally frequent the one with the largest total probability of its distinct samples wins.
    """
    members: dict[str | None, list[int]] = defaultdict(list)
    for at, key in enumerate(ANSWER_RULES["auto"].keys(texts)):
        members[key].append(at)

    def weight(indices: list[int]) -> tuple[int, float]:
        distinct = {responses[at].tokens: responses[at].logprob for at in indices}
        return len(indices), float(theory.log_mass(list(distinct.values())))

    winner = max(members.values(), key=weight)
    return max(winner, key=lambda at: responses[at].logprob)


def self_judgement(rollouts: Sequence[Rollout]) -> SelfJudgement | None:
    """Compare self-rewards with correctness. None where no outcome is known."""
    known = [
        [(response.logprob, response.correct) for response in one.responses if response.correct is not None]
        for one in rollouts
    ]
    flat = [one for prompt in known for one in prompt]
    if not flat:
        return None
    within = [value for prompt in known if (value := _auroc(prompt)) is not None]
    bins = _calibration(np.array([reward for reward, _ in flat]), np.array([right for _, right in flat], dtype=float))
    error = math.fsum(one.count * abs(one.confidence - one.accuracy) for one in bins) / len(flat)
    return SelfJudgement(
        auroc=_auroc(flat),
        auroc_within=float(np.mean(within)) if within else None,
        prompts_within=len(within),
        calibration_error=error,
        calibration=tuple(bins),
        samples=len(flat),
    )


def _auroc(pairs: Sequence[tuple[float, bool]]) -> float | None:
    from sklearn.metrics import roc_auc_score  # takes two seconds to import, and rounds need only `majority`

    rights = [right for _, right in pairs]
    if all(rights) or not any(rights):
        return None
    return float(roc_auc_score(rights, [reward for reward, _ in pairs]))


def _calibration(rewards: np.ndarray, right: np.ndarray) -> list[CalibrationBin]:
    """Bins of equal count: probabilities of whole responses crowd near 0, where bins of equal width would hold all."""
    order = np.argsort(-rewards, kind="stable")
    return [
        CalibrationBin(
            count=len(part),
            self_reward=float(rewards[part].mean()),
            confidence=theory.from_log(float(theory.log_mean_exp(rewards[part]))) or 0.0,
            accuracy=float(right[part].mean()),
        )
        for part in np.array_split(order, min(_BINS, len(order)))
    ]
