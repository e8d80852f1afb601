"""IPO (Azar et al., arXiv 2310.12036, eq. 17): the same finite margin for all. Refuses to know: sizes of rewards."""

from jaxtyping import Float
from torch import Tensor

from srlm.training.updates.groups import GroupedBatch, mean_over_pairs, preferred_pairs


def ipo_loss(batch: GroupedBatch, beta: float) -> Float[Tensor, ""]:
    """(h_chosen - h_rejected - 1/(2*beta))^2, h = log pi - log pi_t, over every pair of a group whose rewards differ;
    averaged over such pairs, then over groups.

    Departs from the theory: eq. 3 asks for the margin (r_chosen - r_rejected)/beta, IPO for 1/(2*beta) whatever the
    rewards are, so the two agree only where rewards differ by one half.

    Args:
        batch: log-probabilities, references and rewards.
        beta: tau of the paper, > 0.

    Returns:
        The loss, >= 0; 0 exactly when every preferred pair has its margin.
    """
    chosen, rejected = preferred_pairs(batch)
    ratios = batch.logps - batch.reference_logps
    return mean_over_pairs((ratios[chosen] - ratios[rejected] - 1 / (2 * beta)) ** 2, batch.groups[chosen], batch.count)
