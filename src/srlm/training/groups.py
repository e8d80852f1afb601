"""What an update is made of: a prompt's responses with references and rewards, and how they become batches.

Knows: packing (`lm/scoring.py`) and what to say about a round's rewards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from srlm.lm.scoring import pack, pad


@dataclass(frozen=True, slots=True)
class TrainingGroup:
    """One prompt with its K responses, all that an update needs to know about them.

    Attributes:
        prompt: token ids.
        responses: token ids of each response.
        reference_logps: log pi_t(y|x) recorded while sampling (nats).
        rewards: r(x, y) of each response.
    """

    prompt: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    reference_logps: tuple[float, ...]
    rewards: tuple[float, ...]


class GroupDataset(Dataset[TrainingGroup]):
    """The groups of one round, in a fixed order (the trainer's sampler shuffles them)."""

    def __init__(self, groups: Sequence[TrainingGroup]) -> None:
        self._groups = list(groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> TrainingGroup:
        return self._groups[index]


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes one batch of groups: their sequences (packed where the model has tree attention), references and
    rewards.
    """

    tree_attention: bool

    def __call__(self, groups: Sequence[TrainingGroup]) -> dict[str, Any]:
        sequences = [(group.prompt, group.responses) for group in groups]
        return {
            "sequences": pack(sequences) if self.tree_attention else pad(sequences),
            "reference_logps": torch.tensor([value for group in groups for value in group.reference_logps]),
            "rewards": torch.tensor([value for group in groups for value in group.rewards]),
            "groups": torch.tensor([at for at, group in enumerate(groups) for _ in group.responses]),
        }


def reward_summary(groups: Sequence[TrainingGroup]) -> dict[str, Any]:
    """A round's rewards in a few numbers, as `metrics.json` keeps them under `reward`.

    Returns:
        mean, std, min, max over responses; `tied_pairs`, the share of pairs of different responses whose rewards are
        equal (None without such pairs); `at_top`, the share of responses with the highest reward of all (a judge that
        saturates has both near 1).
    """
    values = np.array([reward for group in groups for reward in group.rewards])
    ties = [
        a_reward == b_reward
        for group in groups
        for (a, a_reward), (b, b_reward) in combinations(zip(group.responses, group.rewards, strict=True), 2)
        if a != b
    ]
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
        "at_top": float(np.mean(values == values.max())),
        "tied_pairs": float(np.mean(ties)) if ties else None,
    }
