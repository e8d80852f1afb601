"""What every update is given, and sums over the pairs of its groups.

Knows: shapes. R responses of one batch in G groups (one a prompt); `groups` holds each response's group number in [0,
G). Refuses to know: losses.
"""

from dataclasses import dataclass, field

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
        weights: target q of each response where an update has one; they sum to 1 in each group.
        groups: group number of each response.
        count: G, groups in the batch.
    """

    logps: Float[Tensor, "R"]
    reference_logps: Float[Tensor, "R"]
    rewards: Float[Tensor, "R"]
    groups: Int[Tensor, "R"]
    count: int
    weights: Float[Tensor, "R"] = field(default_factory=lambda: torch.empty(0))


def preferred_pairs(batch: GroupedBatch) -> tuple[Int[Tensor, "P"], Int[Tensor, "P"]]:
    """(chosen, rejected): every pair of responses of one group whose rewards differ, the higher reward first.

    A tie is no preference and is left out; so are the pairs of identical responses, which tie under every reward
    that depends on the response alone.
    """
    together = batch.groups[:, None] == batch.groups[None, :]
    chosen, rejected = torch.nonzero(together & (batch.rewards[:, None] > batch.rewards[None, :]), as_tuple=True)
    return chosen, rejected


def mean_over_pairs(values: Float[Tensor, "P"], groups: Int[Tensor, "P"], count: int) -> Float[Tensor, ""]:
    """Mean over the pairs of each group, then over all `count` groups; a group without pairs adds 0.

    Args:
        values: one number a pair.
        groups: the group of each pair.
        count: G >= 1.
    """
    totals = torch.zeros(count, dtype=values.dtype, device=values.device).index_add(0, groups, values)
    sizes = torch.zeros_like(totals).index_add(0, groups, torch.ones_like(values))
    return (totals / sizes.clamp_min(1)).mean()
