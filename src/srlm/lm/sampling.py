"""Sample responses from the plain distribution, recording what training needs on the way.

Knows: cached decoding in batches, and that the theory is about the untempered, untruncated policy: temperature 1, no
top-k, no top-p, whatever the model's generation settings say. Randomness comes in as uniform numbers, one a token,
tied to the prompt and the response and not to the batch, so that the way prompts are batched or spread over processes
does not change what is drawn. Refuses to know: prompts, rewards.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any, Required, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from srlm.lm.decoding import start_decoding
from srlm.records.progress import Progress
from srlm.records.responses import Complete, Response, Rollout

_BLOCK = 256
_LOWEST = -1e4
_GREEDY = 2.0


def draw_uniforms(
    seed: int, round_number: int, prompt_ids: Sequence[int], responses: int, steps: int
) -> Float64[np.ndarray, "P K L"]:
    """The uniform numbers in [0, 1) behind one round's samples: one independent stream for each prompt of each
    round.
    """
    streams = [np.random.default_rng([seed, round_number, prompt]) for prompt in prompt_ids]
    return np.stack([stream.random((responses, steps)) for stream in streams])


class SamplingOptions(TypedDict, total=False):
    """What sampling may be told.

    Attributes:
        end_token_ids: tokens that end a response.
        rows_per_pass: most responses decoded at once; by default 128.
        tree_attention: the model passed `has_tree_attention`; what prompts share is then computed once.
        progress: called with (prompts done, prompts in all).
    """

    end_token_ids: Required[Collection[int]]
    rows_per_pass: int
    tree_attention: bool
    progress: Progress | None


def sample_responses(
    model: Any,
    prompts: Sequence[Sequence[int]],
    uniforms: Float64[np.ndarray, "P K L"],
    *,
    greedy: bool = False,
    **options: Unpack[SamplingOptions],
) -> list[Rollout]:
    """Draw K responses of at most L tokens for each of P prompts; a rollout's `prompt` is its place among them.

    Args:
        model: a causal model in evaluation mode.
        prompts: token ids of each prompt.
        uniforms: numbers in [0, 1); token l of response k to prompt p is the inverse of the model's distribution
            function (in token order) at `uniforms[p, k, l]`.
        greedy: in the same batches decode greedily, too.
        options: `SamplingOptions`.

    Raises:
        ValueError: an empty prompt, or `uniforms` that do not fit the prompts.
        FloatingPointError: the model returned NaN.
    """
    drawn = _sample(model, prompts, uniforms, greedy=greedy, **options)
    if not greedy:
        return [Rollout(at, tuple(responses)) for at, (responses, _) in enumerate(drawn)]
    return [Rollout(at, tuple(responses[:-1]), responses[-1], bound) for at, (responses, bound) in enumerate(drawn)]


def _sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    uniforms: Float64[np.ndarray, "P K L"],
    *,
    greedy: bool,
    end_token_ids: Collection[int],
    rows_per_pass: int = 128,
    tree_attention: bool = False,
    progress: Progress | None = None,
) -> list[tuple[list[Response], float]]:
    """The responses of each prompt, a greedy one last where asked for, and the log-probability of its likeliest first
    token.
    """
    if uniforms.ndim != 3 or len(uniforms) != len(prompts):
        raise ValueError(f"uniforms have shape {uniforms.shape}, which does not fit {len(prompts)} prompts")
    if not all(prompts):
        raise ValueError("every prompt needs at least one token")
    ends = frozenset(end_token_ids)
    if greedy:  # a level beyond every other stands for the likeliest token
        uniforms = np.concatenate([uniforms, np.full((len(prompts), 1, uniforms.shape[2]), _GREEDY)], axis=1)
    found: list[tuple[list[Response], float]] = [([], 0.0)] * len(prompts)
    # Prompts of like length go together, so that little is padded.
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    size = max(1, rows_per_pass // max(1, uniforms.shape[1]))
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            drawn = _sample_batch(model, [list(prompts[at]) for at in chosen], uniforms[chosen], ends, tree_attention)
            for at, one in zip(chosen, drawn, strict=True):
                found[at] = one
            if progress is not None:
                progress(min(start + size, len(order)), len(order))
    return found


def _sample_batch(
    model: Any,
    prompts: list[list[int]],
    uniforms: Float64[np.ndarray, "P K L"],
    ends: frozenset[int],
    tree_attention: bool,
) -> list[tuple[list[Response], float]]:
    count, each, steps = uniforms.shape
    place = model.device
    decoder, logits = start_decoding(model, prompts, tree_attention)
    bounds = torch.log_softmax(logits.float(), dim=-1).amax(-1).tolist()
    draws = torch.from_numpy(uniforms.reshape(count * each, steps)).to(place)
    ends_tensor = torch.tensor(sorted(ends), device=place)
    # Responses that agree so far share one row of the batch: `rows` maps the active responses to theirs.
    active = torch.arange(count * each, device=place)
    rows = active // each
    tokens = torch.full((count * each, steps), -1, device=place)
    sums = torch.zeros(count * each, 3, dtype=torch.float64, device=place)  # log-probability, entropy, self-certainty
    for step in range(steps):
        chosen, facts = _draw(logits, rows, draws[active, step])
        tokens[active, step] = chosen
        sums[active] += facts
        going = ~torch.isin(chosen, ends_tensor)
        if step + 1 == steps or not bool(going.any()):
            break
        active = active[going]
        distinct, rows = torch.unique(torch.stack([rows[going], chosen[going]]), dim=1, return_inverse=True)
        logits = decoder.advance(distinct[0], distinct[1])
    return [
        ([_response(tokens[row], sums[row], ends) for row in range(prompt * each, (prompt + 1) * each)], bound)
        for prompt, bound in enumerate(bounds)
    ]


def _draw(
    logits: Float[Tensor, "B V"], rows: Int[Tensor, "A"], uniforms: Float64[Tensor, "A"]
) -> tuple[Int[Tensor, "A"], Float64[Tensor, "A 3"]]:
    """For each response, the token by inverse distribution function of its row (the likeliest where the level is
    `_GREEDY`), and (log-probability, entropy, self-certainty).

    The distribution function is summed in float64 over blocks of tokens, then within the one block that holds the
    level.
    """
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    if not bool(torch.isfinite(logprobs.amax(dim=-1)).all()):
        raise FloatingPointError("the model returned logits that are not numbers")
    probabilities = logprobs.exp()
    # Where a probability is exactly 0 its log is -inf: p log p is 0 there, and the clamp keeps self-certainty finite.
    logprobs.clamp_min_(_LOWEST)
    entropy = -torch.linalg.vecdot(probabilities, logprobs)
    certainty = -logprobs.mean(-1) - math.log(logits.shape[-1])
    blocks = torch.nn.functional.pad(probabilities, (0, -logits.shape[-1] % _BLOCK)).unflatten(-1, (-1, _BLOCK))
    outer = blocks.sum(-1, dtype=torch.float64).cumsum(-1)[rows]
    # Scaling by the total keeps the last token reachable when rounding leaves the sum below 1.
    levels = uniforms * outer[:, -1]
    block = torch.searchsorted(outer, levels[:, None], right=True).clamp_(max=outer.shape[-1] - 1)
    before = torch.where(block > 0, outer.gather(-1, (block - 1).clamp_min(0)), 0.0)
    inner = blocks[rows, block[:, 0]].double().cumsum(-1) + before
    within = torch.searchsorted(inner, levels[:, None], right=True).clamp_(max=_BLOCK - 1)
    chosen = (block * _BLOCK + within)[:, 0].clamp_(max=logits.shape[-1] - 1)
    greedy = uniforms == _GREEDY
    if bool(greedy.any()):
        chosen = torch.where(greedy, logprobs.argmax(-1)[rows], chosen)
    facts = torch.stack([logprobs[rows, chosen], entropy[rows], certainty[rows]], dim=-1)
    return chosen, facts.double()


def _response(tokens: Tensor, sums: Tensor, ends: frozenset[int]) -> Response:
    ids = tuple(token for token in tokens.tolist() if token >= 0)
    logprob, entropy, certainty = sums.tolist()
    return Response(
        Complete(ids, logprob, ids[-1] in ends), entropy=entropy / len(ids), self_certainty=certainty / len(ids)
    )
