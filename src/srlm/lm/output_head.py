"""Log-probabilities of single tokens at the output head.

Knows: how a row of logits becomes log softmax at a few tokens, and its gradient: the token's output embedding less
the expected one. Where the head is a plain frozen matrix that expectation is taken in the forward pass, a few rows at
a time, so that the table of all logits (rows x vocabulary, the largest tensor of a training step) never exists; the
multiplications are the same. Elsewhere the table is kept, and its gradient written once. Refuses to know: losses.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Logits held at once: 16 MB in float32, so that the passes over them stay near the processor.
_LOGITS_HELD = 2**22


class _TableLogprobs(torch.autograd.Function):
    """The gradient, onehot - softmax, is written once over the table; autograd would fill and add four of that size."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, targets: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        norm = torch.logsumexp(logits, dim=-1)
        ctx.save_for_backward(logits, norm, rows, targets)
        return logits[rows, targets] - norm[rows]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        logits, norm, rows, targets = ctx.saved_tensors
        share = torch.zeros_like(norm).index_add_(0, rows, grad)
        found = torch.sub(logits, norm[:, None]).exp_().mul_(-share[:, None])
        return found.index_put_((rows, targets), grad, accumulate=True), None, None


class _HeadLogprobs(torch.autograd.Function):
    """The gradient with respect to a hidden state, sum over its tokens of g*(W[token] - E_p[W]), needs no logits."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, rows: Tensor, targets: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        edges = torch.empty(len(targets), device=hidden.device)
        expected = torch.empty(hidden.shape, device=hidden.device) if ctx.needs_input_grad[0] else None
        held = max(1, _LOGITS_HELD // len(weight))
        for start in range(0, len(hidden), held):
            logits = nn.functional.linear(hidden[start : start + held], weight).float()
            norm = torch.logsumexp(logits, dim=-1)
            at = torch.nonzero((rows >= start) & (rows < start + held))[:, 0]
            own = rows[at] - start
            edges[at] = logits[own, targets[at]] - norm[own]
            if expected is not None:
                expected[start : start + held] = logits.sub_(norm[:, None]).exp_().to(weight.dtype) @ weight
        if expected is not None:
            ctx.save_for_backward(expected, weight[targets], rows)
            ctx.dtype = hidden.dtype
        return edges

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        expected, reached, rows = ctx.saved_tensors
        share = torch.zeros(len(expected), device=grad.device).index_add_(0, rows, grad)
        found = (expected * -share[:, None]).index_add_(0, rows, reached.float() * grad[:, None])
        return found.to(ctx.dtype), None, None, None


def edge_logprobs(
    logits: Float[Tensor, "S V"], rows: Int[Tensor, "E"], targets: Int[Tensor, "E"]
) -> Float[Tensor, "E"]:
    """log softmax(logits)[rows, targets] in float32, without a normalised copy of the whole table."""
    return cast(Tensor, _TableLogprobs.apply(logits.float(), rows, targets))


@contextmanager
def answering(model: Any, rows: Int[Tensor, "E"], targets: Int[Tensor, "E"]) -> Iterator[None]:
    """Within the block the model's `logits` are not logits but `edge_logprobs` of them, of shape (1, E).

    They are computed inside the head's own forward pass, where its weight is whole however it is stored.

    Args:
        model: passed `has_plain_head`.
        rows, targets: row of the head's input and token of each edge.
    """
    head = model.get_output_embeddings()

    def forward(hidden: Tensor) -> Tensor:
        return cast(Tensor, _HeadLogprobs.apply(hidden[0], head.weight, rows, targets))[None]

    head.forward = forward
    try:
        yield
    finally:
        del head.forward


def frozen_head(model: Any) -> nn.Linear | None:
    """The model's output head where it is a frozen matrix and nothing else, as far as its layer says; a model may still
    change what the head returns (`has_plain_head` in `scoring` tries it).
    """
    head = None
    with suppress(AttributeError, NotImplementedError):
        head = model.get_output_embeddings()
    if type(head) is not nn.Linear or head.bias is not None or head.weight.requires_grad:
        return None
    return head
