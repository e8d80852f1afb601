"""How far a quantity would move with other prompts of the same kind: Clopper-Pearson, the bootstrap, and
pairs of runs.

Knows: arrays with one entry a prompt. Refuses to know: what a search did not prove; that is a `Bracket`, never mixed
with an `Interval`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from srlm import theory
from srlm.records.bracket import Interval

LEVEL = 0.95
_Z = 1.959963984540054  # the normal quantile of LEVEL, both sides
_RESAMPLES = 2000
# Beyond so many prompts a mean is as good as normal, and resampling would cost what it does not add.
_MANY = 500


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
        level: confidence in (0, 1).

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


def over_prompts(values: Sequence[float | bool | None]) -> Interval | None:
    """95 % interval of a mean over prompts of the same kind.

    Where every value is 0 or 1 the mean is a share of prompts: Clopper-Pearson, which holds for every number of
    prompts, and is wide where they are few, also when all agree. Fractions of a prompt's samples and probabilities: the
    percentile bootstrap with a fixed seed, so that a resumed run writes the same numbers; beyond 500 prompts the normal
    interval. Prompts are the independent units, never responses.

    Args:
        values: one a prompt, in [0, 1]; None where unknown.

    Returns:
        None where nothing is known.
    """
    known = np.array([float(value) for value in values if value is not None])
    count = len(known)
    if not count:
        return None
    if np.isin(known, (0.0, 1.0)).all():
        right, tail = int(known.sum()), (1 - LEVEL) / 2
        low, high = (
            1 - float(theory.held_out_failure_bound(count - right, count, tail)),
            float(theory.held_out_failure_bound(right, count, tail)),
        )
        return Interval(lower=low, upper=high, level=LEVEL)
    if count <= _MANY:
        return bootstrap(known, mean_of, np.random.default_rng(0), level=LEVEL, resamples=_RESAMPLES)
    middle, reach = float(known.mean()), _Z * (standard_error(known.tolist()) or 0.0)
    return Interval(lower=max(0.0, middle - reach), upper=min(1.0, middle + reach), level=LEVEL)


@dataclass(frozen=True, slots=True)
class Paired:
    """Two runs at the prompts that both have.

    Attributes:
        prompts: how many.
        difference: mean of the second one's values minus the first one's.
        interval: of it, over prompts of the same kind, at 95 %.
        gained, lost: prompts that are right in the second one only, and in the first one only; None of shares.
        p_value: McNemar's exact test that both are as likely; None of shares.
    """

    prompts: int
    difference: float
    interval: Interval
    gained: int | None = None
    lost: int | None = None
    p_value: float | None = None


def paired(first: Sequence[float | bool], second: Sequence[float | bool]) -> Paired | None:
    """The difference of two means over the same prompts; None without a prompt.

    Right or wrong: the interval of Bonett and Price (2012), which holds where few prompts differ, and McNemar's exact
    test. Shares of a prompt's samples: the bootstrap over prompts.

    >>> paired([True, True, False, False], [True, False, True, True]).difference
    0.25
    """
    one, other = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    if not len(one):
        return None
    change, count = other - one, len(one)
    if not np.isin([one, other], (0.0, 1.0)).all():
        interval = bootstrap(change, mean_of, np.random.default_rng(0), level=LEVEL, resamples=_RESAMPLES)
        return Paired(count, float(change.mean()), interval)
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    up, down = (gained + 1) / (count + 2), (lost + 1) / (count + 2)
    reach = _Z * math.sqrt((up + down - (up - down) ** 2) / (count + 2))
    interval = Interval(lower=max(-1.0, up - down - reach), upper=min(1.0, up - down + reach), level=LEVEL)
    p_value = min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))
    return Paired(count, float(change.mean()), interval, gained, lost, p_value)


def standard_error(values: Sequence[float | None]) -> float | None:
    """Of the mean of the known values over prompts; None for fewer than two."""
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else None
