"""What a known set of responses certifies about an exact round (P8).

Knows: the projection onto known responses, the mass it leaves out, and brackets of an exact round at one prompt or
many, in logarithms throughout. Refuses to know how responses were found, and what lies under an open prefix. beta is
the KL strength > 0; what is outside its domain, or of another shape, raises `InputError`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import Array, real, result
from srlm.theory._logs import log_probabilities, log_sum, plain, round_power


class Ends(NamedTuple):
    """Two ends that hold a number; `upper` is inf where nothing bounds it."""

    lower: Array
    upper: Array


class RoundBracket(NamedTuple):
    """P8 (iii): ends of 1/p^(S)(y*), and the largest share `tau` of p^(S) that lies outside the known responses."""

    lower: Array
    upper: Array
    tau: Array


class MeanBracket(NamedTuple):
    """Ends of kappa, of its logarithm (finite where kappa overflows), and of the failure rate over prompts."""

    kappa: Ends
    log_kappa: Ends
    failure_rate: Ends


def projection_weights(
    logprobs: ArrayLike, beta: float, rewards: ArrayLike | None = None, *, distinct: bool = True
) -> np.ndarray:
    """P8 (i): the projection's target q_i proportional to p(y_i)*exp(r(y_i)/beta) on K known responses; r = log p
    gives q_i proportional to p(y_i)^s, s = 1 + 1/beta. sum_i q_i log pi(y_i) is largest at pi = q only.

    Args:
        logprobs: (..., K) log p(y_i|x) in nats; -inf pads a shorter row and gets weight 0.
        rewards: r(x, y_i), shaped like logprobs; finite. Default: the self-reward log p.
        distinct: each known response once. False: i.i.d. samples with their multiplicities, whose own frequency already
            is p, so that weights are exp(r/beta) alone, p^(s-1); the two are never to be mixed.

    Returns:
        (..., K) weights; each row sums to 1.

    >>> projection_weights(np.log([0.4, 0.2]), beta=1.0).round(3).tolist()
    [0.8, 0.2]
    """
    known = log_probabilities("logprobs", logprobs)
    strength = float(real("beta", beta, 0, open_low=True))
    scores = known if rewards is None else real("rewards", rewards)
    possible = known > -np.inf
    if scores.shape != known.shape or not possible.any(axis=-1).all():
        raise InputError(
            f"rewards have shape {scores.shape} for logprobs {known.shape}, or a row has no possible response"
        )
    scores = np.where(possible, scores, -np.inf)
    with np.errstate(over="ignore"):
        logs = (scores - scores.max(axis=-1, keepdims=True)) / strength
    if distinct:
        logs = logs + known
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def projection_divergence(tau: Array) -> Array:
    """P8 (i): KL(q || p^(S)) = -log(1 - tau) in nats, exactly; their total variation is tau itself, the mass of p^(S)
    outside the known responses, in [0, 1).
    """
    return result(-np.log1p(-real("tau", tau, 0, 1, open_high=True)))


def target_divergence(weights: ArrayLike, logprobs: ArrayLike) -> Array:
    """P8 (i): KL(q || pi) in nats of a target q on K known responses to a policy: the distance of pi from its optimum
    pi = q, where it is 0. A mass of pi outside the K responses adds to it.

    Args:
        weights: (..., K) q, >= 0; each row sums to 1.
        logprobs: (..., K) log pi(y_i|x) in nats.

    Returns:
        (...) the divergence, >= 0 up to rounding; inf where q needs a response that pi cannot give.

    >>> target_divergence([0.8, 0.2], np.log([0.4, 0.1])).__round__(10)
    0.6931471806
    """
    target, logs = real("weights", weights, 0, 1 + 1e-9), log_probabilities("logprobs", logprobs)
    if target.shape != logs.shape or not (np.abs(target.sum(axis=-1) - 1) < 1e-6).all():
        raise InputError(f"weights have shape {target.shape} for logprobs {logs.shape}, or a row without the sum 1")
    used = target > 0
    terms = target * (np.log(np.where(used, target, 1.0)) - np.where(used, logs, 0.0))
    return result(terms.sum(axis=-1))


def exact_round_bracket(
    known: ArrayLike,
    open_prefixes: ArrayLike,
    beta: float,
    *,
    power: float | None = None,
    certified: ArrayLike = True,
    dropped: tuple[ArrayLike, ArrayLike] = (0.0, -np.inf),
) -> RoundBracket:
    """P8 (ii), (iii): Z/l^S <= 1/p^(S)(y*) <= (Z + T+)/l^S, p^(S) the normalised S-th power, l = max_K p, Z = sum_K
    p^S, T+ = sum_j w_j^S + w_d^(S-1) m_d, never above U^(S-1) (1 - sum_K p). Without a certificate the lower end is
    min(Z/l^S, 1 + Z/U^S). A bound without hidden constants; with K = {y*} and U the runner-up it is P3.

    One prompt or many: leading axes of `known`, `open_prefixes` and the other arguments broadcast.

    Args:
        known: (..., K) log p of distinct responses, -inf pads; none known gives [1, inf].
        open_prefixes: (..., J) log w_j; every response outside K must begin with one of them or be in the dropped part.
        power: S >= 1 instead of 1 + 1/beta: s^t after t exact rounds from a known policy.
        certified: whether the likeliest known response is the mode (trusted).
        dropped: mass m_d of a part that the search gave up, and log w_d of the likeliest prefix in it.

    Raises:
        InputError: known, open and dropped mass together below 0.99: the rest would be unaccounted for.

    >>> exact_round_bracket(np.log([0.4, 0.2]), np.log([0.2, 0.1, 0.1]), beta=2.0).upper.__round__(10)
    1.9571067812
    """
    log_lower, log_upper, log_tau = log_exact_round_bracket(
        known, open_prefixes, beta, power=power, certified=certified, dropped=dropped
    )
    return RoundBracket(plain(log_lower), plain(log_upper), plain(log_tau))


def log_exact_round_bracket(
    known: ArrayLike,
    open_prefixes: ArrayLike,
    beta: float,
    *,
    power: float | None = None,
    certified: ArrayLike = True,
    dropped: tuple[ArrayLike, ArrayLike] = (0.0, -np.inf),
) -> RoundBracket:
    """Natural logarithms of `exact_round_bracket`, finite where 1/p^(S)(y*) overflows and where tau underflows."""
    strength = round_power(beta, power)
    parts = relative_masses(known, open_prefixes, dropped)
    lower, upper, inside, outside = log_ends(parts, strength, certified)
    return RoundBracket(result(lower), result(upper), result(outside - np.logaddexp(inside, outside)))


class RelativeMasses(NamedTuple):
    """Logarithms of everything known at each prompt, over l = max_K p; axes as in `exact_round_bracket`."""

    best: np.ndarray  # log l, 0 where nothing is known
    known: np.ndarray
    open: np.ndarray
    largest: np.ndarray  # U, the largest open or dropped prefix
    outside: np.ndarray  # 1 - sum_K p
    dropped: np.ndarray
    largest_dropped: np.ndarray


def relative_masses(known: ArrayLike, open_prefixes: ArrayLike, dropped: tuple[ArrayLike, ArrayLike]) -> RelativeMasses:
    """Checks and prepares what `log_ends` needs, once for every power. Args, Raises: as `exact_round_bracket`."""
    inside, prefixes = log_probabilities("known", known), log_probabilities("open_prefixes", open_prefixes)
    mass = real("dropped mass", dropped[0], 0, 1)
    largest_dropped = log_probabilities("dropped prefix", np.atleast_1d(dropped[1])).reshape(np.shape(dropped[1]))
    if ((mass > 0) & (largest_dropped == -np.inf)).any():
        raise InputError("a dropped mass above 0 needs the log-probability of its likeliest prefix")
    sums = np.exp(log_sum(inside))
    total = sums + np.exp(log_sum(prefixes)) + mass
    if (total < 0.99).any():
        raise InputError(
            f"known responses, open prefixes and dropped mass add up to {total.min():.3g}; they must cover everything"
        )
    best = inside.max(axis=-1, initial=-np.inf)
    best = np.where(best > -np.inf, best, 0.0)
    largest = np.maximum(prefixes.max(axis=-1, initial=-np.inf), np.where(mass > 0, largest_dropped, -np.inf))
    with np.errstate(divide="ignore"):
        # A sum that rounds to 1 does not show that nothing is left.
        outside, lost = np.log(np.maximum(1 - sums, 1e-15)), np.log(mass)
    return RelativeMasses(
        best,
        inside - best[..., None],
        prefixes - best[..., None],
        largest - best,
        outside - best,
        lost - best,
        largest_dropped - best,
    )


def log_ends(
    parts: RelativeMasses, power: float, certified: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """log of both ends of 1/p^(S)(y*), of Z/l^S, and of T+/l^S."""
    inside = log_sum(power * parts.known)
    with np.errstate(invalid="ignore"):
        # 0 * -inf at S = 1 is the only nan: a part without a prefix holds nothing.
        lost = np.where(parts.dropped > -np.inf, (power - 1) * parts.largest_dropped + parts.dropped, -np.inf)
        capped = np.where(parts.largest > -np.inf, (power - 1) * parts.largest + parts.outside, -np.inf)
        outside = np.minimum(np.logaddexp(log_sum(power * parts.open), lost), capped)
        unproved = np.where(parts.largest > -np.inf, np.logaddexp(0.0, inside - power * parts.largest), np.inf)
    nothing = inside == -np.inf
    lower = np.where(np.asarray(certified, dtype=bool) & ~nothing, inside, np.minimum(inside, unproved))
    lower = np.where(nothing, 0.0, lower)
    return lower, np.where(nothing, np.inf, np.logaddexp(inside, outside)), inside, outside


def outside_estimate(
    samples: ArrayLike, in_known: ArrayLike, mode_logprob: ArrayLike, beta: float, *, power: float | None = None
) -> Array:
    """P8 (v): T/l^S = (1/l)*E_{y~p}[(p(y)/l)^(S-1) * 1{y not in K}], estimated without bias and without a frontier.

    Args:
        samples: (..., N) log p(y_i|x) of draws from p that had no part in choosing K.
        in_known: (..., N) whether each is in K.
        mode_logprob: (...) log l.
    """
    strength = round_power(beta, power)
    draws, inside = log_probabilities("samples", samples), np.asarray(in_known, dtype=bool)
    if draws.shape != inside.shape or draws.shape[-1] == 0 or (draws == -np.inf).any():
        raise InputError(f"samples have shape {draws.shape} and in_known {inside.shape}; give possible draws, N >= 1")
    best = real("mode_logprob", mode_logprob, -1e100, 1e-9)
    return plain(log_outside(draws - best[..., None], ~inside, best, strength) - np.log(draws.shape[-1]))


def log_outside(relative: np.ndarray, counted: np.ndarray, best: np.ndarray, power: float) -> np.ndarray:
    """log of the sum over counted draws of (p/l)^(S-1)/l."""
    with np.errstate(invalid="ignore"):  # 0 * -inf at padding, which is not counted
        terms = (power - 1) * relative
    return log_sum(np.where(counted, terms, -np.inf)) - best


def mean_bracket(log_lower: ArrayLike, log_upper: ArrayLike, mass_slack: float = 0.5) -> MeanBracket:
    """P8 (iii) over prompts: means of 1/p(y*|x) bracket kappa, shares of ends >= 1/(1-delta) the failure rate, delta in
    (0, 1). `log_lower`, `log_upper`: (P,) logarithms of the ends at each prompt, upper ones may be inf.
    """
    lower, upper = np.asarray(log_lower, dtype=np.float64), np.asarray(log_upper, dtype=np.float64)
    slack = float(real("mass_slack", mass_slack, 0, 1, open_low=True, open_high=True))
    if lower.ndim != 1 or lower.shape != upper.shape or lower.size == 0 or not (lower <= upper + 1e-9).all():
        raise InputError(f"ends have shapes {lower.shape} and {upper.shape}; give ordered ends of P >= 1 prompts")
    logs = Ends(*(float(log_sum(end) - np.log(end.size)) for end in (lower, upper)))
    shares = failing(lower, upper, slack)
    return MeanBracket(Ends(plain(logs.lower), plain(logs.upper)), logs, Ends(*(float(one.mean()) for one in shares)))


def failing(log_lower: np.ndarray, log_upper: np.ndarray, mass_slack: float) -> tuple[np.ndarray, np.ndarray]:
    """Which prompts surely fail and which may; within rounding of 1/(1-delta) neither is taken for granted."""
    edge = -np.log1p(-mass_slack)
    return log_lower >= edge + 1e-12, log_upper >= edge - 1e-12
