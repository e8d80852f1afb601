"""Token sequences folded into the tree of their prefixes.

Knows: which prefixes sequences share, and how a transformer sees a tree laid out as one row: a node attends to
itself and its ancestors, and its position is its depth. Refuses to know: models.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

ROOT = -1


class PrefixTree:
    """A forest of tokens that grows by descending; equal prefixes are one node, and parents come before children."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self._parents: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def descend(self, node: int, token: int) -> int:
        """The child of `node` (ROOT for the first token) along `token`, made when it is new."""
        found = self._children.get((node, token))
        if found is None:
            found = self._children[node, token] = len(self.tokens)
            self.tokens.append(token)
            self._parents.append(node)
        return found

    def insert(self, tokens: Sequence[int]) -> list[int]:
        """The nodes along `tokens` from the root."""
        path, node = [], ROOT
        for token in tokens:
            node = self.descend(node, token)
            path.append(node)
        return path

    def positions(self) -> Int[Tensor, "N"]:
        """Depth of every node, 0 for first tokens."""
        depths: list[int] = []
        for parent in self._parents:
            depths.append(0 if parent == ROOT else depths[parent] + 1)
        return torch.tensor(depths, dtype=torch.long)

    def visibility(self) -> Bool[Tensor, "N N"]:
        """True where the row's node may see the column's node: itself and its ancestors."""
        mask = torch.zeros(len(self), len(self), dtype=torch.bool)
        for node, parent in enumerate(self._parents):
            if parent != ROOT:
                mask[node] = mask[parent]
            mask[node, node] = True
        return mask


def additive_mask(visible: Bool[Tensor, "N N"], dtype: torch.dtype) -> Tensor:
    """The 4-dimensional mask (1, 1, N, N) that transformers takes as it is: 0 where visible, the lowest number
    elsewhere.
    """
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]
