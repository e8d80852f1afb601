"""Sample responses from the plain distribution, recording what training needs on the way.

Knows: cached decoding in batches, and that the theory is about the untempered, untruncated policy: temperature 1, no
top-k, no top-p, whatever the model's generation settings say. Randomness comes in as uniform numbers, one a token, tied
to the prompt and the response and not to the batch, so that the way prompts are batched or spread over processes does
not change what is drawn.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Response:
    """A sampled response: at most L tokens, ended by an end token (included) or cut at exactly L.

    Attributes:
        tokens: token ids, the end token included.
        logprob: self-reward, the summed log-probability of the tokens (nats), [W] eq. 1.
        ended: False for a response cut at L tokens.
        entropy: mean entropy of the next-token distributions along the response (nats a token).
        self_certainty: mean KL(uniform || next-token distribution) along the response (nats a token).
    """

    tokens: tuple[int, ...]
    logprob: float
    ended: bool
    entropy: float
    self_certainty: float


def draw_uniforms(seed: int, round_number: int, prompt_ids: Sequence[int], responses: int, steps: int) -> Float64[np.ndarray, "P K L"]:
    """The uniform numbers in [0, 1) behind one round's samples: one independent stream for each prompt of each round."""
    streams = [np.random.default_rng([seed, round_number, prompt]) for prompt in prompt_ids]
    return np.stack([stream.random((responses, steps)) for stream in streams])


def sample_responses(
    model: Any,
    prompts: Sequence[Sequence[int]],
    uniforms: Float64[np.ndarray, "P K L"],
    *,
    end_token_ids: Collection[int],
    rows_per_pass: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Response]]:
    """Draw K responses of at most L tokens for each of P prompts.

    Args:
        model: a causal model in evaluation mode.
        prompts: token ids of each prompt.
        uniforms: numbers in [0, 1); token l of response k to prompt p is the inverse of the model's distribution function
            (in token order) at `uniforms[p, k, l]`.
        end_token_ids: tokens that end a response.
        rows_per_pass: most responses decoded at once.
        progress: called with (prompts done, prompts in all).

    Raises:
        ValueError: an empty prompt, or `uniforms` that do not fit the prompts.
        FloatingPointError: the model returned NaN.
    """
    if uniforms.ndim != 3 or len(uniforms) != len(prompts):
        raise ValueError(f"uniforms have shape {uniforms.shape}, which does not fit {len(prompts)} prompts")
    if not all(prompts):
        raise ValueError("every prompt needs at least one token")
    found: list[list[Response]] = [[] for _ in prompts]
    # Prompts of like length go together, so that little is padded.
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    size = max(1, rows_per_pass // max(1, uniforms.shape[1]))
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            drawn = _sample_batch(model, [list(prompts[at]) for at in chosen], uniforms[chosen], frozenset(end_token_ids))
            for at, responses in zip(chosen, drawn, strict=True):
                found[at] = responses
            if progress is not None:
                progress(min(start + size, len(order)), len(order))
    return found


def _sample_batch(
    model: Any, prompts: list[list[int]], uniforms: Float64[np.ndarray, "P K L"], ends: frozenset[int]
) -> list[list[Response]]:
    count, each, steps = uniforms.shape
    place = model.device
    decoder = _Decoder(model, prompts, each)
    draws = torch.from_numpy(uniforms.reshape(count * each, steps)).to(place)
    ends_tensor = torch.tensor(sorted(ends), device=place)
    active = torch.arange(count * each, device=place)
    tokens = torch.full((count * each, steps), -1, device=place)
    sums = torch.zeros(count * each, 3, dtype=torch.float64, device=place)  # log-probability, entropy, self-certainty
    logits = decoder.first_logits()
    for step in range(steps):
        chosen, facts = _draw(logits, draws[active, step])
        tokens[active, step] = chosen
        sums[active] += facts
        going = ~torch.isin(chosen, ends_tensor)
        if step + 1 == steps or not bool(going.any()):
            break
        active = active[going]
        logits = decoder.next_logits(chosen[going], going)
    return [
        [_response(tokens[row], sums[row], ends) for row in range(prompt * each, (prompt + 1) * each)] for prompt in range(count)
    ]


def _draw(logits: Float[Tensor, "A V"], uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Token by inverse distribution function, and (log-probability, entropy, self-certainty) of each row in float64."""
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    if not bool(torch.isfinite(logprobs.amax(dim=-1)).all()):
        raise FloatingPointError("the model returned logits that are not numbers")
    probabilities = logprobs.exp()
    cumulative = probabilities.double().cumsum_(dim=-1)
    # Scaling by the total keeps the last token reachable when rounding leaves the sum below 1.
    levels = (uniforms.double() * cumulative[:, -1])[:, None]
    chosen = torch.searchsorted(cumulative, levels, right=True)[:, 0].clamp_(max=logits.shape[-1] - 1)
    own = logprobs.gather(-1, chosen[:, None])[:, 0]
    # Where a probability is exactly 0 its log is -inf: p log p is 0 there, and the clamp keeps self-certainty finite.
    finite = logprobs.clamp_min(-1e4)
    entropy = -(probabilities * finite).sum(-1)
    certainty = -finite.mean(-1) - float(np.log(logits.shape[-1]))
    return chosen, torch.stack([own.double(), entropy.double(), certainty.double()], dim=-1)


def _response(tokens: Tensor, sums: Tensor, ends: frozenset[int]) -> Response:
    ids = tuple(token for token in tokens.tolist() if token >= 0)
    logprob, entropy, certainty = sums.tolist()
    return Response(ids, logprob, ids[-1] in ends, entropy / len(ids), certainty / len(ids))


class _Decoder:
    """Next-token logits of a shrinking batch of rows: each prompt is run once and its cache repeated for its responses.

    Without a usable cache the whole sequence is run again at every step: slower, and the same numbers.
    """

    def __init__(self, model: Any, prompts: list[list[int]], each: int) -> None:
        self._model = model
        place = model.device
        width = max(map(len, prompts))
        ids = torch.zeros(len(prompts), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        self._ids, self._mask = ids.to(place), mask.to(place)
        output = model(
            input_ids=self._ids, attention_mask=self._mask, position_ids=_positions(self._mask), use_cache=True, logits_to_keep=1
        )
        self._cache = getattr(output, "past_key_values", None)
        self._first = output.logits[:, -1].repeat_interleave(each, dim=0)
        if self._cache is not None and not hasattr(self._cache, "batch_repeat_interleave"):
            self._cache = None
        if self._cache is not None:
            self._cache.batch_repeat_interleave(each)
        self._ids = self._ids.repeat_interleave(each, dim=0)
        self._mask = self._mask.repeat_interleave(each, dim=0)

    def first_logits(self) -> Float[Tensor, "A V"]:
        return self._first

    def next_logits(self, tokens: Tensor, kept: Tensor) -> Float[Tensor, "A V"]:
        """Logits after `tokens` were appended to the rows marked in `kept`; the other rows are dropped for good."""
        everyone = bool(kept.all())
        if not everyone:
            self._ids, self._mask = self._ids[kept], self._mask[kept]
        self._ids = torch.cat([self._ids, tokens[:, None]], dim=1)
        self._mask = torch.cat([self._mask, torch.ones_like(tokens)[:, None]], dim=1)
        positions = _positions(self._mask)
        if self._cache is None:
            output = self._model(
                input_ids=self._ids, attention_mask=self._mask, position_ids=positions, use_cache=False, logits_to_keep=1
            )
        else:
            if not everyone:
                self._cache.batch_select_indices(kept.nonzero()[:, 0])
            output = self._model(
                input_ids=self._ids[:, -1:],
                attention_mask=self._mask,
                position_ids=positions[:, -1:],
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[:, -1]


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(-1) - 1).clamp_min(0)
