"""Domains of arguments: outside them a clear sentence, never a propagated NaN.

Knows: how a numeric argument is checked and described.
"""

from typing import Any

import numpy as np

from srlm.errors import InputError

Array = Any  # a float or an array of floats; results have the broadcast shape

ROUNDING = 1e-6  # of sums in float32: no further from 0 a logarithm may be taken for 0, from 1 a sum for 1


def real(
    name: str,
    value: Array,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
    infinite: bool = False,
) -> np.ndarray:
    """`value` as float64, every entry in the interval, and finite unless `infinite` lets an infinite end in.

    Raises:
        InputError: names the argument, the first offending value and the interval.
    """
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {value!r}; give a number") from error
    below = found <= low if open_low else found < low
    above = found >= high if open_high else found > high
    wrong = (np.isnan(found) if infinite else ~np.isfinite(found)) | below | above
    if wrong.any():
        first = found[wrong].flat[0] if found.ndim else float(found)
        left = "(" if open_low or low == -np.inf else "["
        right = ")" if open_high or high == np.inf else "]"
        raise InputError(
            f"{name} is {first:g}; it must {'' if infinite else 'be finite and '}lie in {left}{low:g}, {high:g}{right}"
        )
    return found


def whole(name: str, value: Any, low: int, high: float = np.inf) -> int:
    """`value` as an integer in [low, high].

    Raises:
        InputError: as `real`, and where it is no whole number.
    """
    number = float(real(name, value, low, high))
    if number != int(number):
        raise InputError(f"{name} is {value}; it must be a whole number, at least {low}")
    return int(number)


def result(value: Any) -> Any:
    """A float (or bool) where everything was scalar, else the array."""
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array
