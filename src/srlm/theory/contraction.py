"""How kappa moves from round to round: exact sharpening, one round with error, the recurrence (docs/theory: sharpening,
iterating).

Knows: P3 (smallest margin, and prompt by prompt), P4 with its eps, lemma C.1, the one-round failure coefficient, the
tail integral (eq. 52-56), the recurrence (eq. 59-66). Refuses to know how a round was trained or measured.

Arguments, numbers or arrays that broadcast: kappa, kappa0 >= 1; margin: gamma >= 0 in nats (> 0 where it divides);
beta: KL strength > 0 (>= 0 from samples, eq. 43 to 66); error: eps, or eps_stat, >= 0 in nats; coefficient: A_t >= 0;
mass_slack: delta in (0, 1); min_confidence: c in (0, 1]. Outside its domain an argument raises `InputError`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result, whole
from srlm.theory.conditioning import checked, log_mean_exp

_ROUNDS = 1e6  # a list of bounds is no place for more
_LARGEST = float(np.finfo(np.float64).max)


def population_kappa_bound(kappa: Array, margin: Array, beta: Array) -> Array:
    """P3: an exact round contracts, kappa_{t+1} - 1 <= exp(-gamma_t/beta) * (kappa_t - 1). A bound without hidden
    constants. At margin 0 it says nothing, though the policy still sharpens towards its tied modes (1/pi(y*) falls to
    their number).

    >>> population_kappa_bound(11.0, 0.0, 1.0)
    11.0
    """
    return certified_kappa_bound(kappa, real("margin", margin, 0), beta, 0.0)


def population_margin(margin: Array, beta: Array, rounds: Array = 1) -> Array:
    """P3: gamma_{t+k} = (1 + 1/beta)^k * gamma_t after k >= 0 exact rounds; inf where the float range ends."""
    strength, gamma = real("beta", beta, 0, open_low=True), real("margin", margin, 0)
    with np.errstate(over="ignore", invalid="ignore"):  # no growth moves a margin of 0
        return result(np.where(gamma == 0, 0.0, gamma * (1 + 1 / strength) ** real("rounds", rounds, 0)))


def log_population_kappa_bound_by_prompt(
    mode_logprobs: ArrayLike, margins: ArrayLike, beta: float, weights: ArrayLike | None = None
) -> Array:
    """log of `population_kappa_bound_by_prompt`, which it never overflows."""
    logs, share = checked(mode_logprobs, weights)
    gamma = np.atleast_1d(real("margins", margins, 0, infinite=True))
    if gamma.shape != logs.shape:
        raise InputError(f"margins have shape {gamma.shape} for mode_logprobs of shape {logs.shape}")
    strength = float(real("beta", beta, 0, open_low=True))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        known = np.log(-np.expm1(logs)) - logs - gamma / strength  # nan: an unknown mode, a margin beyond the range
        excess = np.where(np.isinf(gamma), -np.inf, np.where(np.isnan(known), np.inf, known))
    return result(np.logaddexp(0.0, log_mean_exp(excess, share)))


def population_kappa_bound_by_prompt(
    mode_logprobs: ArrayLike, margins: ArrayLike, beta: float, weights: ArrayLike | None = None
) -> Array:
    """P3 prompt by prompt: kappa_{t+1} <= 1 + E_x[exp(-gamma(x)/beta) * (1/pi_t(y*|x) - 1)] after an exact round.

    Never above `population_kappa_bound` at the smallest margin. No hidden constants; falling in every log-probability
    and margin, so lower ends give a valid bound.

    Args:
        mode_logprobs: (..., P) log pi_t(y*|x) in nats, <= 0.
        margins: (..., P) gamma(x); inf where one response alone is possible.
        weights: (P,) prompt probabilities. Default: uniform.

    Returns:
        (...), a float for one row of prompts; inf where it exceeds the float range.

    >>> round(population_kappa_bound_by_prompt(np.log([0.5, 1.0]), [np.log(2), np.inf], 1.0), 12)
    1.25
    """
    with np.errstate(over="ignore"):
        return result(np.exp(log_population_kappa_bound_by_prompt(mode_logprobs, margins, beta, weights)))


def population_kappa_bounds(kappa0: float, margin: float, beta: float, rounds: int) -> np.ndarray:
    """P3 iterated: bounds on kappa_0..kappa_T, T whole, 0 to 1e6; the margin grows by 1 + 1/beta each round."""
    gamma, bounds = float(real("margin", margin, 0)), [float(real("kappa0", kappa0, 1))]
    for _ in range(whole("rounds", rounds, 0, _ROUNDS)):
        bounds.append(float(population_kappa_bound(bounds[-1], gamma, beta)))
        gamma = min(float(population_margin(gamma, beta)), _LARGEST)
    return np.array(bounds)


def certified_kappa_bound(kappa: Array, margin: Array, beta: Array, error: Array) -> Array:
    """P4: with log-ratio error at most eps, kappa_hat - 1 <= exp(eps - gamma/beta) * (kappa - 1).

    eps is of log(pi(y)/pi(y*)) over every response; contraction is guaranteed when eps < gamma/beta. Measured on some
    responses eps is a lower end: contraction is then refuted, or not refuted.
    """
    kappa, factor = real("kappa", kappa, 1), np.asarray(certified_log_factor(margin, beta, error))
    with np.errstate(over="ignore", invalid="ignore"):  # where nothing is left of kappa - 1 no factor matters
        return result(np.where(kappa == 1, 1.0, 1 + np.exp(factor) * (kappa - 1)))


def certified_log_factor(margin: Array, beta: Array, error: Array) -> Array:
    """P4's log factor eps - gamma/beta of kappa - 1; contraction is guaranteed exactly where it is below 0. The margin
    is inf where one response alone is possible.
    """
    gamma, strength = real("margin", margin, 0, infinite=True), real("beta", beta, 0, open_low=True)
    with np.errstate(over="ignore"):
        return result(real("error", error, 0) - gamma / strength)


def log_ratio_error(before: ArrayLike, after: ArrayLike, beta: float) -> float:
    """P4's eps at one prompt, max_y |log(pi'(y)/pi'(y*)) - s * log(pi_t(y)/pi_t(y*))|, s = 1 + 1/beta.

    P4's supremum runs over all responses; over some of them it is a lower end of eps, and P4 is at most not refuted.

    Args:
        before: (K,) log pi_t in nats, the mode y* of pi_t first.
        after: (K,) log pi' of the same responses.

    >>> round(log_ratio_error([-1.0, -2.0], [-0.5, -2.75], 1.0), 12)
    0.25
    """
    old, new = real("before", before), real("after", after)
    if old.ndim != 1 or old.shape != new.shape or not len(old):
        raise InputError(f"before and after have shapes {old.shape} and {new.shape}; give (K,) each, the mode first")
    strength = float(real("beta", beta, 0, open_low=True))
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.abs((new - new[0]) - (old - old[0]) - (old - old[0]) / strength).max())
    if np.isnan(error):
        raise InputError(f"before and after are too far apart, or beta is {strength:g}, for the float range")
    return error


def failure_from_suboptimality(suboptimality: Array, margin: Array, mass_slack: Array = 0.5) -> Array:
    """Lemma C.1: fail(delta) <= (J(pi*) - J(pi)) / (gamma * delta), J(pi) = E[log pi_t(y|x)]. No constants; at most 1.

    `suboptimality` is J(pi*) - J(pi) >= 0 in nats. At gamma = 0 the lemma says nothing, and 1 is returned.
    """
    gap, gamma = real("suboptimality", suboptimality, 0), real("margin", margin, 0)
    slack = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        bound = np.where(gamma > 0, gap / gamma / slack, np.inf)
    return result(np.minimum(bound, 1.0))


def change_of_measure_bound(coefficient: Array, second_moment: Array) -> Array:
    """Lemma C.2: E_{x, y~pi, y'~pi_t}[f] <= sqrt(C_pi) * sqrt(E_{x, y~pi_t, y'~pi_t}[f^2]) for f >= 0. No constants.

    For the comparator that always gives the mode, C_pi = kappa_t: this is where sqrt(kappa_t) in A_t comes from.

    Args:
        coefficient: C_pi = E_{x, y~pi}[pi(y|x)/pi_t(y|x)] >= 1.
        second_moment: E[f^2] >= 0 under pi_t.
    """
    return result(np.sqrt(real("coefficient", coefficient, 1)) * np.sqrt(real("second_moment", second_moment, 0)))


def statistical_error(
    pairs: Array, log_class_size: Array, rho: Array = 0.05, constant: float = 1.0, reward_range: Array = 1.0
) -> Array:
    """eps_stat = C * R * log(n|Pi|/rho) / sqrt(n) in nats (section 4). C is not known, 1 unless said; R gives its unit.

    Args:
        pairs, log_class_size, rho, constant: n >= 1, log|Pi| >= 0 in nats, a failure probability in (0, 1), C > 0.
        reward_range: R > 0, the range of the rewards in nats (their clipping level): eps_stat is divided by a margin in
            nats, so a constant without a unit would make theorem 5.3 false.
    """
    n, size = real("pairs", pairs, 1), real("log_class_size", log_class_size, 0)
    chance, scale = real("rho", rho, 0, 1, open_low=True, open_high=True), real("constant", constant, 0, open_low=True)
    reach = real("reward_range", reward_range, 0, open_low=True)
    with np.errstate(over="ignore"):
        return result(scale * reach * (np.log(n) + size - np.log(chance)) / np.sqrt(n))


def failure_coefficient(kappa: Array, error: Array, beta: Array, margin: Array) -> Array:
    """A_t = (eps_stat * sqrt(kappa_t) + beta * log(kappa_t)) / gamma; fail_{t+1}(delta) <= A_t/delta (eq. 43)."""
    kappa, eps = real("kappa", kappa, 1), real("error", error, 0)
    strength, gamma = real("beta", beta, 0), real("margin", margin, 0, open_low=True)
    with np.errstate(over="ignore"):
        return result((eps * np.sqrt(kappa) + strength * np.log(kappa)) / gamma)


def one_round_failure_bound(coefficient: Array, mass_slack: Array = 0.5) -> Array:
    """Eq. 43: fail_{t+1}(delta) <= min(1, A_t/delta). A bound; 1 is vacuous."""
    a = real("coefficient", coefficient, 0)
    slack = real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True)
    with np.errstate(over="ignore"):
        return result(np.minimum(1.0, a / slack))


def tail_integral_bound(coefficient: Array, min_confidence: Array) -> Array:
    """Eq. 52-56: kappa_{t+1} <= 1 + integral_1^{1/c} min{1, A s/(s-1)} ds. A bound; it saturates at 1/c.

    Closed: 1 + A*[1/c + log((1-c)(1-A)/(c*A))] where A < 1 and 1/(1-A) < 1/c, else 1/c. Increasing in A, decreasing
    in c; 1 at A = 0.

    >>> round(tail_integral_bound(0.01, 0.05), 10)
    1.2753955883
    """
    a, c = real("coefficient", coefficient, 0), real("min_confidence", min_confidence, 0, 1, open_low=True)
    a, c = np.broadcast_arrays(a, c)
    closed = (a > 0) & (a < 1 - c)
    inner = np.where(closed, a, c)  # any number in (0, 1]; the saturated value is taken there
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logs = np.log1p(-c) + np.log1p(-inner) - np.log(c) - np.log(inner)
        value = 1 + inner / c + inner * logs
        saturated = 1 / c
    # Rounding can put the closed form an ulp above the saturated value at the transition.
    return result(np.where(a == 0, 1.0, np.where(closed, np.minimum(value, saturated), saturated)))


@dataclass(frozen=True, slots=True)
class Recurrence:
    """kappa_{t+1} <= F(kappa_t) = a + d*sqrt(kappa_t), eq. 59-66; a = 1, d = (eps_stat + beta) / (gamma*c).

    Attributes:
        slope: d >= 0.
        fixed_point: kappa_inf = ((d + sqrt(d^2 + 4a))/2)^2; inf where it exceeds the float range.
        contraction_factor: q = F'(kappa_inf) = d/(d + sqrt(d^2 + 4a)) < 1/2.
    """

    slope: Array
    fixed_point: Array
    contraction_factor: Array

    def step(self, kappa: Array) -> Array:
        """F(kappa), kappa >= 1."""
        with np.errstate(over="ignore"):
            return result(1 + np.asarray(self.slope) * np.sqrt(real("kappa", kappa, 1)))

    def bound_after(self, kappa0: Array, rounds: Array) -> Array:
        """kappa_t <= kappa_inf + q^t * max(0, kappa_0 - kappa_inf) (eq. 66), t >= 0: F is concave and increasing."""
        start, steps = real("kappa0", kappa0, 1), real("rounds", rounds, 0)
        fixed, factor = np.asarray(self.fixed_point), np.asarray(self.contraction_factor)
        return result(fixed + factor**steps * np.maximum(0.0, start - fixed))


def recurrence(error: Array, beta: Array, margin: Array, min_confidence: Array) -> Recurrence:
    """The recurrence of eq. 59-66 with b = eps_stat/(gamma*c), h = beta/(gamma*c), d = b + h (log k <= sqrt k); c over
    rounds t >= 1 where the start is to be forgotten (docs/theory: iterating, the caveat).
    """
    eps, strength = real("error", error, 0), real("beta", beta, 0)
    gamma, c = real("margin", margin, 0, open_low=True), real("min_confidence", min_confidence, 0, 1, open_low=True)
    with np.errstate(all="ignore"):
        d = (eps + strength) / (gamma * c)
    if not np.isfinite(d).all():
        raise InputError("margin * min_confidence is too small for the recurrence; its slope exceeds the float range")
    root = np.hypot(d, 2.0)
    half = d / 2 + root / 2
    with np.errstate(over="ignore"):
        fixed: Any = half**2
    return Recurrence(result(d), result(fixed), result(d / 2 / half))


def expansions_bound(length: Array, mode_probability: Array) -> Array:
    """P6: exact mode search needs at most 1 + (L-1) / pi(y*|x) expansions, hence E_x <= 1 + (L-1) * kappa <= L * kappa.

    It expands only prefixes of probability at least pi(y*|x) > 0: the root, and at each depth at most 1/pi(y*|x).
    L >= 1 is the longest response in tokens.
    """
    chance = real("mode_probability", mode_probability, 0, 1, open_low=True)
    with np.errstate(over="ignore"):
        return result(1 + (real("length", length, 1) - 1) / chance)
