"""How far a quantity would move with other prompts of the same kind: the bootstrap.

Knows: arrays with one entry a prompt. Refuses to know: what a search did not prove; that is a `Bracket`, never mixed
with an `Interval`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from srlm import theory
from srlm.records.bracket import Interval


def bootstrap(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    generator: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Percentile interval of a statistic of prompts under resampling of the prompts.

    Args:
        values: (P, ...) one entry a prompt, P >= 1.
        statistic: (R, P, ...) resampled values -> (R,).
        generator: draws the resamples.
        level: confidence in (0, 1).
        resamples: R.

    Returns:
        The interval; a single point where there is a single prompt, which is no evidence of certainty.
    """
    chosen = generator.integers(0, len(values), (resamples, len(values)))
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(statistic(values[chosen]), [tail, 100 - tail])
    return Interval(lower=float(low), upper=float(high), level=level)


def mean_of(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over prompts of every resample, for `bootstrap`."""
    return resampled.mean(axis=1)


def log_kappa_of(resampled_logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
    """log kappa of every resample of log pi(y*|x), for `bootstrap`."""
    return np.asarray(theory.log_policy_condition_number(resampled_logprobs))
