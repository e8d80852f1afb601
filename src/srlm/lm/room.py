"""How much of a model's work goes together: tokens of one tree, activations kept, rows decoded at once.

Knows: the arithmetic of attention, activations and caches, and how much memory is free now. Refuses to know: what the
work is for. Nothing here changes what is computed, beyond rounding.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from srlm.records.responses import TokenGroup

# Attention costs 4*N*d operations a token of a tree of N, everything else about 24*d^2 a layer: equal at N = 6*d.
_WIDTHS, _FEWEST_TOKENS = 6, 512
# Floats that training keeps of a token, in widths of the model and layers (measured on Llamas: 30 to 40).
_KEPT = 36
# Activations may take as much as half of what is free, and no more than four times the weights (or this many bytes):
# beyond that recomputing them costs a third more work and nothing else.
_WEIGHTS, _FLOOR = 4, 1 << 29


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device now; for a CPU what the system calls available, or 4 GB where it does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return 1 << 32


def tree_tokens(model: Any) -> int:
    """Tokens of a tree up to which its attention, quadratic in them, costs no more than the rest of the model."""
    return max(_FEWEST_TOKENS, _WIDTHS * _shape(model)[0])


def pieces(groups: Sequence[TokenGroup], tokens: int) -> list[list[TokenGroup]]:
    """The same responses in the same order, in pieces of at most so many prompt and response tokens (always at least
    one response); a group is cut where it does not fit.
    """
    found: list[list[TokenGroup]] = [[]]
    held = 0
    for prompt, replies in groups:
        place = None  # of this group in the piece
        for reply in replies:
            cost = len(reply) + (len(prompt) if place is None else 0)
            if found[-1] and held + cost > tokens:
                found.append([])
                held, place, cost = 0, None, len(reply) + len(prompt)
            if place is None:
                place = []
                found[-1].append((prompt, place))
            place.append(reply)
            held += cost
    return found


def keeps_activations(model: Any, tokens: int) -> bool:
    """Whether the activations of so many tokens may be kept for the backward pass, rather than computed again."""
    width, layers, _ = _shape(model)
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    return tokens * width * layers * _KEPT * 4 <= min(free_memory(model.device) / 2, max(_FLOOR, _WEIGHTS * weights))


def rows_that_fit(model: Any, length: int, most: int) -> int:
    """Rows of so many tokens whose keys and values fill at most a quarter of what is free, from 1 to `most`."""
    _, layers, heads = _shape(model)
    row = length * layers * 2 * heads * model.dtype.itemsize
    return max(1, min(most, int(free_memory(model.device) / 4 // max(1, row))))


def _shape(model: Any) -> tuple[int, int, int]:
    """Width, layers, and width of the keys; a model that does not say has none of them, and nothing is cut."""
    config = model.config.get_text_config()
    width, layers = getattr(config, "hidden_size", 1), getattr(config, "num_hidden_layers", 1)
    heads = getattr(config, "num_attention_heads", None) or 1
    size = getattr(config, "head_dim", None) or width // heads
    return width, layers, size * (getattr(config, "num_key_value_heads", None) or heads)
