"""The update of the theory: eq. 3 in its group form (P2). Refuses to know: where rewards come from."""

import torch
from jaxtyping import Float
from torch import Tensor

from srlm.theory.objective import group_rows, residual
from srlm.training.updates.groups import GroupedBatch


def regression_loss(batch: GroupedBatch, beta: float) -> Float[Tensor, ""]:
    """Eq. 3 over all pairs within each group, divided by beta^2 and averaged over pairs, then over groups.

    With a_i = beta*(log pi(y_i) - log pi_t(y_i)) - r_i the squared residual of a pair is (a_i - a_j)^2, and the sum
    over all pairs of a group is K * sum_i (a_i - mean a)^2 (P2), so K forward passes give K(K-1)/2 pairs.
    Division by beta^2 leaves the minimiser alone and makes the learning rate mean the same thing at every beta.

    Args:
        batch: log-probabilities, references and rewards; a group of one response has no pair and adds 0.
        beta: KL strength, > 0.

    Returns:
        The loss, >= 0; 0 exactly when every pair's residual vanishes.
    """
    values = residual(batch.logps, batch.reference_logps, batch.rewards, beta)
    sizes = torch.zeros(batch.count, dtype=values.dtype, device=values.device).index_add(
        0, batch.groups, torch.ones_like(values)
    )
    means = torch.zeros_like(sizes).index_add(0, batch.groups, values) / sizes
    rows = group_rows(values, means[batch.groups], sizes[batch.groups])
    squares = torch.zeros_like(sizes).index_add(0, batch.groups, rows**2)
    pairs = sizes * (sizes - 1) / 2
    return (squares / pairs.clamp_min(1)).mean()
