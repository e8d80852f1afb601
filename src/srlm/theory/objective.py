"""What a round minimises and what it would reach exactly (docs/theory: setting, sharpening).

Knows: the residual of eq. 3, with free rewards too (P1), its group form (P2), the population optimum (eq. 12-14).
Refuses to know gradients: `residual` and `group_rows` are arithmetic alone, so tensors pass through them unchanged.
beta is the KL strength > 0 everywhere; log-probabilities are in nats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result


def residual(logps: Any, reference_logps: Any, rewards: Any, beta: Any) -> Any:
    """Eq. 3 over beta, in nats: a_i = log pi(y_i) - log pi_t(y_i) - r_i/beta; a pair's residual is a_i - a_j.

    Args:
        logps, reference_logps, rewards: log pi(y_i|x), log pi_t(y_i|x) and r(x, y_i), numpy arrays or tensors of one
            shape. Nothing is converted or checked: gradients are kept, and an array in gives an array.
    """
    return logps - reference_logps - rewards / beta


def group_rows(values: Any, means: Any, sizes: Any) -> Any:
    """P2: rows sqrt(K) * (a_i - mean a), whose squares sum over a group to sum_{i<j} (a_i - a_j)^2 over its pairs.

    Args:
        values: a_i, numbers or vectors, as array or tensor; nothing is converted or checked.
        means: the mean of each entry's group, of a shape that broadcasts.
        sizes: K of each entry's group, likewise.
    """
    return sizes**0.5 * (values - means)


def pair_differences(values: ArrayLike, axis: int = -1) -> np.ndarray:
    """a_i - a_j of every pair i < j along an axis of length K, which becomes K(K-1)/2 long: (0,1), (0,2), ..., (1,2).

    >>> pair_differences([5.0, 3.0, 0.0]).tolist()
    [2.0, 5.0, 3.0]
    """
    entries = np.asarray(values)
    first, second = np.triu_indices(entries.shape[axis], 1)
    return np.take(entries, first, axis) - np.take(entries, second, axis)


def residual_rms(groups: Sequence[ArrayLike]) -> float | None:
    """Root mean square of pair residuals (eq. 3): over the pairs of each group (P2), then over the groups.

    Args:
        groups: `residual` of each prompt's responses, (K,) each; a group without a pair is left out.

    Returns:
        In the unit of the residuals; None where no group has a pair.

    >>> residual_rms([[0.0, 2.0], [7.0]])
    2.0
    """
    means = [float(np.mean(pair_differences(real("groups", one)) ** 2)) for one in groups if np.size(one) > 1]
    return float(np.sqrt(np.mean(means))) if means else None


def self_reward_residual(logps: ArrayLike, reference_logps: ArrayLike, beta: Array) -> Array:
    """P1: a_i = beta*log pi(y_i) - (1+beta)*log pi_t(y_i); a pair's residual in eq. 3 with r_t = log pi_t is a_i - a_j.

    Args:
        logps: log pi(y_i|x), any shape.
        reference_logps: log pi_t(y_i|x) as recorded while sampling, same shape; it is reward and reference at once.

    >>> self_reward_residual(-2.0, -3.0, 1.0)
    4.0
    """
    strength, free = real("beta", beta, 0, open_low=True), real("reference_logps", reference_logps)
    with np.errstate(over="ignore"):
        return result(strength * residual(real("logps", logps), free, 0.0, strength) - free)


def group_loss(logps: ArrayLike, reference_logps: ArrayLike, beta: float) -> float:
    """P2: eq. 3 over all pairs i < j of one prompt's K >= 2 responses, as K * sum_i (a_i - mean a)^2: the sum over the
    K(K-1)/2 pairs of squared residuals, >= 0. Arguments (K,), as `self_reward_residual`.
    """
    scaled = np.atleast_1d(np.asarray(self_reward_residual(logps, reference_logps, beta)))
    if scaled.ndim != 1 or len(scaled) < 2:
        raise InputError(f"logps have shape {np.shape(logps)}; give the K >= 2 responses of one prompt")
    if abs(scaled).max() > 1e150:
        raise InputError(f"logps, reference_logps or beta {beta:g} are too large: a squared residual overflows")
    return float((group_rows(scaled, scaled.mean(), len(scaled)) ** 2).sum())


def sharpen(logprobs: ArrayLike, beta: Array) -> np.ndarray:
    """Eq. 12-14, the population optimum of a round: pi_{t+1}(y|x) proportional to pi_t(y|x)^(1 + 1/beta).

    Never moves a mode (P5), so accuracy ends where the base model's modes are; ties stay ties.

    `logprobs`: (..., M) log pi_t(y|x), -inf for impossible responses (they stay impossible). Returns (..., M) log
    pi_{t+1}(y|x); every row sums to 1.
    """
    table = np.asarray(logprobs, dtype=np.float64)
    if table.ndim == 0 or table.size == 0 or np.isnan(table).any() or (table > 1e-9).any():
        raise InputError("logprobs must hold log-probabilities (..., responses), each at most 0")
    with np.errstate(over="ignore"):  # beyond the float range every power is the limit: the modes alone are left
        power = min(1 + 1 / real("beta", beta, 0, open_low=True), np.finfo(np.float64).max)
    top = table.max(axis=-1, keepdims=True)
    if not np.isfinite(top).all():
        raise InputError("logprobs has a row of impossible responses; each row must sum to 1")
    with np.errstate(over="ignore"):
        scaled = power * (table - top)
    return scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True)
