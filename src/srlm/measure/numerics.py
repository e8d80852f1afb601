"""Sampling numerics against training numerics: the same responses scored by both, every round.

Knows: recorded and recomputed log-probabilities. What is recorded while sampling is the reward and the reference (P1);
if the training forward disagrees, the update corrects a difference that no learning made (huggingface/trl 4159, 6789).
Refuses to know: how a model is run.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from srlm.errors import InputError
from srlm.records.numerics import Drift, Parity
from srlm.records.responses import Rollout

# Prompts compared where not all are rescored: enough to see a systematic difference, a small part of a pass.
PROMPTS_COMPARED = 2


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, spread evenly, the first and the last among them."""
    return list(range(count)) if count <= most else sorted({round(at) for at in np.linspace(0, count - 1, most)})


def some_of_every_server(rollouts: Sequence[Rollout]) -> list[int]:
    """Places of the prompts to compare: `PROMPTS_COMPARED` of those at which each server drew; where there are no
    servers, of all.
    """
    drew: dict[str | None, list[int]] = {}
    for at, rollout in enumerate(rollouts):
        drew.setdefault(rollout.server, []).append(at)
    return sorted(places[at] for places in drew.values() for at in spread(len(places), PROMPTS_COMPARED))


def measure_drift(rollouts: Sequence[Rollout], trained: Sequence[Sequence[float]], rescored: bool) -> Drift:
    """Compare what was recorded with what the training forward says of the same responses.

    Args:
        trained: the training forward's log-probability of each response (nats).
        rescored: whether these replace the recorded ones.

    Raises:
        InputError: a log-probability is not a number.
    """
    responses = [response for rollout in rollouts for response in rollout.responses]
    recorded = np.array([response.logprob for response in responses])
    apart = np.array([value for values in trained for value in values]) - recorded
    if not np.isfinite(apart).all():
        raise InputError("the training forward gives log-probabilities that are not numbers; use --dtype float32")
    return Drift(
        responses=len(apart),
        max=float(np.abs(apart).max()),
        mean=float(np.abs(apart).mean()),
        bias=float(apart.mean()),
        rescored=rescored,
        token=float((np.abs(apart) / [max(1, len(response.tokens)) for response in responses]).max()),
    )


def parity_of(drift: Drift | None) -> Parity | None:
    """How far sampling is from training; None where nobody measured it a token."""
    return None if drift is None or drift.token is None else Parity(token=drift.token, response=drift.max)


def require_small(drift: Drift, limit: float | None, round_number: int, served: bool = False) -> None:
    """Refuse to train on log-probabilities that the trainer would not give.

    Args:
        drift: as measured.
        limit: most nats on a response; None: any.
        round_number: which round it is.
        served: the samples come from servers, not from this process.

    Raises:
        InputError: the largest difference exceeds `limit` and nothing was rescored.
    """
    if limit is not None and not drift.rescored and drift.max > limit:
        causes = (
            "; the likeliest causes are a server that tempers or truncates, another base model behind it, an adapter "
            "of another round, or another precision (its --dtype)"
        )
        raise InputError(
            f"round {round_number}: sampling and training disagree by up to {drift.max:.3g} nats on a response "
            f"(mean {drift.mean:.3g}, limit {limit:g}){causes if served else ''}; add --rescore to take the training "
            "forward's values, use --dtype float32, or raise max_drift"
        )


def rescore(rollouts: Sequence[Rollout], trained: Sequence[Sequence[float]]) -> list[Rollout]:
    """The same responses with the training forward's log-probabilities."""
    return [
        replace(one, responses=tuple(r.rescored(value) for r, value in zip(one.responses, values, strict=True)))
        for one, values in zip(rollouts, trained, strict=True)
    ]
