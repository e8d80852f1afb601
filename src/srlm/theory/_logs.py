"""Arithmetic on logarithms of probabilities: responses of two thousand nats and powers of any size, without a warning.

Knows: log-sum-exp where nothing is possible or all is infinite, and what counts as a log-probability. Refuses to know
what the numbers mean.
"""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result

LARGEST_POWER = 1e150  # S = s^t beyond it changes nothing in floats, and times a logarithm it stays one


def log_probabilities(name: str, value: ArrayLike) -> np.ndarray:
    """`value` (..., M) as float64 in nats, -inf for padding and for what is impossible; rounding above 0 is cut. Below
    -1e100 everything is taken to be impossible, so that no power overflows.

    Raises:
        InputError: names the argument where an entry is nan or above 1e-9, or where it is no array.
    """
    try:
        table = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of log-probabilities; pad shorter rows with -inf") from error
    if table.ndim == 0 or np.isnan(table).any() or (table > 1e-9).any():
        raise InputError(f"{name} must be an array of log-probabilities (..., M), each at most 0")
    return np.where(table < -1e100, -np.inf, np.minimum(table, 0.0))


def log_sum(terms: np.ndarray) -> np.ndarray:
    """log of the sum of exp over the last axis; -inf where it is empty or nothing is possible, inf where a term is."""
    shift = np.nan_to_num(terms.max(axis=-1, initial=-np.inf))
    with np.errstate(divide="ignore", over="ignore"):
        return np.log(np.exp(terms - shift[..., None]).sum(axis=-1)) + shift


def plain(logs: Any) -> Array:
    """exp, and inf beyond the float range."""
    with np.errstate(over="ignore"):
        return result(np.exp(logs))


def round_power(beta: Array, power: Array | None = None) -> float:
    """s = 1 + 1/beta for beta > 0, or the power >= 1 that is given; at most `LARGEST_POWER`."""
    strength = real("beta", beta, 0, open_low=True)
    with np.errstate(over="ignore"):
        s = 1 + 1 / strength if power is None else real("power", power, 1)
    return float(min(s, LARGEST_POWER))


def powers(slope: float, rounds: int) -> list[float]:
    """S_t = s^t for t = 0..T, each at most `LARGEST_POWER`."""
    found = [1.0]
    for _ in range(rounds):
        found.append(min(found[-1] * slope, LARGEST_POWER))
    return found


class Late:
    """A module that is imported when it is first used: scipy takes longer to import than a plan takes to make."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
