"""Which decay does a spectrum follow: exponential, polynomial, or a spike with a flat tail (theory.md section 5, G.4)?

Knows: eigenvalues in falling order. Each regime is fitted by least squares to log eigenvalues; the fit is then raised
to an envelope that no eigenvalue exceeds, so that the regime's bound on the effective dimension applies to it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from srlm.theory.spectrum import exponential_decay_bound, polynomial_decay_bound, spike_bound

Regime = Literal["A", "B", "C"]
NAMES: Mapping[Regime, str] = {"A": "exponential", "B": "polynomial", "C": "spike and flat tail"}
# A regime that explains less of the log spectrum than this is not said to fit.
GOOD_FIT = 0.95
_FEWEST = 8


@dataclass(frozen=True, slots=True)
class DecayFit:
    """One regime fitted to one spectrum.

    Attributes:
        regime: A: lambda_i <= C e^{-a i}; B: lambda_i <= C i^{-p}; C: k large ones, the rest at most tau.
        parameters: A: scale, rate; B: scale, power; C: rank, level, tail. Scale and tail are those of the envelope.
        r_squared: share of the variance of log eigenvalues that the fit explains; can be negative.
        information: Bayes' information criterion; smaller is better.
        dimension_bound: the regime's bound on the effective dimension at the envelope; None where it does not apply
            (p <= 1).
    """

    regime: Regime
    parameters: Mapping[str, float]
    r_squared: float
    information: float
    dimension_bound: float | None


def fit_decay(eigenvalues: Sequence[float] | NDArray[np.float64], ridge: float, dimension: int) -> list[DecayFit]:
    """Fit the three regimes, best first (by information criterion).

    Args:
        eigenvalues: in falling order; those that are rounding noise left out.
        ridge: lambda > 0, for the bounds.
        dimension: d, all eigenvalues included.

    Returns:
        The fits; none where fewer than 8 eigenvalues are positive, or all are equal.
    """
    values = np.asarray(eigenvalues, dtype=np.float64)
    values = values[values > 0]
    if len(values) < _FEWEST:
        return []
    logs = np.log(values)
    if float(np.ptp(logs)) < 1e-9:
        return []
    index = np.arange(1, len(values) + 1, dtype=np.float64)
    # What the envelopes leave out (eigenvalues below the noise) is bounded by the last one kept.
    rest = max(0, dimension - len(values)) * values[-1] / (ridge + values[-1])
    fits = [
        _exponential(index, logs, ridge, rest),
        _polynomial(index, logs, ridge, rest),
        _spike(values, logs, ridge, dimension),
    ]
    return sorted(fits, key=lambda one: one.information)


def best_fit(fits: Sequence[DecayFit]) -> DecayFit | None:
    """The best of `fit_decay`'s fits where it is good, else None."""
    return fits[0] if fits and fits[0].r_squared >= GOOD_FIT else None


def _exponential(index: NDArray[np.float64], logs: NDArray[np.float64], ridge: float, rest: float) -> DecayFit:
    slope, start = np.polyfit(index, logs, 1)
    rate = -float(slope)
    fitted = start + slope * index
    scale = math.exp(float(start + (logs - fitted).max()))
    bound = exponential_decay_bound(scale, rate, ridge) + rest if rate > 0 else None
    return DecayFit("A", {"scale": scale, "rate": rate}, *_goodness(logs, fitted, 2), bound)


def _polynomial(index: NDArray[np.float64], logs: NDArray[np.float64], ridge: float, rest: float) -> DecayFit:
    slope, start = np.polyfit(np.log(index), logs, 1)
    power = -float(slope)
    fitted = start + slope * np.log(index)
    scale = math.exp(float(start + (logs - fitted).max()))
    bound = polynomial_decay_bound(scale, power, ridge) + rest if power > 1 else None
    return DecayFit("B", {"scale": scale, "power": power}, *_goodness(logs, fitted, 2), bound)


def _spike(values: NDArray[np.float64], logs: NDArray[np.float64], ridge: float, dimension: int) -> DecayFit:
    """Two levels of log eigenvalues, split where the squared error is least."""
    count = np.arange(1, len(logs))
    sums, squares = np.cumsum(logs), np.cumsum(logs**2)
    head = squares[:-1] - sums[:-1] ** 2 / count
    tail = squares[-1] - squares[:-1] - (sums[-1] - sums[:-1]) ** 2 / (len(logs) - count)
    rank = int(np.argmin(head + tail)) + 1
    fitted = np.where(np.arange(len(logs)) < rank, logs[:rank].mean(), logs[rank:].mean())
    highest = float(values[rank])
    parameters = {"rank": float(rank), "level": math.exp(float(logs[:rank].mean())), "tail": highest}
    return DecayFit("C", parameters, *_goodness(logs, fitted, 3), spike_bound(dimension, rank, highest, ridge))


def _goodness(logs: NDArray[np.float64], fitted: NDArray[np.float64], parameters: int) -> tuple[float, float]:
    """R squared and the information criterion of a Gaussian fit."""
    count = len(logs)
    error = float(((logs - fitted) ** 2).sum())
    total = float(((logs - logs.mean()) ** 2).sum())
    # A perfect fit would have an infinite criterion; doubles cannot tell errors below this apart.
    floor = count * (1e-12 * max(1.0, float(np.abs(logs).max()))) ** 2
    return 1 - error / total, count * math.log(max(error, floor) / count) + parameters * math.log(count)
