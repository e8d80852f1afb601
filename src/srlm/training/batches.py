"""How groups become batches of tensors.

Knows: packing (`lm/scoring.py`). Refuses to know: which responses are trained on, and with what loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from srlm.lm.room import pieces
from srlm.lm.scoring import pack, pad
from srlm.training.update import Group


class GroupDataset(Dataset[Group]):
    """The groups of one round, in a fixed order (the trainer's sampler shuffles them)."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = list(groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> Group:
        return self._groups[index]


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes one batch of groups: their sequences (packed where the model has tree attention; in pieces of at most
    `tokens` tokens), references and rewards.
    """

    tree_attention: bool
    tokens: int | None = None

    def __call__(self, groups: Sequence[Group]) -> dict[str, Any]:
        sequences = [(group.prompt, group.responses) for group in groups]
        cut = [sequences] if self.tokens is None else pieces(sequences, self.tokens)
        return {
            "sequences": [pack(piece) if self.tree_attention else pad(piece) for piece in cut],
            "reference_logps": torch.tensor([value for group in groups for value in group.reference_logps]),
            "rewards": torch.tensor([value for group in groups for value in group.rewards]),
            "weights": torch.tensor([value for group in groups for value in group.weights]),
            "groups": torch.tensor([at for at, group in enumerate(groups) for _ in group.responses]),
        }
