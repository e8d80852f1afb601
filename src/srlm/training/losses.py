"""The update's objective, stateless: what is minimised, given log-probabilities and rewards.

Knows: eq. 3 in its group form (P2). Shapes: R responses of one batch in G groups (one a prompt); `groups` holds each
response's group number in [0, G).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class GroupedBatch:
    """What a loss may look at. All tensors have shape (R,).

    Attributes:
        logps: log pi(y|x) under the policy being trained (nats), differentiable.
        reference_logps: log pi_t(y|x), recorded while sampling (P1).
        rewards: r(x, y); log pi_t(y|x) for self-reward.
        groups: group number of each response.
        count: G, groups in the batch.
    """

    logps: Float[Tensor, "R"]
    reference_logps: Float[Tensor, "R"]
    rewards: Float[Tensor, "R"]
    groups: Int[Tensor, "R"]
    count: int


def regression_loss(batch: GroupedBatch, beta: float) -> Float[Tensor, ""]:
    """Eq. 3 over all pairs within each group, divided by beta^2 and averaged over pairs, then over groups.

    With a_i = beta*(log pi(y_i) - log pi_t(y_i)) - r_i the squared residual of a pair is (a_i - a_j)^2, and the sum
    over all pairs of a group is K * sum_i (a_i - mean a)^2 (theory.md P2), so K forward passes give K(K-1)/2 pairs.
    Division by beta^2 leaves the minimiser alone and makes the learning rate mean the same thing at every beta.

    Args:
        batch: log-probabilities, references and rewards; a group of one response has no pair and adds 0.
        beta: KL strength, > 0.

    Returns:
        The loss, >= 0; 0 exactly when every pair's residual vanishes.
    """
    residual = batch.logps - batch.reference_logps - batch.rewards / beta
    sizes = torch.zeros(batch.count, dtype=residual.dtype, device=residual.device).index_add(
        0, batch.groups, torch.ones_like(residual)
    )
    means = torch.zeros_like(sizes).index_add(0, batch.groups, residual) / sizes
    spread = torch.zeros_like(sizes).index_add(0, batch.groups, (residual - means[batch.groups]) ** 2)
    pairs = sizes * (sizes - 1) / 2
    return (sizes * spread / pairs.clamp_min(1)).mean()
