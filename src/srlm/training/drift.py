"""Sampling numerics against training numerics: the same responses scored by both, every round.

Knows: recorded and recomputed log-probabilities. What is recorded while sampling is the reward and the reference (P1);
if the training forward disagrees, the update corrects a difference that no learning made (huggingface/trl 4159, 6789).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from srlm.errors import InputError
from srlm.lm.sampling import Response

# Responses compared where not all are rescored: enough to see a systematic difference, a small part of a pass.
PROMPTS_COMPARED = 2


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the two numerics are apart, in nats a response.

    Attributes:
        responses: how many were compared.
        largest, mean: of the absolute differences.
        bias: mean of trained minus sampled; near 0 where the difference is rounding.
        rescored: whether the training forward's values replaced the recorded ones.
    """

    responses: int
    largest: float
    mean: float
    bias: float
    rescored: bool

    def as_json(self) -> dict[str, Any]:
        """The drift as it stands in `metrics.json`."""
        return {
            "responses": self.responses,
            "max": self.largest,
            "mean": self.mean,
            "bias": self.bias,
            "rescored": self.rescored,
        }


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, spread evenly, the first and the last among them."""
    return list(range(count)) if count <= most else sorted({round(at) for at in np.linspace(0, count - 1, most)})


def measure_drift(sampled: Sequence[Sequence[Response]], trained: Sequence[Sequence[float]], rescored: bool) -> Drift:
    """Compare what was recorded with what the training forward says of the same responses.

    Args:
        sampled: the responses of each prompt compared.
        trained: the training forward's log-probability of each (nats).
        rescored: whether these replace the recorded ones.

    Raises:
        InputError: a log-probability is not a number.
    """
    recorded = np.array([response.logprob for responses in sampled for response in responses])
    again = np.array([value for values in trained for value in values])
    apart = again - recorded
    if not np.isfinite(apart).all():
        raise InputError("the training forward gives log-probabilities that are not numbers; use --dtype float32")
    return Drift(len(apart), float(np.abs(apart).max()), float(np.abs(apart).mean()), float(apart.mean()), rescored)


def require_small(drift: Drift, limit: float | None, round_number: int) -> None:
    """Refuse to train on log-probabilities that the trainer would not give.

    Raises:
        InputError: the largest difference exceeds `limit` and nothing was rescored.
    """
    if limit is not None and not drift.rescored and drift.largest > limit:
        raise InputError(
            f"round {round_number}: sampling and training disagree by up to {drift.largest:.3g} nats on a response "
            f"(mean {drift.mean:.3g}, limit {limit:g}); add --rescore to take the training forward's values, use "
            "--dtype float32, or raise max_drift"
        )


def rescore(samples: Sequence[Sequence[Response]], trained: Sequence[Sequence[float]]) -> list[list[Response]]:
    """The same responses with the training forward's log-probabilities."""
    return [
        [replace(response, logprob=value) for response, value in zip(responses, values, strict=True)]
        for responses, values in zip(samples, trained, strict=True)
    ]
