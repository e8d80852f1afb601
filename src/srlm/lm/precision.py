"""What floating point does to log-probabilities, and which layer made them not a number.

Knows: dtypes and forward hooks. A policy is what its weights say in exact arithmetic; float32 is near enough, lower
precisions are not, so the difference is measured, and brackets are widened by it (`records.responses.widen`). Refuses
to know: how modes are searched.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from srlm.lm.scoring import score_responses
from srlm.records.responses import ModeBracket


@contextmanager
def in_float32(model: Any) -> Iterator[None]:
    """Within the block the model computes in float32; afterwards weights and buffers are what they were, bit for bit
    (float32 holds every bfloat16 and float16 number).
    """
    tensors: list[Tensor] = [*model.parameters(), *model.buffers()]
    lowered = [(one, one.dtype) for one in tensors if one.dtype in (torch.bfloat16, torch.float16)]
    try:
        for one, _ in lowered:
            one.data = one.data.float()
        yield
    finally:
        for one, dtype in lowered:
            one.data = one.data.to(dtype)


def with_errors(model: Any, prompts: Sequence[Sequence[int]], brackets: Sequence[ModeBracket]) -> list[ModeBracket]:
    """Each bracket with the difference (nats) between the log-probability of its mode as it was found, in the model's
    precision, and in float32; unchanged for a float32 or float64 model, which is the reference itself.

    Args:
        model: a causal model in evaluation mode, as it was when the modes were found.
        prompts: token ids of each prompt.
        brackets: what was found there.
    """
    if model.dtype not in (torch.bfloat16, torch.float16) or not prompts:
        return list(brackets)
    groups = [(ids, [one.mode.tokens]) for ids, one in zip(prompts, brackets, strict=True)]
    with in_float32(model):
        exact = score_responses(model, groups, tree_attention=False)
    return [replace(b, error=abs(value - b.mode.logprob)) for (value,), b in zip(exact, brackets, strict=True)]


@dataclass(frozen=True, slots=True)
class NotANumber:
    """Where NaN or infinite values first came up: the prompt (counted from 1) and the module that made them of finite
    input, "" where no module did on its own.
    """

    prompt: int
    module: str


def locate_nan(model: Any, prompts: Sequence[Sequence[int]]) -> NotANumber | None:
    """The first prompt whose logits are not all numbers, and the module they come from; None where all is well.

    Args:
        model: a causal model in evaluation mode.
        prompts: token ids of each prompt.
    """
    for number, prompt in enumerate(prompts, start=1):
        guilty: list[str] = []

        def watch(name: str, guilty: list[str] = guilty) -> Any:
            def hook(module: Any, arguments: Any, output: Any) -> None:
                parts = [one for one in _tensors(output) if one.is_floating_point()]
                if not guilty and any(not bool(torch.isfinite(one).all()) for one in parts):
                    guilty.append(name)

            return hook

        # Hooks of inner modules fire before those of the modules around them, so the first name is the innermost one.
        handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
        try:
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([list(prompt)], device=model.device), use_cache=False).logits
        finally:
            for handle in handles:
                handle.remove()
        if bool(torch.isnan(torch.log_softmax(logits[0, -1].float(), -1)).any()):
            return NotANumber(number, guilty[0] if guilty else "")
    return None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)
