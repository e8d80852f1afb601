"""Updates: what a policy is trained on and what is minimised. One file each, named in `UPDATES`.

Each loss is stateless, `loss(batch: GroupedBatch, beta: float) -> scalar tensor`, and compared with eq. 3 in its
docstring; what they do to kappa is measured in `benchmarks/results/updates.md`.
Refuses to know: rounds, trainers.
"""

from srlm.training.update import Update, sampled_groups
from srlm.training.updates.best_of_k import best_of_k_loss
from srlm.training.updates.dpo import dpo_loss
from srlm.training.updates.groups import GroupedBatch
from srlm.training.updates.ipo import ipo_loss
from srlm.training.updates.likelihood import (
    leave_one_out_groups,
    likelihood_loss,
    majority_groups,
    mode_groups,
    projection_groups,
    uniform_groups,
    weighted_groups,
)
from srlm.training.updates.regression import regression_loss

UPDATES: dict[str, Update] = {
    one.name: one
    for one in (
        Update("projection", likelihood_loss, projection_groups, needs=frozenset({"samples", "k_best"}), optimum="P8"),
        Update("regression", regression_loss, sampled_groups, optimum="eq. 12-14"),
        Update("dpo", dpo_loss, sampled_groups),
        Update("ipo", ipo_loss, sampled_groups),
        Update("best_of_k", best_of_k_loss, sampled_groups),
        # Of answers: shares as weights, unbiased weights, and the hard vote.
        Update("weighted", likelihood_loss, weighted_groups, optimum="P10"),
        Update("leave_one_out", likelihood_loss, leave_one_out_groups, needs=frozenset({"answers"}), optimum="P10"),
        Update("majority", likelihood_loss, majority_groups, needs=frozenset({"answers"})),
        # Controls: what is left when the reward, or everything but the mode, is taken away.
        Update("likelihood", likelihood_loss, uniform_groups),
        Update("mode_likelihood", likelihood_loss, mode_groups, needs=frozenset({"k_best"})),
    )
}

__all__ = ["UPDATES", "GroupedBatch", "best_of_k_loss", "dpo_loss", "ipo_loss", "likelihood_loss", "regression_loss"]
