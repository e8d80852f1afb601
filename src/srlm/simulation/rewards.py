"""Rewards of the laboratory: what a sampled response is worth, for many seeds at once.

Knows: the self-reward of the theory, alone and with noise; any other function of what was drawn is a reward, too.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from srlm.errors import InputError


@dataclass(frozen=True)
class Drawn:
    """One round's samples as a reward sees them. S seeds, G groups, K responses.

    Attributes:
        logps: log pi_t(y|x) of each, (S, G, K).
        prompts: (S, G).
        responses: (S, G, K).
        rngs: one generator a seed, for rewards that are noisy.
    """

    logps: np.ndarray
    prompts: np.ndarray
    responses: np.ndarray
    rngs: tuple[np.random.Generator, ...]


class Reward(Protocol):
    """r(x, y) of every response, (S, G, K)."""

    def __call__(self, drawn: Drawn) -> np.ndarray: ...


@dataclass(frozen=True)
class LogProbability:
    """The self-reward, log pi_t(y|x) (eq. 1)."""

    def __call__(self, drawn: Drawn) -> np.ndarray:
        return drawn.logps


@dataclass(frozen=True)
class Noisy:
    """Another reward plus noise of each response's own.

    Attributes:
        scale: standard deviation (Gaussian), or scale of Student's t with 2 degrees of freedom (heavy: no variance).
        tail: which.
        base: the reward underneath.
    """

    scale: float
    tail: Literal["gaussian", "heavy"] = "gaussian"
    base: Reward = LogProbability()

    def __post_init__(self) -> None:
        if not self.scale >= 0 or self.tail not in ("gaussian", "heavy"):
            raise InputError(f"noise scale is {self.scale} with tail {self.tail!r}; need scale >= 0, gaussian or heavy")

    def __call__(self, drawn: Drawn) -> np.ndarray:
        shape = drawn.logps.shape[1:]
        plain = self.tail == "gaussian"
        noise = [rng.standard_normal(shape) if plain else rng.standard_t(2, shape) for rng in drawn.rngs]
        return self.base(drawn) + self.scale * np.stack(noise)
