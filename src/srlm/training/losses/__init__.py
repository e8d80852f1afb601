"""Updates: what is minimised, given log-probabilities and rewards. One file each, stateless, named in `LOSSES`.

    loss(batch: GroupedBatch, beta: float) -> scalar tensor

Each is compared with the theory's eq. 3 in its docstring; what they do to kappa is measured in
`benchmarks/results/updates.md`.
"""

from collections.abc import Callable

from torch import Tensor

from srlm.training.losses.best_of_k import best_of_k_loss
from srlm.training.losses.dpo import dpo_loss
from srlm.training.losses.groups import GroupedBatch
from srlm.training.losses.ipo import ipo_loss
from srlm.training.losses.regression import regression_loss

Loss = Callable[[GroupedBatch, float], Tensor]

LOSSES: dict[str, Loss] = {
    "regression": regression_loss,
    "dpo": dpo_loss,
    "ipo": ipo_loss,
    "best_of_k": best_of_k_loss,
}
LOSS_TYPES = tuple(LOSSES)

__all__ = ["LOSSES", "LOSS_TYPES", "GroupedBatch", "Loss", "best_of_k_loss", "dpo_loss", "ipo_loss", "regression_loss"]
