"""What is left of the base model: its own samples and unrelated text under the policy now.

Knows: log-probabilities of the same tokens under the base model and now, by one numerics. Refuses to know: who scored.
"""

import math
from collections.abc import Sequence

import numpy as np

from srlm.measure.split import finite
from srlm.measure.uncertainty import standard_error
from srlm.records.responses import Rollout
from srlm.records.rounds import RetentionRecord


def retention(
    base_rollouts: Sequence[Rollout],
    base_logprobs_now: Sequence[Sequence[float]],
    text_now: Sequence[float] = (),
    text_base: Sequence[float] = (),
    tokens: int = 0,
) -> RetentionRecord:
    """The record of one round. Of few samples the estimate of KL(pi_0||pi_t) is rough, and blind to responses that the
    base model seldom gives; its standard error is over prompts.

    Args:
        base_rollouts: what the base model drew at some prompts, with log pi_0(y|x).
        base_logprobs_now: log pi_t(y|x) of the same responses (nats), prompt by prompt.
        text_now, text_base: summed log-probabilities (nats) of the passages of a page, now and at round 00.
        tokens: of the page in all.

    Raises:
        ValueError: a prompt, response or passage has no partner.
    """
    ratios = [
        [response.logprob - now for response, now in zip(rollout.responses, of_prompt, strict=True)]
        for rollout, of_prompt in zip(base_rollouts, base_logprobs_now, strict=True)
    ]
    if len(text_now) != len(text_base):
        raise ValueError(f"{len(text_now)} passages now, {len(text_base)} at round 00")
    flat = [ratio for of_prompt in ratios for ratio in of_prompt]
    known = bool(flat) and all(map(math.isfinite, flat))
    return RetentionRecord(
        kl_base=math.fsum(flat) / len(flat) if known else None,
        kl_base_se=standard_error([float(np.mean(of_prompt)) for of_prompt in ratios if of_prompt]) if known else None,
        responses=len(flat),
        text=finite(math.fsum(text_now) / tokens) if tokens else None,
        text_base=finite(math.fsum(text_base) / tokens) if tokens else None,
        tokens=tokens,
    )
