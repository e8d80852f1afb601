"""Evaluate prefixes of several prompts at once without computing any token twice.

Knows: tree attention over a pool. Each prompt is a lane of the batch; the keys and values of its prompt and of every
prefix evaluated so far lie side by side in the lane, and a mask shows a new prefix its prompt and its own ancestors.
Nothing is gathered, repeated or reordered. Where the architecture does not allow it, prefixes are run again from
their first token: slower, and the same numbers. Refuses to know: which prefixes to evaluate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from srlm.lm.decoding import run_again, run_prompts


@dataclass(frozen=True, slots=True)
class Query:
    """One prefix to evaluate: its lane, and its prefixes from the first token on as (key, token); keys name them for
    reuse.
    """

    lane: int
    path: tuple[tuple[int, int], ...]


class NodePool(Protocol):
    """Logits after prefixes of a fixed set of prompts."""

    @property
    def root_logits(self) -> Float[Tensor, "P V"]: ...

    def evaluate(self, queries: Sequence[Query]) -> Float[Tensor, "Q V"]: ...

    def keep(self, lanes: Sequence[int]) -> None:
        """Drop every lane but these for good; the others keep their numbers."""
        ...


def open_pool(model: Any, prompts: Sequence[Sequence[int]], tree_attention: bool, memory_limit: int) -> NodePool:
    """The fastest pool that the model allows, with its prompts run."""
    if tree_attention:
        started = run_prompts(model, [list(prompt) for prompt in prompts])
        if started is not None:
            return _TreePool(model, prompts, *started, memory_limit)
    return _RerunPool(model, prompts)


class _RerunPool:
    """Every prefix is run from its first token."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self._model, self._prompts = model, [list(prompt) for prompt in prompts]
        self.root_logits = run_again(model, self._prompts)

    def evaluate(self, queries: Sequence[Query]) -> Float[Tensor, "Q V"]:
        return run_again(
            self._model, [self._prompts[query.lane] + [token for _, token in query.path] for query in queries]
        )

    def keep(self, lanes: Sequence[int]) -> None:
        pass


class _TreePool:
    """One batch row a lane; columns are the left-padded prompt, then a slot for each prefix evaluated."""

    def __init__(
        self, model: Any, prompts: Sequence[Sequence[int]], cache: Cache, logits: Tensor, memory_limit: int
    ) -> None:
        self._model = model
        self.root_logits = logits
        self._lengths = [len(prompt) for prompt in prompts]
        self._width = self._columns = max(self._lengths)
        self._rows = {lane: lane for lane in range(len(prompts))}
        self._slots: list[dict[int, int]] = [{} for _ in prompts]
        layers: list[Any] = list(cache.layers)
        self._layers = [_PoolLayer(layer.keys, layer.values) for layer in layers]
        self._cache = Cache(layers=list(self._layers))
        self._limit = memory_limit

    def evaluate(self, queries: Sequence[Query]) -> Float[Tensor, "Q V"]:
        if self._columns > self._width and sum(layer.bytes_used() for layer in self._layers) > self._limit:
            self._evict()
        # Slots of this step: each lane's new prefixes, ancestors that were evicted included, in order of depth.
        fresh: dict[
            int, list[tuple[int, int, int, list[int]]]
        ] = {}  # lane: (key, token, depth, columns of its ancestors)
        places: list[tuple[int, int]] = []
        for query in queries:
            seen: list[int] = []
            new = fresh.setdefault(query.lane, [])
            slots = self._slots[query.lane]
            for depth, (key, token) in enumerate(query.path):
                if key not in slots or depth + 1 == len(query.path):
                    slots[key] = self._columns + len(new)
                    new.append((key, token, depth, list(seen)))
                seen.append(slots[key])
            places.append((self._rows[query.lane], len(new) - 1))
        logits = self._step(fresh)
        rows, slots_of = (torch.tensor(values, device=logits.device) for values in zip(*places, strict=True))
        return logits[rows, slots_of]

    def keep(self, lanes: Sequence[int]) -> None:
        index = torch.tensor([self._rows[lane] for lane in lanes], device=self._model.device)
        for layer in self._layers:
            layer.batch_select_indices(index)
        self._rows = {lane: row for row, lane in enumerate(lanes)}

    def _step(self, fresh: dict[int, list[tuple[int, int, int, list[int]]]]) -> Float[Tensor, "P q V"]:
        place, lanes = self._model.device, len(self._rows)
        count = max(map(len, fresh.values()))
        ids = torch.zeros(lanes, count, dtype=torch.long)
        positions = torch.zeros_like(ids)
        visible = torch.zeros(lanes, count, self._columns + count, dtype=torch.bool)
        visible[:, range(count), range(self._columns, self._columns + count)] = (
            True  # a slot sees itself, unused ones too
        )
        for lane, entries in fresh.items():
            row, start = self._rows[lane], self._width - self._lengths[lane]
            for at, (_, token, depth, ancestors) in enumerate(entries):
                ids[row, at] = token
                positions[row, at] = self._lengths[lane] + depth
                visible[row, at, start : self._width] = True
                visible[row, at, ancestors] = True
        mask = torch.zeros(visible.shape, dtype=self._model.dtype)
        mask.masked_fill_(~visible, torch.finfo(self._model.dtype).min)
        output = self._model(
            input_ids=ids.to(place),
            position_ids=positions.to(place),
            attention_mask=mask[:, None].to(place),
            past_key_values=self._cache,
            use_cache=True,
        )
        self._columns += count
        return output.logits

    def _evict(self) -> None:
        for layer in self._layers:
            layer.truncate(self._width)
        self._columns = self._width
        self._slots = [{} for _ in self._slots]


class _PoolLayer(DynamicLayer):
    """Keys and values with room to grow: appending writes in place instead of copying everything before it."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self._used = 0
        self._keys, self._values = keys.new_empty(0), values.new_empty(0)
        self._reserve(keys, keys.shape[-2])
        self._append(keys, values)

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        self._reserve(key_states, key_states.shape[-2])
        self._append(key_states, value_states)
        return self.keys, self.values  # pyright: ignore[reportReturnType]

    def batch_select_indices(self, indices: Tensor) -> None:
        self._keys, self._values = self._keys[indices], self._values[indices]
        self._expose()

    def truncate(self, columns: int) -> None:
        """Forget all but the first `columns`, and give their room back."""
        self._used = columns
        self._keys, self._values = self._keys[:, :, :columns].clone(), self._values[:, :, :columns].clone()
        self._expose()

    def bytes_used(self) -> int:
        return 2 * self._keys.numel() * self._keys.element_size()

    def _reserve(self, like: Tensor, more: int) -> None:
        if self._keys.numel() and self._used + more <= self._keys.shape[-2]:
            return
        capacity = max(self._used + more, int(1.5 * self._used) + 16)
        shape = (like.shape[0], like.shape[1], capacity, like.shape[3])
        keys, values = like.new_empty(shape), like.new_empty(shape)
        if self._used:
            keys[:, :, : self._used] = self._keys[:, :, : self._used]
            values[:, :, : self._used] = self._values[:, :, : self._used]
        self._keys, self._values = keys, values

    def _append(self, keys: Tensor, values: Tensor) -> None:
        end = self._used + keys.shape[-2]
        self._keys[:, :, self._used : end] = keys
        self._values[:, :, self._used : end] = values
        self._used = end
        self._expose()

    def _expose(self) -> None:
        self.keys, self.values = self._keys[:, :, : self._used], self._values[:, :, : self._used]
