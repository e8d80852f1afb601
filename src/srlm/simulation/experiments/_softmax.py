"""What most experiments begin with: a random linear softmax policy of the settings' size, and a simulation from it.

Knows: the names of the settings they share (prompts, responses, dimensions, norm; beta, pairs, rounds, seeds).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.instances import random_softmax
from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.engine import Trajectory, simulate


def start_of(values: Mapping[str, Any], rng: np.random.Generator) -> LinearSoftmaxPolicy:
    """A random start of the size and norm that the settings name."""
    return random_softmax(rng, values["prompts"], values["responses"], values["dimensions"], values["norm"])


def simulated(start: LinearSoftmaxPolicy, values: Mapping[str, Any], seed: int, **more: Any) -> Trajectory:
    """Self-rewarding rounds from `start` as the settings say; `more` goes to `simulate` as it is."""
    return simulate(
        start.features,
        start.theta,
        beta=values["beta"],
        pairs=values["pairs"],
        rounds=values["rounds"],
        seeds=values["seeds"],
        seed=seed,
        **more,
    )
