"""What T rounds guarantee: theorem 5.3, corollary 5.7, eq. 43 at any beta, theorem 6.2 (docs/theory: iterating,
linear-softmax).

Knows: the rates' values, whether they say anything, and how tight they are against a measured value. Refuses to know
the constant C, and to divide nats by nothing: the margin is in nats, so C is taken times the range of the rewards.

Arguments, numbers or arrays that broadcast: kappa0 >= 1; pairs: n >= 1 a round; log_class_size: log|Pi| >= 0 in nats;
margin: gamma > 0 in nats; min_confidence: c in (0, 1]; mass_slack: delta in (0, 1); rho in (0, 1); rounds: T >= 1;
constant: C > 0, not known, 1 unless said; reward_range: R >= gamma, the range of the rewards in nats (their clipping
level), by default the larger of 1 and gamma: only R/gamma is free of units. Outside its domain an argument raises
`InputError`.
"""

from dataclasses import dataclass

import numpy as np

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result, whole
from srlm.theory.contraction import failure_coefficient, statistical_error
from srlm.theory.rates import UpperRate


@dataclass(frozen=True, slots=True)
class RoundsRate(UpperRate):
    """Theorem 5.3 in its two terms.

    Attributes:
        stable_term: the part that stays, 1/sqrt(c) times the prefactor.
        transient_term: the part that the start kappa_0 leaves, forgotten exponentially fast.
        tightness: value / measured; inf where the measured rate is 0, None where nothing was measured.
    """

    stable_term: Array
    transient_term: Array
    tightness: Array | None = None


@dataclass(frozen=True, slots=True)
class BetaRate(UpperRate):
    """Eq. 43 along the recurrence, for a beta of any size.

    Attributes:
        sampling_term: eps_stat*sqrt(kappa)/(gamma*delta), which pairs lower.
        beta_term: beta*log(kappa)/(gamma*delta).
        without_sampling: the value as n grows and beta stays.
        pairs_help: without_sampling < 1; otherwise no number of pairs makes the statement say anything.
    """

    sampling_term: Array
    beta_term: Array
    without_sampling: Array
    pairs_help: Array


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
    reward_range: Array | None = None,
    measured: Array | None = None,
) -> RoundsRate:
    """Theorem 5.3 (eq. 7), beta of order n^(-1/2), with probability at least 1 - rho:

    fail_T(delta) <= C*R*log(n|Pi|/rho)/(gamma*delta*sqrt(n)) * (1/sqrt(c) + sqrt(kappa_0)/(1 + sqrt(n c))^((T-1)/2)).

    Decreasing in T, gamma, delta and c; increasing in kappa_0 and log|Pi|. Assumptions (trusted): realizability, a
    margin gamma > 0 in every round, c a lower bound on the mode's probability. c over rounds t >= 1 makes the transient
    informative; over all rounds kappa_0 <= 1/c and the transient never exceeds the stable term. `measured`, a failure
    rate in [0, 1], is for the tightness.
    """
    start, n = real("kappa0", kappa0, 1), real("pairs", pairs, 1)
    c, last = real("min_confidence", min_confidence, 0, 1, open_low=True), real("rounds", rounds, 1)
    reach = _reach(reward_range, margin)
    front = _log_front(n, log_class_size, margin, mass_slack, rho, constant, reach)
    shrink = np.log1p(np.sqrt(n * c))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        stable = np.exp(front - 0.5 * np.log(c))
        transient = np.exp(front + 0.5 * (np.log(start) - (last - 1) * shrink))
        value = stable + transient
        tightness = None
        if measured is not None:
            tightness = result(np.where((rate := real("measured", measured, 0, 1)) > 0, value / rate, np.inf))
    return RoundsRate(
        result(value), constant, result(reach), result(value >= 1), result(stable), result(transient), tightness
    )


def failure_bound_at_beta(
    kappa0: Array,
    pairs: Array,
    log_class_size: Array,
    beta: Array,
    *,
    margin: Array = 1.0,
    min_confidence: Array = 0.5,
    mass_slack: Array = 0.5,
    rho: Array = 0.05,
    rounds: int = 1,
    constant: float = 1.0,
    reward_range: Array | None = None,
) -> BetaRate:
    """Eq. 43 along the recurrence of eq. 56 with its logarithm kept, for a beta of any size:

    kappa_{t+1} <= min(1/c, 1 + A_t/c), A_t = (eps_stat*sqrt(kappa_t) + beta*log(kappa_t))/gamma,
    fail_T(delta) <= A_{T-1}/delta.

    Theorem 5.3 and corollary 5.7 hold for beta of order n^(-1/2) only. At a fixed beta the part beta*log(kappa)/gamma
    does not fall with n: where it alone reaches delta, no number of pairs helps.

    beta > 0 is the KL strength; c is at least 1e-300, T whole.

    >>> rate = failure_bound_at_beta(130, 1e12, 20.0, beta=5.0, rounds=3)
    >>> rate.pairs_help, round(rate.without_sampling, 10)  # 5 log(2) / (1/2), as kappa <= 1/c = 2
    (False, 6.9314718056)
    """
    start, strength = real("kappa0", kappa0, 1), real("beta", beta, 0, open_low=True)
    gamma, c = real("margin", margin, 0, open_low=True), real("min_confidence", min_confidence, 1e-300, 1)
    slack, last = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True), whole("rounds", rounds, 1)
    reach = _reach(reward_range, gamma)
    error = np.asarray(statistical_error(pairs, log_class_size, rho, constant, reach))

    def last_kappa(eps: Array) -> Array:
        kappa = start
        with np.errstate(over="ignore"):
            for _ in range(last - 1):
                before, kappa = kappa, np.minimum(1 / c, 1 + failure_coefficient(kappa, eps, strength, gamma) / c)
                if np.allclose(kappa, before, rtol=1e-15, atol=0.0):
                    break
        return kappa

    with np.errstate(over="ignore"):
        kappa, alone = last_kappa(error), strength * np.log(last_kappa(0.0)) / gamma / slack
        sampling, penalty = error * np.sqrt(kappa) / gamma / slack, strength * np.log(kappa) / gamma / slack
        value = sampling + penalty
    return BetaRate(
        result(value), constant, result(reach), result(value >= 1), result(sampling), result(penalty),
        result(alone), result(alone < 1),
    )  # fmt: skip


def _reach(reward_range: Array | None, margin: Array) -> np.ndarray:
    """R, by default the larger of 1 nat and the margin; the range of the rewards holds the margin."""
    gamma = real("margin", margin, 0, open_low=True)
    if reward_range is None:
        return np.maximum(1.0, gamma)
    reach = real("reward_range", reward_range, 0, open_low=True)
    if (reach < gamma).any():
        raise InputError(f"reward_range is {reach.min():g}; it holds the margin, so give at least {gamma.max():g} nats")
    return reach


def _log_front(
    pairs: Array, log_class_size: Array, margin: Array, mass_slack: Array, rho: Array, constant: float, reach: Array
) -> np.ndarray:
    """log of eps_stat/(gamma*delta), in logarithms so that no product leaves the float range."""
    slack = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True)
    error = statistical_error(pairs, log_class_size, rho, 1.0, 1.0)
    scale = np.log(real("constant", constant, 0, open_low=True)) + np.log(reach)
    return np.log(error) + scale - np.log(real("margin", margin, 0, open_low=True)) - np.log(slack)


def beta_of_order(pairs: Array, scale: Array = 1.0) -> Array:
    """scale * n^(-1/2), scale > 0, the order of beta for which theorem 5.3 holds: beta*log(kappa) then falls with n as
    eps_stat does. Pairs of identical responses count (P2).

    >>> beta_of_order(9, 3.0)
    1.0
    """
    return result(real("scale", scale, 0, open_low=True) / np.sqrt(real("pairs", pairs, 1)))


def rounds_to_suppress(kappa0: Array, pairs: Array, min_confidence: Array) -> Array:
    """Corollary 5.7: the transient is at most the stable term as soon as T >= 1 + log(c*kappa_0)/log(1 + sqrt(n c)).

    Returns the smallest such integer T >= 1 (as a float array for arrays).
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
    reward_range: Array | None = None,
) -> UpperRate:
    """Corollary 5.7: from `rounds_to_suppress` rounds on, fail <= 2C*R*log(n|Pi|/rho)/(gamma*delta*sqrt(n c))."""
    reach, c = _reach(reward_range, margin), real("min_confidence", min_confidence, 0, 1, open_low=True)
    front = _log_front(pairs, log_class_size, margin, mass_slack, rho, constant, reach)
    with np.errstate(over="ignore"):
        value = 2 * np.exp(front - 0.5 * np.log(c))
    return UpperRate(result(value), constant, result(reach), result(value >= 1))


def linear_softmax_log_class_size(dimension: Array, radius: Array, pairs: Array) -> Array:
    """Theorem 6.2: log|Pi| is replaced by d*log(1 + 4*B*n), d > 0, B > 0, the covering number at eps = 1/n; d_lambda in
    the place of d gives corollaries 6.4, G.5 and G.6.
    """
    d, b = real("dimension", dimension, 0, open_low=True), real("radius", radius, 0, open_low=True)
    n = real("pairs", pairs, 1)
    with np.errstate(over="ignore"):
        return result(d * np.logaddexp(0.0, np.log(4) + np.log(b) + np.log(n)))
