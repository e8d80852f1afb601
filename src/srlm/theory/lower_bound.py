"""One step is not enough: theorem 4.1, its examples and its hard instance (docs/theory: one-step).

Knows: the implicit equation, its closed form by Lambert W in logarithms, and the exact Bayes failure P7.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import lambertw, wrightomega

from srlm.theory._domain import Array, real, result


def lower_bound_level(kappa0: Array, pairs: Array, log_class_size: Array, constant: float) -> Array:
    """log a, a = C0 * kappa_0 * log|Pi| / n, the level of theorem 4.1's equation, in logarithms so that it cannot
    overflow.

    Args:
        kappa0: kappa_0 >= 1.
        pairs: n >= 1 samples.
        log_class_size: log|Pi| > 0 in nats.
        constant: C0 > 0, universal and not known; 1 unless said.
    """
    kappa0, pairs = real("kappa0", kappa0, 1), real("pairs", pairs, 1)
    size = real("log_class_size", log_class_size, 0, open_low=True)
    scale = real("constant", constant, 0, open_low=True)
    return result(np.log(scale) + np.log(kappa0) + np.log(size) - np.log(pairs))


def failure_lower_bound(kappa0: Array, pairs: Array, log_class_size: Array, constant: float = 1.0) -> Array:
    """Theorem 4.1: on some instance every one-round algorithm has failure rate at least eps*.

    eps* is the root of eps^2 * (1 + log(kappa_0/eps)) = a on (0, 1], in closed form (eq. 99, lower branch of Lambert W)
    eps* = sqrt(-2a / W_{-1}(-2a / (e^2 kappa_0^2))), and 1 where a exceeds the left side at 1. A bound up to the
    universal constant C0. Increasing in kappa_0 and log|Pi|, decreasing in n.

    Args, Raises: as `lower_bound_level`.

    Returns:
        eps* in (0, 1], of the broadcast shape.

    >>> round(failure_lower_bound(10, 1000, 1.0), 10)  # a = 0.01
    0.0390897044
    """
    log_a = np.asarray(lower_bound_level(kappa0, pairs, log_class_size, constant))
    return _root(np.log(real("kappa0", kappa0, 1)), log_a)


def failure_at_level(kappa0: Array, level: Array) -> Array:
    """The root eps* of theorem 4.1 at a given level a (eq. 99).

    Args:
        kappa0: kappa_0 >= 1.
        level: a > 0.
    """
    return _root(np.log(real("kappa0", kappa0, 1)), np.log(real("level", level, 0, open_low=True)))


def _root(log_kappa: np.ndarray, log_a: np.ndarray) -> Array:
    """eps* from logarithms. With u = -W_{-1}(z) the equation w e^w = z reads u - log u = -log(-z) =: m.

    m = 2 + 2 log kappa_0 - log 2a is at least 2 - log 2 wherever the root lies below 1, so the branch point at m = 1 is
    never near; exp(-m) underflows from m = 745 on, where Wright's omega function takes over.
    """
    m = np.atleast_1d(2 + 2 * log_kappa - math.log(2) - log_a)
    u = -wrightomega(-m - 1j * np.pi).real
    near = m < 3  # omega's branch cut: scipy answers on the other branch there
    u[near] = -lambertw(-np.exp(-m[near]), -1).real
    with np.errstate(all="ignore"):
        eps = np.exp((math.log(2) + log_a - np.log(u.reshape(np.shape(log_kappa + log_a)))) / 2)
    return result(np.where(log_a < np.log1p(log_kappa), np.minimum(eps, 1), 1))


def failure_lower_bound_asymptotic(kappa0: Array, pairs: Array, log_class_size: Array, constant: float = 1.0) -> Array:
    """Eq. 100, the large-n form sqrt(2a / log(e^2 kappa_0^2 / (2a))); a rate, not a bound. 1 where it says more or
    nothing.

    Args, Raises: as `lower_bound_level`.
    """
    log_a = np.asarray(lower_bound_level(kappa0, pairs, log_class_size, constant))
    m = 2.0 + 2.0 * np.log(np.asarray(kappa0, dtype=np.float64)) - math.log(2.0) - log_a
    with np.errstate(divide="ignore", invalid="ignore"):
        eps = np.exp(0.5 * (math.log(2.0) + log_a - np.log(m)))
    return result(np.where(eps < 1, eps, 1))  # where m <= 0 there is no such number


def near_uniform_kappa(responses: Array) -> Array:
    """Example of arXiv 2601.22513: a policy uniform over M responses has kappa = M. `responses`: M >= 1."""
    return result(real("responses", responses, 1))


def autoregressive_kappa(top_probability: Array, length: Array) -> Array:
    """Example of arXiv 2601.22513: top-1 token probability <= alpha at each of L steps gives kappa >= alpha^(-L), inf
    on overflow.

    Args:
        top_probability: alpha in (0, 1].
        length: L >= 0.
    """
    alpha = real("top_probability", top_probability, 0, 1, open_low=True)
    steps = real("length", length, 0)
    with np.errstate(over="ignore"):
        return result(np.exp(-steps * np.log(alpha)))


@dataclass(frozen=True, slots=True)
class HardInstance:
    """Appendix D. Prompt x_0 has one sure response; at each of d others one of M responses is the hidden favourite.

    Attributes:
        informative_mass: p = D({x_1..x_d}) in [0, 1].
        responses: M at each informative prompt (a float, since it can exceed every integer type).
        informative_prompts: d.
        bias: g, the favourite has probability (1+g)/M.
        pairs: n samples.
        failure_rate: exact failure of the Bayes-optimal learner (P7).
    """

    informative_mass: float
    responses: float
    informative_prompts: int
    bias: float
    pairs: float
    failure_rate: float


def hard_instance_kappa(informative_mass: Array, responses: Array, bias: float = 1.0) -> Array:
    """kappa = (1-p) + p*M/(1+g) of the hard instance (appendix D)."""
    mass, number = real("informative_mass", informative_mass, 0, 1), real("responses", responses, 2)
    g = real("bias", bias, 0, open_low=True)
    return result((1 - mass) + mass * number / (1 + g))


def bayes_failure(
    informative_mass: float, responses: float, informative_prompts: int, pairs: float, bias: float = 1.0
) -> float:
    """P7: exact failure rate of the Bayes-optimal learner on the hard instance.

    p * (1 - (p/d)(1+g)/M)^n * E[1 - 1/(labels never seen at x_i) | the favourite never seen]. The expectation is
    exact by the occupancy distribution for M*n <= 2e6; beyond, labels count as seen independently of each other, with a
    relative error below 1/M.

    Args:
        informative_mass: p in [0, 1].
        responses: M >= 2, with (1+g)/M <= 1.
        informative_prompts: d >= 1.
        pairs: n >= 0.
        bias: g > 0.
    """
    p = float(real("informative_mass", informative_mass, 0, 1))
    g = float(real("bias", bias, 0, open_low=True))
    m = float(real("responses", responses, max(2.0, 1 + g)))
    d = float(real("informative_prompts", informative_prompts, 1))
    n = float(real("pairs", pairs, 0))
    hit = (p / d) * (1 + g) / m
    if hit >= 1.0:
        return 0.0 if n > 0 else p * (1 - 1 / m)
    unseen = math.exp(n * math.log1p(-hit))
    # Chance that a sample shows another label of x_i, given that it does not show the favourite.
    others = min((p / d) * (1 - (1 + g) / m) / (1 - hit), 1.0)
    return float(p * unseen * (1 - _guess(m, n, others)))


def worst_hard_instance(kappa0: float, pairs: float, informative_prompts: int = 1, bias: float = 1.0) -> HardInstance:
    """The adversary's best hard instance for given kappa_0, d and n: p (hence M) that maximises P7.

    Its failure rate approaches sqrt(d*kappa_0/(2*e*n)) for large n (up to the factor from g).

    Args:
        kappa0: kappa_0 >= 1; at 1 nothing can be hidden and the failure rate is 0.
        pairs: n >= 1.
        informative_prompts: d >= 1.
        bias: g > 0.
    """
    kappa, n = float(real("kappa0", kappa0, 1)), float(real("pairs", pairs, 1))
    d, g = int(real("informative_prompts", informative_prompts, 1)), float(real("bias", bias, 0, open_low=True))
    if kappa == 1.0:
        return HardInstance(0.0, max(2.0, math.ceil(1 + g)), d, g, n, 0.0)
    best = _worst_labels(kappa, n, d, g)
    least = max(math.ceil((1 + g) * kappa), 2)
    instances = []
    for labels in {max(least, math.floor(best)), max(least, math.ceil(best))}:
        mass = min(1.0, (kappa - 1) * (1 + g) / (labels - 1 - g))
        failure = bayes_failure(mass, float(labels), d, n, g)
        instances.append(HardInstance(mass, float(labels), d, g, n, failure))
    return max(instances, key=lambda one: one.failure_rate)


def _worst_labels(kappa: float, n: float, d: int, g: float) -> float:
    """The real M at which log(p (1 - h)^n (1 - 1/M)) is largest, h = (p/d)(1+g)/M: unimodal, by bisection on its slope
    in log M.
    """
    low = math.log((1 + g) * kappa)  # p <= 1
    high = min(low + math.log(8 * n), math.log(np.finfo(np.float64).max))
    for _ in range(64):
        middle = (low + high) / 2
        m = math.exp(middle)
        mass = (kappa - 1) * (1 + g) / (m - 1 - g)
        hit = min(mass, 1.0) / d * (1 + g) / m
        rising = n * hit / (1 - hit) * (1 / m + 1 / (m - 1 - g)) + 1 / m / (m - 1) > 1 / (m - 1 - g)
        low, high = (middle, high) if rising else (low, middle)
    return math.exp(low)


def _guess(m: float, n: float, others: float) -> float:
    """E[1/(labels never seen)], favourite among them: n samples, each one of the m - 1 other labels with chance
    `others`.
    """
    if m * n > 2e6:
        # E[1/(1 + U)] for U binomial with m - 1 trials of chance q is (1 - (1-q)^m) / (m q), and 1 as q falls to 0.
        q = math.exp(n * math.log1p(-others / (m - 1)))
        return -math.expm1(m * math.log1p(-min(q, 1 - 1e-16))) / (m * q) if q > 0 else 1.0
    labels = np.arange(int(m))
    distinct = (labels == 0).astype(float)  # law of the number of other labels seen
    fresh = others * (1 - labels / (m - 1))
    for _ in range(int(n)):
        moved = distinct * fresh
        distinct = distinct - moved + np.roll(moved, 1)
    return float(distinct @ (1 / (m - labels)))


@dataclass(frozen=True, slots=True)
class GreedyTrap:
    """Proposition 4.3: an autoregressive policy whose mode greedy decoding misses.

    The mode's first token has probability q and is continued with probability 1; the trap token has q + eta, and
    each of its continuations stays below q/(q + eta).

    Attributes:
        mode_probability: q in (0, 1/2).
        excess: eta > 0 with 2q + eta <= 1.
        continuations: equally likely continuations of the trap token, the fewest allowed.
    """

    mode_probability: float
    excess: float
    continuations: int


def greedy_trap(mode_probability: float, excess: float) -> GreedyTrap:
    """The trap of proposition 4.3.

    Raises:
        InputError: q outside (0, 1/2), eta <= 0, or 2q + eta > 1 (so q = 1/2 leaves no room for the trap).
    """
    q = float(real("mode_probability", mode_probability, 0, 0.5, open_low=True, open_high=True))
    eta = float(real("excess", excess, 0, 1 - 2 * q, open_low=True))
    # Rounding must not turn a whole ratio into one continuation too few: they would tie with the mode.
    return GreedyTrap(q, eta, math.floor((q + eta) / q * (1 + 1e-12)) + 1)


def greedy_finds_mode(mode_probability: Array) -> Array:
    """Proposition 4.3, converse: True where pi(y*|x) > 1/2, so greedy decoding is sure to find y*; elsewhere it may
    not.

    Args:
        mode_probability: pi(y*|x) in [0, 1].
    """
    return real("mode_probability", mode_probability, 0, 1) > 0.5
