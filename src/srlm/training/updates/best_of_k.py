"""Best-of-K: maximum likelihood on the best-rewarded response (arXiv 2412.01951). Refuses to know: the others."""

import torch
from jaxtyping import Float
from torch import Tensor

from srlm.training.updates.groups import GroupedBatch


def best_of_k_loss(batch: GroupedBatch, beta: float) -> Float[Tensor, ""]:
    """-log pi(y_best|x), the SUM over tokens as in eq. 1, averaged over groups.

    Responses that share the highest reward share the weight, so the order in which they were drawn does not matter.
    There is no reference term: what keeps the policy near pi_t is the step size alone, and `beta` is not used.

    Args:
        batch: log-probabilities and rewards.
        beta: ignored; every update has the same signature.

    Returns:
        The loss in nats, >= 0.
    """
    top = torch.full((batch.count,), -torch.inf, dtype=batch.rewards.dtype, device=batch.rewards.device)
    top = top.scatter_reduce(0, batch.groups, batch.rewards, "amax")
    best = (batch.rewards == top[batch.groups]).to(batch.logps.dtype)
    shared = torch.zeros(batch.count, dtype=best.dtype, device=best.device).index_add(0, batch.groups, best)
    return -(best / shared[batch.groups] * batch.logps).sum() / batch.count
