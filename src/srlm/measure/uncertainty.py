"""Two uncertainties that are never mixed: what the mode search did not prove, and which prompts happened to be asked.

Knows: arrays with one entry a prompt. A `Bracket` says between which two ends a quantity of THESE prompts lies, with
certainty; an `Interval` says how far it would move with other prompts of the same kind, with a stated confidence.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# exp of more than this overflows a double.
_LARGEST_LOG = 700.0


@dataclass(frozen=True, slots=True)
class Bracket:
    """Certified ends of a quantity of the prompts at hand; equal where every mode is proved."""

    lower: float
    upper: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {"lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentile bootstrap interval over prompts; `level` is its confidence. It says nothing about the search."""

    lower: float
    upper: float
    level: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {"lower": self.lower, "upper": self.upper, "level": self.level}


@dataclass(frozen=True, slots=True)
class ModeStatistics:
    """kappa, failure rate and minimum confidence of the prompts at hand (theory.md section 1).

    Attributes:
        kappa: E_x[1/pi(y*|x)], its ends cut at exp(700), which `log_kappa` is not.
        log_kappa: its natural logarithm.
        failure_rate: share of prompts with pi(y*|x) <= 1 - mass_slack.
        min_confidence: min_x pi(y*|x); may underflow to 0, which `log_min_confidence` does not.
        log_min_confidence: its natural logarithm.
    """

    kappa: Bracket
    log_kappa: Bracket
    failure_rate: Bracket
    min_confidence: Bracket
    log_min_confidence: Bracket


def mode_statistics(lower: NDArray[np.float64], upper: NDArray[np.float64], mass_slack: float = 0.5) -> ModeStatistics:
    """Brackets of the policy's condition from brackets of log pi(y*|x).

    Args:
        lower, upper: (P,) ends of the bracket of every prompt (nats, at most 0), P >= 1.
        mass_slack: delta in (0, 1).
    """
    log_kappa = Bracket(_log_mean_exp(-upper), _log_mean_exp(-lower))
    least = Bracket(float(lower.min()), float(upper.min()))
    return ModeStatistics(
        Bracket(exp(log_kappa.lower), exp(log_kappa.upper)),
        log_kappa,
        Bracket(float(np.mean(np.exp(upper) <= 1 - mass_slack)), float(np.mean(np.exp(lower) <= 1 - mass_slack))),
        Bracket(math.exp(least.lower), math.exp(least.upper)),
        least,
    )


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
    found = statistic(values[chosen])
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(found, [tail, 100 - tail])
    return Interval(float(low), float(high), level)


def mean_of(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over prompts of every resample, for `bootstrap`."""
    return resampled.mean(axis=1)


def log_kappa_of(resampled_logprobs: NDArray[np.float64]) -> NDArray[np.float64]:
    """log kappa of every resample of log pi(y*|x), for `bootstrap`."""
    return np.logaddexp.reduce(-resampled_logprobs, axis=1) - math.log(resampled_logprobs.shape[1])


def share(outcomes: Sequence[bool | float | None]) -> float | None:
    """Mean of the known outcomes, None where none is known."""
    known = [float(outcome) for outcome in outcomes if outcome is not None]
    return math.fsum(known) / len(known) if known else None


def exp(value: float) -> float:
    """exp(value), cut where a double ends."""
    return math.exp(min(value, _LARGEST_LOG))


def _log_mean_exp(values: NDArray[np.float64]) -> float:
    return float(np.logaddexp.reduce(values) - math.log(len(values)))
