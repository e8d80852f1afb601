"""What T rounds guarantee: theorem 5.3, corollary 5.7, theorem 6.2 (docs/theory: iterating, linear-softmax).

Knows: the bounds' values, whether they say anything, and how tight they are against a measured value.
"""

from dataclasses import dataclass

import numpy as np

from srlm.theory._domain import Array, real, result
from srlm.theory.contraction import statistical_error


@dataclass(frozen=True, slots=True)
class FailureBound:
    """A high-probability upper bound on a failure rate, up to the universal constant C (an argument, 1 unless said).

    Attributes:
        value: the bound; above 1 it says nothing.
        vacuous: value >= 1.
        stable_term: the part that stays, 1/sqrt(c) times the prefactor.
        transient_term: the part that the start kappa_0 leaves, forgotten exponentially fast.
        tightness: bound / measured, None where nothing was measured (or the measured rate is 0).
    """

    value: Array
    vacuous: Array
    stable_term: Array
    transient_term: Array
    tightness: Array | None = None


def failure_bound(
    kappa0: Array,
    pairs: Array,
    log_class_size: Array,
    *,
    margin: Array = 1.0,
    min_confidence: Array = 0.5,
    mass_slack: Array = 0.5,
    rho: Array = 0.05,
    rounds: Array = 1,
    constant: float = 1.0,
    measured: Array | None = None,
) -> FailureBound:
    """Theorem 5.3 (eq. 7), beta of order n^(-1/2), with probability at least 1 - rho:

    fail_T(delta) <= C*log(n|Pi|/rho)/(gamma*delta*sqrt(n)) * (1/sqrt(c) + sqrt(kappa_0)/(1 + sqrt(n c))^((T-1)/2)).

    Decreasing in T, gamma, delta and c; increasing in kappa_0 and log|Pi|. Assumptions (trusted): realizability, a
    margin gamma > 0 in every round, c a lower bound on the mode's probability. c over rounds t >= 1 makes the transient
    informative; over all rounds kappa_0 <= 1/c and the transient never exceeds the stable term.

    Args:
        kappa0: kappa_0 >= 1.
        pairs: n >= 1 per round.
        log_class_size: log|Pi| >= 0 in nats.
        margin: gamma > 0.
        min_confidence: c in (0, 1].
        mass_slack: delta in (0, 1).
        rho: in (0, 1).
        rounds: T >= 1.
        constant: C > 0.
        measured: a measured failure rate in [0, 1], for the tightness.
    """
    start, n = real("kappa0", kappa0, 1), real("pairs", pairs, 1)
    gamma, c = real("margin", margin, 0, open_low=True), real("min_confidence", min_confidence, 0, 1, open_low=True)
    slack = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True)
    last = real("rounds", rounds, 1)
    error = np.asarray(statistical_error(n, log_class_size, rho, constant))
    with np.errstate(over="ignore"):
        front = error / (gamma * slack)
        stable = front / np.sqrt(c)
        transient = front * np.exp(0.5 * np.log(start) - 0.5 * (last - 1) * np.log1p(np.sqrt(n * c)))
        value = stable + transient
    tightness = None
    if measured is not None:
        rate = real("measured", measured, 0, 1)
        with np.errstate(divide="ignore"):
            tightness = result(value / rate)
    return FailureBound(result(value), np.asarray(value >= 1)[()], result(stable), result(transient), tightness)


def beta_of_order(pairs: Array, scale: Array = 1.0) -> Array:
    """scale * n^(-1/2), the order of beta for which theorem 5.3 holds: beta*log(kappa) then falls with n like eps_stat.

    Args:
        pairs: n >= 1 pairs a round, those of identical responses included (P2).
        scale: > 0.

    >>> beta_of_order(9, 3.0)
    1.0
    """
    return result(real("scale", scale, 0, open_low=True) / np.sqrt(real("pairs", pairs, 1)))


def rounds_to_suppress(kappa0: Array, pairs: Array, min_confidence: Array) -> Array:
    """Corollary 5.7: the transient is at most the stable term as soon as T >= 1 + log(c*kappa_0)/log(1 + sqrt(n c)).

    Args:
        kappa0: kappa_0 >= 1.
        pairs: n >= 1.
        min_confidence: c in (0, 1].

    Returns:
        The smallest such integer T >= 1 (as a float array for arrays).
    """
    start, n = real("kappa0", kappa0, 1), real("pairs", pairs, 1)
    c = real("min_confidence", min_confidence, 0, 1, open_low=True)
    needed = 1 + (np.log(c) + np.log(start)) / np.log1p(np.sqrt(n * c))
    return result(np.maximum(1.0, np.ceil(needed - 1e-12)))


def stable_failure_bound(
    pairs: Array,
    log_class_size: Array,
    *,
    margin: Array,
    min_confidence: Array,
    mass_slack: Array,
    rho: Array,
    constant: float = 1.0,
) -> Array:
    """Corollary 5.7: from `rounds_to_suppress` rounds on, fail <= 2C*log(n|Pi|/rho)/(gamma*delta*sqrt(n c)).

    Args: as `failure_bound`.
    """
    error = np.asarray(statistical_error(pairs, log_class_size, rho, constant))
    gamma, c = real("margin", margin, 0, open_low=True), real("min_confidence", min_confidence, 0, 1, open_low=True)
    slack = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True)
    return result(2 * error / (gamma * slack * np.sqrt(c)))


def linear_softmax_log_class_size(dimension: Array, radius: Array, pairs: Array) -> Array:
    """Theorem 6.2: log|Pi| is replaced by d*log(1 + 4*B*n), the covering number at eps = 1/n.

    Args:
        dimension: d > 0; d_lambda in its place gives corollaries 6.4, G.5 and G.6.
        radius: B > 0.
        pairs: n >= 1.
    """
    d, b = real("dimension", dimension, 0, open_low=True), real("radius", radius, 0, open_low=True)
    return result(d * np.log1p(4 * b * real("pairs", pairs, 1)))
