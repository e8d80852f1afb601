"""What a policy's own mode probabilities say about it (theory.md section 1).

Knows: the definitions of kappa, failure rate, margin and minimum confidence, on arrays of log-probabilities.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import real


@dataclass(frozen=True, slots=True)
class Conditioning:
    """How concentrated a policy is over its prompts; see the functions of the same names."""

    policy_condition_number: float
    log_policy_condition_number: float
    failure_rate: float
    min_confidence: float
    margin: float


def log_policy_condition_number(mode_logprobs: ArrayLike, weights: ArrayLike | None = None) -> float:
    """log kappa, kappa = E_x[1/pi(y*|x)] ([W] eq. 5); finite where kappa itself overflows.

    Args:
        mode_logprobs: (P,) log pi(y*(x)|x) in nats, each <= 0.
        weights: (P,) prompt probabilities, >= 0, positive sum; normalised here. Default: uniform.

    Raises:
        InputError: an argument outside its domain, or no prompts.
    """
    logprobs, share = _checked(mode_logprobs, weights)
    with np.errstate(divide="ignore"):
        return max(0.0, float(np.logaddexp.reduce(np.log(share) - logprobs)))


def policy_condition_number(mode_logprobs: ArrayLike, weights: ArrayLike | None = None) -> float:
    """kappa = E_x[1/pi(y*|x)] ([W] eq. 5), >= 1; 1 means deterministic. inf where it exceeds the float range.

    Args, Raises: as `log_policy_condition_number`.

    >>> round(policy_condition_number(np.log([0.5, 0.25])), 12)
    3.0
    """
    with np.errstate(over="ignore"):
        return float(np.exp(log_policy_condition_number(mode_logprobs, weights)))


def failure_rate(mode_logprobs: ArrayLike, mass_slack: float = 0.5, weights: ArrayLike | None = None) -> float:
    """fail(pi) = P_x(pi(y*(x)|x) <= 1 - delta).

    Args:
        mode_logprobs, weights: as `log_policy_condition_number`.
        mass_slack: delta in (0, 1).
    """
    logprobs, share = _checked(mode_logprobs, weights)
    slack = float(real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True))
    return float(share[np.exp(logprobs) <= 1 - slack].sum())


def condition(logprobs: ArrayLike, mass_slack: float = 0.5, weights: ArrayLike | None = None) -> Conditioning:
    """All of it from a table of log-probabilities.

    Args:
        logprobs: (P, M) log pi(y|x) in nats, -inf for impossible responses; every row sums to 1 within 1e-6.
        mass_slack, weights: as in `failure_rate`.

    Returns:
        The conditioning; the margin is inf where every prompt has a single possible response.

    Raises:
        InputError: rows that are not distributions.
    """
    table = np.asarray(logprobs, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or np.isnan(table).any() or (table > 1e-9).any():
        raise InputError("logprobs must be a table (prompts, responses) of log-probabilities, each at most 0")
    totals = np.logaddexp.reduce(table, axis=1)
    worst = int(np.abs(totals).argmax())
    if abs(totals[worst]) > 1e-6:
        raise InputError(f"row {worst} of logprobs sums to {math.exp(totals[worst]):g}, not 1")
    ordered = np.sort(table, axis=1)
    modes = np.minimum(ordered[:, -1], 0.0)
    margin = float((modes - ordered[:, -2]).min()) if table.shape[1] > 1 else math.inf
    return Conditioning(
        policy_condition_number(modes, weights),
        log_policy_condition_number(modes, weights),
        failure_rate(modes, mass_slack, weights),
        math.exp(modes.min()),
        margin,
    )


def _checked(mode_logprobs: ArrayLike, weights: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    logprobs = np.atleast_1d(real("mode_logprobs", mode_logprobs, -np.inf, 0))
    if logprobs.size == 0:
        raise InputError("mode_logprobs is empty; give at least one prompt")
    share = np.ones_like(logprobs) if weights is None else real("weights", weights, 0)
    if share.shape != logprobs.shape or share.sum() <= 0:
        raise InputError(f"weights have shape {share.shape} for {logprobs.shape} prompts, or sum to 0")
    return logprobs, share / share.sum()
