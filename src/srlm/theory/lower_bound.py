"""One step is not enough: theorem 4.1, its examples and its hard instance (docs/theory: one-step).

Knows: the implicit equation, its closed form by Lambert W in logarithms, and the exact Bayes failure P7. Refuses to
know the constant C0 of theorem 4.1: eps* is a rate; P7 is the number to act on. Both are about sampling, not search.

Arguments: kappa0 >= 1; pairs: n >= 1 samples (n >= 0 in P7); log_class_size: log|Pi| > 0 in nats; lower_constant:
C0 > 0, not known, 1/(2e) unless said; of the hard instance informative_mass: p in [0, 1], responses: M >= 2 with
(1+g)/M <= 1, informative_prompts: d >= 1, bias: g > 0. Outside its domain an argument raises `InputError`.
"""

import math
from dataclasses import dataclass

import numpy as np

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result, whole
from srlm.theory.rates import LowerRate

# What the hard instance supports: its implied C0 tends to (1 - 1/kappa_0)/(2e), by the limit of P7.
LOWER_CONSTANT = 1 / (2 * math.e)


def lower_bound_level(kappa0: Array, pairs: Array, log_class_size: Array, lower_constant: float) -> Array:
    """log a, a = C0 * kappa_0 * log|Pi| / n, the level of theorem 4.1's equation, in logarithms so that it cannot
    overflow.
    """
    kappa0, pairs = real("kappa0", kappa0, 1), real("pairs", pairs, 1)
    size = real("log_class_size", log_class_size, 0, open_low=True)
    scale = real("lower_constant", lower_constant, 0, open_low=True)
    return result(np.log(scale) + np.log(kappa0) + np.log(size) - np.log(pairs))


def failure_lower_bound(
    kappa0: Array, pairs: Array, log_class_size: Array, lower_constant: float = LOWER_CONSTANT
) -> LowerRate:
    """Theorem 4.1: on some instance every one-round algorithm that only samples has failure rate at least eps*.

    eps* is the root of eps^2 * (1 + log(kappa_0/eps)) = a on (0, 1], in closed form (eq. 99, lower branch of Lambert W)
    eps* = sqrt(-2a / W_{-1}(-2a / (e^2 kappa_0^2))), and 1 where a exceeds the left side at 1. A rate: C0 is not known.
    Increasing in kappa_0 and log|Pi|, decreasing in n. For kappa_0 >= 2 only: at kappa_0 = 1 each sample shows the
    mode, and the statement is false for every C0; the value is 0 then.

    >>> round(failure_lower_bound(10, 1000, 1.0, 1.0).value, 10)  # a = 0.01
    0.0390897044
    >>> failure_lower_bound(1.5, 1000, 1.0).applies
    False
    """
    log_a = np.asarray(lower_bound_level(kappa0, pairs, log_class_size, lower_constant))
    return _where_it_applies(kappa0, _root(np.log(real("kappa0", kappa0, 1)), log_a), lower_constant)


def _where_it_applies(kappa0: Array, value: Array, lower_constant: float) -> LowerRate:
    applies = np.broadcast_to(np.asarray(kappa0) >= 2, np.shape(value))
    return LowerRate(result(np.where(applies, value, 0.0)), lower_constant, result(applies))


def failure_at_level(kappa0: Array, level: Array) -> Array:
    """The root eps* of theorem 4.1 at a given level a > 0 (eq. 99)."""
    return _root(np.log(real("kappa0", kappa0, 1)), np.log(real("level", level, 0, open_low=True)))


def _root(log_kappa: np.ndarray, log_a: np.ndarray) -> Array:
    """eps* from logarithms. With u = -W_{-1}(z) the equation w e^w = z reads u - log u = -log(-z) =: m.

    m = 2 + 2 log kappa_0 - log 2a is at least 2 - log 2 where the root is at most 1; there 2 <= u <= 2m, and Newton's
    steps from the right of it are at machine precision after five. Not scipy's W_{-1}: its argument underflows from
    m = 745 on, and importing scipy.special takes longer than a whole plan.
    """
    m = 2 + 2 * log_kappa - math.log(2) - np.minimum(log_a, np.log1p(log_kappa))  # beyond, nothing up to 1 solves it
    u = 2 * m
    for _ in range(6):
        u = u - (u - np.log(u) - m) / (1 - 1 / u)
    return result(np.exp(np.minimum(math.log(2) + log_a - np.log(u), 0) / 2))


def failure_lower_bound_asymptotic(
    kappa0: Array, pairs: Array, log_class_size: Array, lower_constant: float = LOWER_CONSTANT
) -> LowerRate:
    """Eq. 100, the large-n form sqrt(2a / log(e^2 kappa_0^2 / (2a))); 1 where it says more or nothing."""
    log_a = np.asarray(lower_bound_level(kappa0, pairs, log_class_size, lower_constant))
    m = 2.0 + 2.0 * np.log(np.asarray(kappa0, dtype=np.float64)) - math.log(2.0) - log_a
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        eps = np.exp(0.5 * (math.log(2.0) + log_a - np.log(m)))
    # Where m <= 0 there is no such number.
    return _where_it_applies(kappa0, np.where(eps < 1, eps, 1), lower_constant)


def near_uniform_kappa(responses: Array) -> Array:
    """Section 3, example: a policy uniform over M responses has kappa = M. `responses`: M >= 1."""
    return result(real("responses", responses, 1))


def autoregressive_kappa(top_probability: Array, length: Array) -> Array:
    """Section 3, example: top-1 token probability at most alpha in (0, 1] at each of L >= 0 steps gives kappa >=
    alpha^(-L) (inf on overflow).
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
    """kappa = (1-p) + p*M/(1+g) of the hard instance (appendix D), >= 1."""
    mass, g = real("informative_mass", informative_mass, 0, 1), real("bias", bias, 0, open_low=True)
    number = real("responses", responses, max(2.0, 1 + float(np.max(g))))
    return result((1 - mass) + mass * (number / (1 + g)))


def bayes_failure(
    informative_mass: float, responses: float, informative_prompts: int, pairs: float, bias: float = 1.0
) -> float:
    """P7: exact failure rate of the Bayes-optimal learner on the hard instance.

    p * (1 - (p/d)(1+g)/M)^n * E[1 - 1/(labels never seen at x_i) | the favourite never seen]. The expectation is
    exact for M*n <= 5e5 and wherever few labels stay unseen; beyond, labels count as seen independently of each other,
    with a relative error below 1/M. n is rounded down.
    """
    p = float(real("informative_mass", informative_mass, 0, 1))
    g = float(real("bias", bias, 0, open_low=True))
    m = float(real("responses", responses, max(2.0, 1 + g)))
    d = float(real("informative_prompts", informative_prompts, 1))
    n = float(math.floor(real("pairs", pairs, 0)))
    hit = (p / d) * (1 + g) / m
    if hit >= 1.0:
        return 0.0 if n > 0 else p * (1 - 1 / m)
    unseen = math.exp(n * math.log1p(-hit))
    # Chance that a sample shows another label of x_i, given that it does not show the favourite.
    others = min((p / d) * (1 - (1 + g) / m) / (1 - hit), 1.0)
    return float(p * unseen * _wrong_guess(m, n, others))


def worst_hard_instance(kappa0: float, pairs: float, informative_prompts: int = 1, bias: float = 1.0) -> HardInstance:
    """The adversary's best hard instance for given kappa_0, d and n: p (hence M) that maximises P7.

    Its failure rate approaches sqrt(d*(kappa_0 - 1)/(2*e*n)) for large n (up to the factor from g <= 1e6); at kappa_0 =
    1 nothing can be hidden and it is 0. d is whole.
    """
    kappa, n, g = _adversary(kappa0, pairs, bias)
    d, least = whole("informative_prompts", informative_prompts, 1), _fewest_labels(kappa, g)
    if kappa == 1.0:
        return HardInstance(0.0, float(least), d, g, n, 0.0)
    worst = _instance(kappa, n, d, g, float(max(least, round(_worst_labels(kappa, n, d, g)))))
    for step in (-1.0, 1.0):
        while worst.responses + step >= least:
            other = _instance(kappa, n, d, g, worst.responses + step)
            if other.failure_rate <= worst.failure_rate:
                break
            worst = other
    return worst


def worst_hard_instance_within(kappa0: float, pairs: float, log_class_size: float, bias: float = 1.0) -> HardInstance:
    """The adversary's best hard instance whose class, log|Pi| = d*log M, is at most the one asked for.

    d is the largest number of informative prompts with d*log M(d) <= log|Pi|, M(d) the labels of `worst_hard_instance`;
    where not even one prompt fits, it has as many labels as the class allows. d and the failure rate are 0 where a
    class this small can hide nothing at this kappa_0.

    >>> one = worst_hard_instance_within(10, 1000, 5.0)
    >>> one.informative_prompts * math.log(one.responses) <= 5.0
    True
    """
    kappa, n, g = _adversary(kappa0, pairs, bias)
    size, least = float(real("log_class_size", log_class_size, 0, open_low=True)), _fewest_labels(kappa, g)

    def fits(d: int) -> bool:
        return d * math.log(max(least, round(_worst_labels(kappa, n, d, g)))) <= size

    if kappa == 1.0 or size < math.log(least):
        return HardInstance(0.0, float(least), 0, g, n, 0.0)
    low, high = 0, int(min(size / math.log(least), 1e300)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    for d in range(low + 2, 0, -1):  # P7 prefers a few labels more or fewer than `_worst_labels`
        one = worst_hard_instance(kappa, n, d, g)
        if d * math.log(one.responses) <= size:
            return one
    return _instance(kappa, n, 1, g, float(math.floor(math.exp(size) * (1 + 1e-12))))


def _adversary(kappa0: float, pairs: float, bias: float) -> tuple[float, float, float]:
    kappa, n = float(real("kappa0", kappa0, 1)), float(real("pairs", pairs, 1))
    g = float(real("bias", bias, 0, 1e6, open_low=True))
    if not math.isfinite(2 * (1 + g) * kappa):
        raise InputError(f"kappa0 is {kappa:g}; the hard instance would need more responses than a float can count")
    return kappa, n, g


def _fewest_labels(kappa: float, g: float) -> int:
    """The least M: p <= 1 asks for (1+g)*kappa labels, and one label beside the favourite must stay."""
    return max(2, math.ceil((1 + g) * kappa), math.floor(1 + g) + (kappa > 1))


def _instance(kappa: float, n: float, d: int, g: float, labels: float) -> HardInstance:
    mass = min(1.0, (kappa - 1) * (1 + g) / (labels - 1 - g))
    return HardInstance(mass, labels, d, g, n, bayes_failure(mass, labels, d, n, g))


def _worst_labels(kappa: float, n: float, d: int, g: float) -> float:
    """The real M at which p (1 - h)^n (1 - 1/M) is largest, h = (p/d)(1+g)/M: unimodal, by thirds of log M. Which label
    is guessed among those never seen moves P7's optimum by a few labels.
    """

    def log_failure(log_m: float) -> float:
        m = math.exp(log_m)
        log_mass = math.log(kappa - 1) + math.log1p(g) - math.log(m - 1 - g)
        return log_mass + n * math.log1p(-math.exp(log_mass) / d * (1 + g) / m) + math.log1p(-1 / m)

    low, high = math.log(_fewest_labels(kappa, g)), math.log(np.finfo(np.float64).max)
    while high - low > 1e-9:
        third = (high - low) / 3
        rising = log_failure(low + third) < log_failure(high - third)
        low, high = (low + third, high) if rising else (low, high - third)
    return math.exp(low)


def _wrong_guess(m: float, n: float, others: float) -> float:
    """E[1 - 1/(labels never seen)], favourite among them: n samples, each one of the m - 1 other labels with chance
    `others`.
    """
    each = others / (m - 1)
    if n == 0 or each >= 1:
        return 0.0 if n else 1 - 1 / m
    log_unseen = n * math.log1p(-each)
    unseen = math.exp(log_unseen)
    if m <= 1e6 and m * math.log1p(unseen) < 9:
        # By inclusion and exclusion it is sum_{i=2}^m (-1)^i C(m, i) (1 - (i-1) each)^n / m; the terms are at most
        # about exp(9)/m and fall fast, to 0 beyond i = m.
        i = np.arange(2.0, 61.0)
        with np.errstate(divide="ignore", over="ignore"):
            chances = np.exp(n * np.log1p(-np.minimum((i - 1) * each, 1.0)))
        return float((-1) ** i @ (np.cumprod((m + 1 - i) / i) * chances))
    if m * n > 5e5:
        # E[1/(1 + U)] for U binomial with m - 1 trials of chance q is (1 - (1-q)^m) / (m q).
        left = m * unseen
        seen = max(-math.expm1(log_unseen), 1e-300)
        return 1 + math.expm1(m * math.log(seen)) / left if left > 1e-5 else left / 2
    labels = np.arange(int(m))
    distinct = (labels == 0).astype(float)  # law of the number of other labels seen
    fresh = others * (1 - labels / (m - 1))
    for _ in range(int(n)):
        moved = distinct * fresh
        distinct -= moved
        distinct[1:] += moved[:-1]
    return float(distinct @ (1 - 1 / (m - labels)))


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
    """The trap of proposition 4.3, q in (0, 1/2), eta > 0, 2q + eta <= 1 (so q = 1/2 leaves no room for the trap)."""
    q = float(real("mode_probability", mode_probability, 0, 0.5, open_low=True, open_high=True))
    eta = float(real("excess", excess, 0, 1 - 2 * q, open_low=True))
    ratio = (q + eta) / q
    if not math.isfinite(ratio):
        raise InputError(f"mode_probability is {q:g}; so small a mode needs more continuations than a float can count")
    # Rounding must not turn a whole ratio into one continuation too few: they would tie with the mode.
    return GreedyTrap(q, eta, math.floor(ratio * (1 + 1e-12)) + 1)


def greedy_finds_mode(mode_probability: Array) -> Array:
    """Proposition 4.3, converse: True where pi(y*|x) > 1/2, so greedy decoding is sure to find y*; else it may not."""
    return real("mode_probability", mode_probability, 0, 1) > 0.5
