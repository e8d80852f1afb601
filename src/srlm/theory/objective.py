"""What a round minimises and what it would reach exactly (theory.md sections 1 and 2).

Knows: the residual of eq. 3 with free rewards (P1), its group form (P2), the population optimum (eq. 12-14).
"""

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result


def self_reward_residual(logps: ArrayLike, reference_logps: ArrayLike, beta: Array) -> Array:
    """P1: a_i = beta*log pi(y_i) - (1+beta)*log pi_t(y_i); a pair's residual in eq. 3 with r_t = log pi_t is a_i - a_j.

    Args:
        logps: log pi(y_i|x), any shape, nats.
        reference_logps: log pi_t(y_i|x) as recorded while sampling, same shape; it is reward and reference at once.
        beta: KL strength > 0.

    >>> self_reward_residual(-2.0, -3.0, 1.0)
    4.0
    """
    strength = real("beta", beta, 0, open_low=True)
    return result(strength * real("logps", logps) - (1 + strength) * real("reference_logps", reference_logps))


def group_loss(logps: ArrayLike, reference_logps: ArrayLike, beta: float) -> float:
    """P2: eq. 3 over all pairs i < j of one prompt's K responses, as K * sum_i (a_i - mean a)^2.

    Args:
        logps, reference_logps: (K,), K >= 2, as `self_reward_residual`.
        beta: KL strength > 0.

    Returns:
        The sum over the K(K-1)/2 pairs of squared residuals, >= 0.
    """
    residual = np.atleast_1d(np.asarray(self_reward_residual(logps, reference_logps, beta)))
    if residual.ndim != 1 or len(residual) < 2:
        raise InputError(f"logps have shape {np.shape(logps)}; give the K >= 2 responses of one prompt")
    return float(len(residual) * ((residual - residual.mean()) ** 2).sum())


def sharpen(logprobs: ArrayLike, beta: Array) -> np.ndarray:
    """Eq. 12-14, the population optimum of a round: pi_{t+1}(y|x) proportional to pi_t(y|x)^(1 + 1/beta).

    Never moves a mode (P5), so accuracy ends where the base model's modes are; ties stay ties.

    Args:
        logprobs: (..., M) log pi_t(y|x) in nats, -inf for impossible responses (they stay impossible).
        beta: KL strength > 0, a scalar.

    Returns:
        (..., M) log pi_{t+1}(y|x); every row sums to 1.
    """
    table = np.asarray(logprobs, dtype=np.float64)
    if table.ndim == 0 or table.size == 0 or np.isnan(table).any() or (table > 1e-9).any():
        raise InputError("logprobs must hold log-probabilities (..., responses), each at most 0")
    power = 1 + 1 / float(real("beta", beta, 0, open_low=True))
    top = table.max(axis=-1, keepdims=True)
    if not np.isfinite(top).all():
        raise InputError("logprobs has a row of impossible responses; each row must sum to 1")
    scaled = power * (table - top)
    return scaled - np.logaddexp.reduce(scaled, axis=-1, keepdims=True)
