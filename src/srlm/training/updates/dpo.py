"""DPO (Rafailov et al., arXiv 2305.18290, eq. 7): which of a pair is preferred. Refuses to know: by how much."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from srlm.training.updates.groups import GroupedBatch, mean_over_pairs, preferred_pairs


def dpo_loss(batch: GroupedBatch, beta: float) -> Float[Tensor, ""]:
    """-log sigmoid(beta*(h_chosen - h_rejected)), h = log pi - log pi_t, over every pair of a group whose rewards
    differ; averaged over such pairs, then over groups.

    Departs from the theory: only the order of the rewards enters, and with a reward that orders every pair the same
    way each time the optimum is at infinity (all mass on the best response), not at pi_t^(1 + 1/beta).

    Args:
        batch: log-probabilities, references and rewards.
        beta: KL strength, > 0.

    Returns:
        The loss, >= 0; 0 where no pair has a preference.
    """
    chosen, rejected = preferred_pairs(batch)
    ratios = batch.logps - batch.reference_logps
    return mean_over_pairs(-logsigmoid(beta * (ratios[chosen] - ratios[rejected])), batch.groups[chosen], batch.count)
