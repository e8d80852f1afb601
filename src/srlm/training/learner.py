"""What rounds ask of whoever trains the policy. `SelfRewardingTrainer` is one learner; a table of probabilities with
thirty lines around it is another (tests/training/test_fake_learner.py).

Knows: the protocol. Refuses to know: torch, transformers, the order of rounds.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from srlm.engines.engine import PolicyVersion
from srlm.records.progress import Progress
from srlm.records.responses import TokenGroup
from srlm.records.rounds import RoundRecord, UpdateRecord
from srlm.rewards.mixture import RewardContext
from srlm.training.update import Group


class Learner(Protocol):
    """Holds one policy and changes it. With several processes every method is called by all of them, unless it says
    otherwise.
    """

    def restore(self, version: PolicyVersion) -> None:
        """Become that policy; nothing where it is that already."""
        ...

    def reward_context(self) -> RewardContext:
        """What reward functions may use: the policy as it is now, and trl's `trainer_state` and `log_metric`."""
        ...

    def steps_per_update(self, groups: int) -> int:
        """Optimiser steps of one update on so many groups."""
        ...

    def fit(
        self, groups: Sequence[Group], beta: float, held_out: Sequence[Group], steps_before: int, progress: Progress
    ) -> UpdateRecord:
        """One round's update, with a fresh optimiser and schedule.

        Args:
            groups: what is trained on.
            beta: KL strength of the round.
            held_out: what early stopping is judged by.
            steps_before: optimiser steps of earlier rounds, for trackers.
            progress: is told the steps that are done.
        """
        ...

    def score(self, groups: Sequence[TokenGroup]) -> list[list[float]]:
        """Log-probabilities (nats) of responses under the policy as it is now, by the training forward. Of one process
        alone.
        """
        ...

    def snapshot(self, number: int) -> Callable[[Path], None]:
        """From here on the policy is number `number`; returns what writes it into a folder, on one process."""
        ...

    def export(self, folder: Path) -> None:
        """Write the policy as a model that needs no trainer, on one process."""
        ...

    def log_round(self, steps: int, record: RoundRecord) -> None:
        """Tell trackers what a round measured, at so many optimiser steps."""
        ...
