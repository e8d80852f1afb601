"""What a policy's own mode probabilities say about it (docs/theory: setting).

Knows: the definitions of kappa, failure rate, margin and minimum confidence, on arrays of log-probabilities; all but
the margin are monotone in them, so a bracket is two calls. Refuses to know where the log-probabilities come from.

Arguments: mode_logprobs, or logprobs of one response a prompt: (..., P) log pi(y*(x)|x) in nats, each <= 0 (up to 1e-6
above counts as 0: rounding), -inf where nothing is known of the mode, which makes kappa infinite; weights: (P,) prompt
probabilities, >= 0, positive sum, normalised here, by default uniform; mass_slack: delta in (0, 1). Results are (...),
a float for one row of prompts. An argument outside its domain, or no prompts, raises `InputError`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import ROUNDING, Array, real, result


@dataclass(frozen=True, slots=True)
class Conditioning:
    """How concentrated a policy is over its prompts; see the functions of the same names."""

    policy_condition_number: float
    log_policy_condition_number: float
    failure_rate: float
    min_confidence: float
    margin: float


def log_policy_condition_number(mode_logprobs: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """log kappa, kappa = E_x[1/pi(y*|x)] (eq. 5); finite where kappa itself overflows.

    Falling in every entry, like failure rate and unlike confidence: with brackets of log pi(y*|x) the upper ends give
    the lower end of kappa and the lower ends its upper end.
    """
    logprobs, share = checked(mode_logprobs, weights)
    return result(np.maximum(0.0, log_mean_exp(-logprobs, share)))


def policy_condition_number(mode_logprobs: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """kappa = E_x[1/pi(y*|x)] (eq. 5), >= 1; 1 means deterministic. inf where it exceeds the float range. It is the
    mean number of samples until the mode is seen once.

    >>> round(policy_condition_number(np.log([0.5, 0.25])), 12)
    3.0
    """
    with np.errstate(over="ignore"):
        return result(np.exp(log_policy_condition_number(mode_logprobs, weights)))


def mode_fails(mode_logprobs: ArrayLike, mass_slack: float = 0.5) -> np.ndarray:
    """The event of the failure rate, prompt by prompt: pi(y*(x)|x) <= 1 - delta, (..., P) booleans."""
    slack = float(real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True))
    return np.exp(checked(mode_logprobs, None)[0]) <= 1 - slack


def failure_rate(mode_logprobs: ArrayLike, mass_slack: float = 0.5, weights: ArrayLike | None = None) -> Array:
    """fail(pi) = P_x(pi(y*(x)|x) <= 1 - delta), the share of `mode_fails`."""
    fails, (_, share) = mode_fails(mode_logprobs, mass_slack), checked(mode_logprobs, weights)
    return result(fails.mean(axis=-1) if share is None else fails @ share)


def log_min_confidence(mode_logprobs: ArrayLike) -> Array:
    """log of the minimum confidence min_x pi(y*(x)|x) (definition 5.2, one round); rising in every entry."""
    return result(checked(mode_logprobs, None)[0].min(axis=-1))


def log_mean_exp(values: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """log of the mean of exp(values) over the last axis, without overflow; -inf counts as 0 and inf as infinite.

    Args:
        values: (..., P), never NaN.
        weights: (P,) with sum 1. Default: uniform.

    >>> round(log_mean_exp([-np.inf, 2000.0, 2000.0, -np.inf]), 10)
    1999.3068528194
    """
    logs = np.asarray(values, dtype=np.float64)
    if weights is not None:
        logs = np.where(np.asarray(weights) > 0, logs, -np.inf)
    top = np.nan_to_num(logs.max(axis=-1, keepdims=True))
    with np.errstate(divide="ignore", over="ignore"):
        terms = np.exp(logs - top)
        mean = terms.mean(axis=-1) if weights is None else terms @ np.asarray(weights)
        return result(top[..., 0] + np.log(mean))


def mean_probability(logprobs: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """E_x[pi(y(x)|x)] of one response a prompt: of the right ones, the accuracy of a sample."""
    logs, share = checked(logprobs, weights)
    return result(np.exp(logs).mean(axis=-1) if share is None else np.exp(logs) @ share)


def log_mass(logprobs: ArrayLike) -> Array:
    """log of the total probability of distinct responses, (..., M) -> (...), at most 0 up to rounding."""
    logs = np.atleast_1d(np.asarray(logprobs, dtype=np.float64))
    return result(log_mean_exp(logs) + np.log(logs.shape[-1]))


def from_log(log_value: float) -> float | None:
    """exp(log_value) for a record that gives the logarithm beside it: None where a float cannot hold it.

    >>> from_log(0.0), from_log(-np.inf), from_log(710.0), from_log(-746.0)
    (1.0, 0.0, None, None)
    """
    if log_value == -np.inf:
        return 0.0
    with np.errstate(over="ignore", under="ignore"):
        value = float(np.exp(log_value))
    return value if 0 < value < np.inf else None


def condition(logprobs: ArrayLike, mass_slack: float = 0.5, weights: ArrayLike | None = None) -> Conditioning:
    """All of it from a table of log-probabilities.

    Args:
        logprobs: (P, M) log pi(y|x) in nats, -inf for impossible responses; every row sums to 1 within 1e-6.

    Returns:
        The conditioning; the margin is inf where every prompt has a single possible response.
    """
    table = np.asarray(logprobs, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or np.isnan(table).any() or (table > 1e-9).any():
        raise InputError("logprobs must be a table (prompts, responses) of log-probabilities, each at most 0")
    totals = np.logaddexp.reduce(table, axis=1)
    worst = int(np.abs(totals).argmax())
    if abs(totals[worst]) > ROUNDING:
        raise InputError(f"row {worst} of logprobs sums to {math.exp(totals[worst]):g}, not 1")
    ordered = np.sort(table, axis=1)
    modes = ordered[:, -1]
    margin = float((modes - ordered[:, -2]).min()) if table.shape[1] > 1 else math.inf
    return Conditioning(
        policy_condition_number(modes, weights),
        log_policy_condition_number(modes, weights),
        failure_rate(modes, mass_slack, weights),
        float(np.exp(log_min_confidence(modes))),
        margin,
    )


def checked(mode_logprobs: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray | None]:
    """(mode_logprobs at most 0, weights with sum 1 or None for uniform ones)."""
    logprobs = np.atleast_1d(real("mode_logprobs", mode_logprobs, infinite=True))
    if logprobs.size == 0:
        raise InputError("mode_logprobs is empty; give at least one prompt")
    cut = np.where(logprobs <= ROUNDING, np.minimum(logprobs, 0.0), logprobs)
    logprobs = real("mode_logprobs", cut, high=0, infinite=True)
    if weights is None:
        return logprobs, None
    share = real("weights", weights, 0)
    if share.shape != logprobs.shape[-1:] or share.max() <= 0:
        raise InputError(f"weights have shape {share.shape} for {logprobs.shape[-1]} prompts, or sum to 0")
    share = share / share.max()  # the sum of large weights would leave the float range
    return logprobs, share / share.sum()
