"""Rounds with infinitely many samples and an unrestricted class, for any reward and update rule.

Knows: what each update rule converges to on a table. For eq. 3 with the log-probability as reward this is
`theory.objective.sharpen`; here are the others.
"""

import numpy as np

from srlm.errors import InputError
from srlm.policies.tabular import TabularPolicy

RULES = ("regression", "dpo", "ipo", "best-of-k", "uniform")


def population_round(
    policy: TabularPolicy, rewards: np.ndarray, beta: float, rule: str = "regression", responses: int = 2
) -> TabularPolicy:
    """The policy after one exact round.

    - regression (eq. 3), and dpo on Bradley-Terry labels: pi * exp(r/beta), normalised.
    - ipo: pi * exp((P(r > r') + P(r = r')/2 - 1/2)/beta), r' the reward of an independent draw from pi.
    - best-of-k: the law of the best of K draws, ties shared in proportion to pi.
    - uniform: likelihood of every sample, whatever its reward: pi itself. The control.

    `rewards` (P, M) are finite wherever pi_t is positive, beta is the KL strength > 0 (best-of-k has none and ignores
    it), `responses` is K >= 2 for best-of-k.

    Raises:
        InputError: an unknown rule, or arguments outside their domain.
    """
    if rule not in RULES:
        raise InputError(f"rule {rule!r} is unknown; use one of {', '.join(RULES)}")
    if not beta > 0 or responses < 2:
        raise InputError(f"beta is {beta} and responses {responses}; need beta > 0 and at least 2 responses")
    if np.shape(rewards) != policy.logprobs.shape:
        raise InputError(f"rewards have shape {np.shape(rewards)}; give {policy.logprobs.shape}")
    possible = np.isfinite(policy.logprobs)
    values = np.where(possible, np.asarray(rewards, dtype=np.float64), 0.0)
    if not np.isfinite(values).all():
        raise InputError("rewards hold entries that are not finite; give finite numbers where the policy is positive")
    if rule in ("regression", "dpo"):
        return TabularPolicy.from_logits(policy.logprobs + values / beta, policy.weights)
    if rule == "uniform":
        return policy
    below, upto = _mass_below(np.exp(policy.logprobs), values, possible)
    if rule == "ipo":
        return TabularPolicy.from_logits(policy.logprobs + (0.5 * (below + upto) - 0.5) / beta, policy.weights)
    tied = np.maximum(upto - below, 1e-300)
    with np.errstate(divide="ignore"):
        won = np.log(np.maximum(upto**responses - below**responses, 0.0)) - np.log(tied)
    return TabularPolicy.from_logits(np.where(possible, policy.logprobs + won, -np.inf), policy.weights)


def _mass_below(chance: np.ndarray, values: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mass of strictly smaller rewards, and of rewards at most as large, for every entry (P, M)."""
    below, upto = np.empty_like(chance), np.empty_like(chance)
    for row in range(len(chance)):
        order = np.argsort(values[row], kind="stable")
        ranked, mass = values[row][order], np.where(possible[row], chance[row], 0.0)[order]
        total = np.concatenate([[0.0], np.cumsum(mass)])
        total /= total[-1]
        below[row, order] = total[np.searchsorted(ranked, ranked, side="left")]
        upto[row, order] = total[np.searchsorted(ranked, ranked, side="right")]
    return below, upto
