"""Which decay does a spectrum follow: exponential, polynomial, or a spike with a flat tail (lemma G.4)?

Knows: eigenvalues in falling order. Each regime is fitted by least squares to log eigenvalues; the fit is then raised
to an envelope that no eigenvalue exceeds, so that the regime's bound on the effective dimension applies to it. Refuses
to know: which matrix they belong to.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from srlm.records.spectra import DecayFit, Regime
from srlm.theory.spectrum import exponential_decay_bound, polynomial_decay_bound, spike_bound

NAMES: Mapping[Regime, str] = {"A": "exponential", "B": "polynomial", "C": "spike and flat tail"}
# A regime that explains less of the log spectrum than this is not said to fit.
GOOD_FIT = 0.95
_FEWEST = 8


def fit_decay(eigenvalues: Sequence[float] | NDArray[np.float64], ridge: float, dimension: int) -> list[DecayFit]:
    """Fit the three regimes, best first (by information criterion), to eigenvalues in falling order, rounding noise
    left out; `ridge`, lambda > 0, is for the bounds, d counts all eigenvalues. No fits where fewer than 8 are positive,
    or all are equal.
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

    def exponential(scale: float, rate: float) -> float | None:
        return exponential_decay_bound(scale, rate, ridge) + rest if rate > 0 else None

    def polynomial(scale: float, power: float) -> float | None:
        return polynomial_decay_bound(scale, power, ridge) + rest if power > 1 else None

    fits = [
        _straight("A", "rate", index, logs, exponential),
        _straight("B", "power", np.log(index), logs, polynomial),
        _spike(values, logs, ridge, dimension),
    ]
    return sorted(fits, key=lambda one: one.information)


def best_fit(fits: Sequence[DecayFit]) -> DecayFit | None:
    """The best of `fit_decay`'s fits where it is good, else None."""
    return fits[0] if fits and fits[0].r_squared >= GOOD_FIT else None


def _straight(
    regime: Regime,
    fall: str,
    axis: NDArray[np.float64],
    logs: NDArray[np.float64],
    bound: Callable[[float, float], float | None],
) -> DecayFit:
    """A straight line through log eigenvalues over `axis`, raised to the envelope; `fall` names its slope downwards."""
    slope, start = np.polyfit(axis, logs, 1)
    fitted = start + slope * axis
    scale = math.exp(float(start + (logs - fitted).max()))
    return _fit(regime, {"scale": scale, fall: -float(slope)}, logs, fitted, bound(scale, -float(slope)))


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
    return _fit("C", parameters, logs, fitted, spike_bound(dimension, rank, highest, ridge))


def _fit(
    regime: Regime,
    parameters: dict[str, float],
    logs: NDArray[np.float64],
    fitted: NDArray[np.float64],
    bound: float | None,
) -> DecayFit:
    """The fit with its R squared and the information criterion of Gaussian errors."""
    count = len(logs)
    error = float(((logs - fitted) ** 2).sum())
    total = float(((logs - logs.mean()) ** 2).sum())
    # A perfect fit would have an infinite criterion; doubles cannot tell errors below this apart.
    floor = count * (1e-12 * max(1.0, float(np.abs(logs).max()))) ** 2
    return DecayFit(
        regime=regime,
        name=NAMES[regime],
        parameters=parameters,
        r_squared=1 - error / total,
        information=count * math.log(max(error, floor) / count) + len(parameters) * math.log(count),
        effective_dimension_bound=bound,
    )
