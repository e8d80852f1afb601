"""Log-probabilities of many responses in one forward pass over the prefix tree they form.

Knows: how token sequences share prefixes, and how a transformer evaluates a tree: one packed row, a mask that lets
each token see its ancestors, positions equal to depth. The system message shared by all prompts, the prompt shared by
its responses, and whatever responses share with each other are computed once, with gradients that equal those of the
plain padded batch. As kappa falls responses coincide, and the work falls with it. Refuses to know: losses, rewards.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from srlm.lm.output_head import answering, edge_logprobs, frozen_head
from srlm.lm.prefix_tree import PrefixTree, additive_mask
from srlm.lm.room import tree_tokens
from srlm.records.responses import TokenGroup


class _Movable:
    """A dataclass of tensors that moves between devices as a tensor does (accelerate calls `to` on what it finds)."""

    __slots__ = ()

    def to(self, device: Any, non_blocking: bool = False) -> Self:
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # pyright: ignore[reportArgumentType]
        return type(self)(
            **{k: v.to(device, non_blocking=non_blocking) if isinstance(v, Tensor) else v for k, v in values.items()}
        )


@dataclass(frozen=True, slots=True)
class PackedTree(_Movable):
    """A forest of token sequences as one row. N nodes, E scored edges, R responses, P (edge, response) incidences.

    Attributes:
        input_ids: (N,) token of each node.
        position_ids: (N,) depth of each node, the root at 0.
        attention_mask: (N, N) True where the row's node may see the column's node: itself and its ancestors.
        parents: (E,) node whose next-token distribution scores the edge.
        targets: (E,) token the edge leads to.
        edges: (P,) edge of each incidence.
        responses: (P,) response of each incidence, numbered in the order given, groups one after the other.
        count: R, responses in all.
    """

    input_ids: Int[Tensor, "N"]
    position_ids: Int[Tensor, "N"]
    attention_mask: Tensor
    parents: Int[Tensor, "E"]
    targets: Int[Tensor, "E"]
    edges: Int[Tensor, "P"]
    responses: Int[Tensor, "P"]
    count: int


@dataclass(frozen=True, slots=True)
class PaddedRows(_Movable):
    """Every prompt repeated before each of its responses, right-padded. R rows of W tokens.

    Attributes:
        input_ids: (R, W) tokens.
        attention_mask: (R, W) 1 for tokens, 0 for padding.
        scored: (R, W-1) 1 where the next token belongs to the response.
    """

    input_ids: Int[Tensor, "R W"]
    attention_mask: Int[Tensor, "R W"]
    scored: Tensor


Sequences = PackedTree | PaddedRows


def pack(groups: Sequence[TokenGroup]) -> PackedTree:
    """Fold prompts and their responses into one prefix tree.

    Args:
        groups: for each prompt its token ids (at least one) and the token ids of its responses (each at least one).

    Raises:
        ValueError: an empty prompt or response.
    """
    nodes = PrefixTree()
    edge_at: dict[tuple[int, int], int] = {}
    parents: list[int] = []
    targets: list[int] = []
    edges: list[int] = []
    responses: list[int] = []
    count = 0
    for prompt, replies in groups:
        if not prompt or not all(replies):
            raise ValueError("every prompt and every response needs at least one token")
        root = nodes.insert(prompt)[-1]
        for reply in replies:
            node = root
            for step, token in enumerate(reply):
                edge = edge_at.get((node, token))
                if edge is None:
                    edge = edge_at[node, token] = len(parents)
                    parents.append(node)
                    targets.append(token)
                edges.append(edge)
                responses.append(count)
                if step + 1 < len(reply):  # the last token is only predicted, never read
                    node = nodes.descend(node, token)
            count += 1

    def integers(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long)

    return PackedTree(
        integers(nodes.tokens),
        nodes.positions(),
        nodes.visibility(),
        integers(parents),
        integers(targets),
        integers(edges),
        integers(responses),
        count,
    )


def pad(groups: Sequence[TokenGroup]) -> PaddedRows:
    """The plain route, for architectures without tree attention and as the independent check of `pack`.

    Args:
        groups: as for `pack`.

    Raises:
        ValueError: an empty prompt or response.
    """
    rows = [(list(prompt), list(reply)) for prompt, replies in groups for reply in replies]
    if not all(prompt and reply for prompt, reply in rows):
        raise ValueError("every prompt and every response needs at least one token")
    width = max(len(prompt) + len(reply) for prompt, reply in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    scored = torch.zeros(len(rows), width - 1)
    for row, (prompt, reply) in enumerate(rows):
        end = len(prompt) + len(reply)
        ids[row, :end] = torch.tensor(prompt + reply)
        mask[row, :end] = 1
        scored[row, len(prompt) - 1 : end - 1] = 1
    return PaddedRows(ids, mask, scored)


def response_logprobs(model: Any, sequences: Sequences, *, plain_head: bool = False) -> Float[Tensor, "R"]:
    """Summed log-probability of every response (nats, float32), differentiable: r = log pi(y|x), eq. 1.

    One forward pass of the untempered model; of a tree only the nodes that score an edge pass through the output head.

    Args:
        model: a causal model.
        sequences: from `pack` or `pad`.
        plain_head: the model passed `has_plain_head`; of a tree the logits are then never held all at once.
    """
    if isinstance(sequences, PackedTree):
        return _tree_logprobs(model, sequences.to(model.device), plain_head)
    return _padded_logprobs(model, sequences.to(model.device))


def _tree_logprobs(model: Any, tree: PackedTree, plain_head: bool) -> Float[Tensor, "R"]:
    scored, rows = torch.unique(tree.parents, return_inverse=True)
    with answering(model, rows, tree.targets) if plain_head else nullcontext():
        answered = model(
            input_ids=tree.input_ids[None],
            position_ids=tree.position_ids[None],
            attention_mask=additive_mask(tree.attention_mask, model.dtype),
            logits_to_keep=scored,
            use_cache=False,
        ).logits[0]
    edges = answered if plain_head else edge_logprobs(answered, rows, tree.targets)
    total = torch.zeros(tree.count, dtype=edges.dtype, device=edges.device)
    return total.index_add(0, tree.responses, edges[tree.edges])


def _padded_logprobs(model: Any, rows: PaddedRows) -> Float[Tensor, "R"]:
    logits = model(input_ids=rows.input_ids, attention_mask=rows.attention_mask, use_cache=False).logits[:, :-1].float()
    taken = logits.gather(-1, rows.input_ids[:, 1:, None])[..., 0] - torch.logsumexp(logits, dim=-1)
    return (taken * rows.scored).sum(-1)


def score_responses(
    model: Any,
    groups: Sequence[TokenGroup],
    *,
    tree_attention: bool,
    plain_head: bool = False,
    tokens_per_pass: int = 2048,
) -> list[list[float]]:
    """Summed log-probabilities (nats) of every group's responses, without gradients, at most about `tokens_per_pass`
    at once.

    Args:
        model: a causal model in evaluation mode.
        groups: prompts and their responses.
        tree_attention: the model passed `has_tree_attention`.
        plain_head: the model passed `has_plain_head`.
        tokens_per_pass: most prompt and response tokens at once, but always at least one group.
    """
    found: list[list[float]] = []
    with torch.no_grad():  # in inference mode, weights gathered from other processes could not be trained afterwards
        for batch in batches_of(groups, min(tokens_per_pass, tree_tokens(model))):
            flat = response_logprobs(model, pack(batch) if tree_attention else pad(batch), plain_head=plain_head)
            values = iter(flat.double().tolist())
            found.extend([next(values) for _ in replies] for _, replies in batch)
    return found


def batches_of(groups: Sequence[TokenGroup], tokens: int) -> Iterator[list[TokenGroup]]:
    """Consecutive groups, as many as hold at most `tokens` prompt and response tokens (always at least one group)."""
    batch: list[TokenGroup] = []
    held = 0
    for prompt, replies in groups:
        size = len(prompt) + sum(map(len, replies))
        if batch and held + size > tokens:
            yield batch
            batch, held = [], 0
        batch.append((prompt, replies))
        held += size
    if batch:
        yield batch


def keeps_everything(model: Any) -> bool:
    """Whether every layer attends to the whole past: no sliding window, no chunks, no recurrent state, as far as the
    configuration says.
    """
    try:
        cache = DynamicCache(config=model.config)
    except (AttributeError, KeyError, TypeError, ValueError):
        return True  # a configuration that transformers has no cache for says nothing; the probe decides
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def has_tree_attention(model: Any, tolerance: float = 1e-3) -> bool:
    """Whether the model evaluates a packed tree as it evaluates plain sequences (nats per response within `tolerance`).

    Recurrent architectures and models that rebuild the mask themselves do not; they are scored by the plain route. Nor
    do models with sliding windows, whatever a short probe says: the tree's mask would let long sequences look beyond.
    """
    if not keeps_everything(model):
        return False
    groups = _probe(model)
    with torch.inference_mode():
        plain = response_logprobs(model, pad(groups))
        try:
            packed = response_logprobs(model, pack(groups))
        except (TypeError, ValueError, RuntimeError, IndexError):
            return False
    return _agree(model, plain, packed, tolerance)


def has_plain_head(model: Any, tolerance: float = 1e-3) -> bool:
    """Whether the model's logits are its output head's product with a frozen matrix and nothing else: no bias, no
    scaling, no cap, no adapter on it, not trained (nats per response within `tolerance`).

    Args:
        model: passed `has_tree_attention`, as it will be trained.
        tolerance: for float32; wider in lower precision.
    """
    if frozen_head(model) is None:
        return False
    sequences = pack(_probe(model))
    with torch.no_grad():
        whole = response_logprobs(model, sequences)
        try:
            held = response_logprobs(model, sequences, plain_head=True)
        except (TypeError, ValueError, RuntimeError, IndexError):
            return False
    return whole.shape == held.shape and _agree(model, whole, held, tolerance)


def _probe(model: Any) -> list[TokenGroup]:
    vocabulary = model.config.get_text_config().vocab_size
    probe: list[TokenGroup] = [([3, 1, 2], [[1, 2, 0], [1, 0, 2], [2, 1]]), ([3, 2], [[1, 1, 2]])]
    return [
        ([t % vocabulary for t in prompt], [[t % vocabulary for t in r] for r in replies]) for prompt, replies in probe
    ]


def _agree(model: Any, one: Tensor, other: Tensor, tolerance: float) -> bool:
    wider = max(1.0, torch.finfo(model.dtype).eps / torch.finfo(torch.float32).eps)
    return bool((one - other).abs().max() < tolerance * wider)
