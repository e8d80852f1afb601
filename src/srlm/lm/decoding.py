"""Next-token logits of a batch of growing sequences, each step run once.

Knows: transformers' key-value caches. Rows are selected, repeated and dropped between steps by index, so that callers
decide which sequences live on and which share their past. Without a usable cache the sequences are run again at every
step: slower, and the same numbers. Refuses to know: what tokens mean, who chooses them.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from srlm.lm.prefix_tree import PrefixTree, additive_mask


def start_decoding(
    model: Any, prompts: list[list[int]], tree_attention: bool
) -> "tuple[Decoder, Float[Tensor, 'P V']]":
    """Run P prompts and return a decoder with one row a prompt, and the logits of each prompt's next token.

    Args:
        model: a causal model in evaluation mode.
        prompts: token ids, each at least one.
        tree_attention: run the prompts as one prefix tree, so that what they share (a system message) is run once.
    """
    if tree_attention and len(prompts) > 1:
        started = run_prompts(model, prompts)
        if started is not None:
            return Decoder(model, *_left_padded(prompts, model.device), started[0]), started[1]
    if not has_usable_cache(model):
        return _RunAgain(model, prompts), run_again(model, prompts)
    ids, mask = _left_padded(prompts, model.device)
    output = model(input_ids=ids, attention_mask=mask, position_ids=_positions(mask), use_cache=True, logits_to_keep=1)
    return Decoder(model, ids, mask, output.past_key_values), output.logits[:, -1]


def has_usable_cache(model: Any) -> bool:
    """Whether the model keeps keys and values whose rows can be selected, as attention does; recurrent states cannot
    skip the padding of a left-padded batch in every architecture.
    """
    with torch.inference_mode():
        output = model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=True)
    cache = getattr(output, "past_key_values", None)
    return isinstance(cache, DynamicCache) and all(isinstance(layer, DynamicLayer) for layer in cache.layers)


def run_again(model: Any, sequences: list[list[int]]) -> Float[Tensor, "R V"]:
    """Next-token logits of sequences run from their first tokens, right-padded and without a mask.

    What stands to the right of a token reaches it in no causal model, so this needs no cache, no positions and no
    respect for masks: it is right for every architecture.
    """
    width = max(map(len, sequences))
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    last, at = torch.unique(lengths - 1, return_inverse=True)
    logits = model(
        input_ids=ids.to(model.device),
        attention_mask=torch.ones_like(ids).to(model.device),
        use_cache=False,
        logits_to_keep=last.to(model.device),
    ).logits
    return logits[torch.arange(len(sequences), device=logits.device), at.to(logits.device)]


def _left_padded(prompts: list[list[int]], device: Any) -> tuple[Int[Tensor, "P W"], Int[Tensor, "P W"]]:
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def run_prompts(model: Any, prompts: list[list[int]]) -> "tuple[DynamicCache, Float[Tensor, 'P V']] | None":
    """One forward over the prompts' prefix tree, its keys and values dealt out to left-padded rows, one a prompt.

    Returns:
        The cache and the logits of each prompt's next token, or None where the model's cache is not a plain one.
    """
    width = max(map(len, prompts))
    tree = PrefixTree()
    paths = [tree.insert(prompt) for prompt in prompts]
    last, rows = torch.unique(torch.tensor([path[-1] for path in paths]), return_inverse=True)
    output = model(
        input_ids=torch.tensor(tree.tokens, device=model.device)[None],
        position_ids=tree.positions()[None].to(model.device),
        attention_mask=additive_mask(tree.visibility().to(model.device), model.dtype),
        logits_to_keep=last.to(model.device),
        use_cache=True,
    )
    cache = output.past_key_values
    # Layers that forget (sliding windows) or keep other states cannot be dealt out node by node.
    if not isinstance(cache, DynamicCache) or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    nodes = torch.zeros(len(paths), width, dtype=torch.long)
    for row, path in enumerate(paths):
        nodes[row, width - len(path) :] = torch.tensor(path)
    nodes = nodes.to(model.device)
    layers: list[Any] = list(cache.layers)
    for layer in layers:
        layer.keys = layer.keys[0][:, nodes].transpose(0, 1).contiguous()
        layer.values = layer.values[0][:, nodes].transpose(0, 1).contiguous()
    return cache, output.logits[0][rows.to(model.device)]


class Decoder:
    """Sequences in flight. Rows are those of the last `advance`, or the prompts at the start."""

    def __init__(self, model: Any, ids: Int[Tensor, "B W"], mask: Int[Tensor, "B W"], cache: Any) -> None:
        self._model, self._ids, self._mask, self._cache = model, ids, mask, cache

    def advance(self, parents: Int[Tensor, "C"], tokens: Int[Tensor, "C"]) -> Float[Tensor, "C V"]:
        """Replace the rows by C new ones, row c being row `parents[c]` with `tokens[c]` appended; logits of what
        follows.
        """
        same = len(parents) == len(self._ids) and bool(
            (parents == torch.arange(len(parents), device=parents.device)).all()
        )
        if not same:
            self._ids, self._mask = self._ids[parents], self._mask[parents]
            self._cache.batch_select_indices(parents)
        self._ids = torch.cat([self._ids, tokens[:, None]], dim=1)
        self._mask = torch.cat([self._mask, torch.ones_like(tokens)[:, None]], dim=1)
        output = self._model(
            input_ids=self._ids[:, -1:],
            attention_mask=self._mask,
            position_ids=_positions(self._mask)[:, -1:],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1]


class _RunAgain(Decoder):
    """A decoder without a cache."""

    def __init__(self, model: Any, prompts: list[list[int]]) -> None:
        self._model, self._sequences = model, prompts

    def advance(self, parents: Int[Tensor, "C"], tokens: Int[Tensor, "C"]) -> Float[Tensor, "C V"]:
        pairs = zip(parents.tolist(), tokens.tolist(), strict=True)
        self._sequences = [[*self._sequences[parent], token] for parent, token in pairs]
        return run_again(self._model, self._sequences)


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(-1) - 1).clamp_min(0)
