"""What rounds to come will do to kappa, failure and accuracy (P12, and P8 iterated).

Knows: brackets and points for exact rounds, from what a diagnosis knows of each prompt; how far errors of rounds can
carry. Refuses to know how it was measured, and whether a run makes exact rounds.

Arguments: beta: KL strength > 0; rounds: T >= 0, of which forecasts give one record each, t = 0..T; slope: s >= 1 as
measured, instead of 1 + 1/beta; mass_slack: delta in (0, 1); rng: for the bootstrap over prompts.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import ROUNDING, Array, real, result
from srlm.theory._logs import Late, log_probabilities, log_sum, plain, powers, round_power
from srlm.theory.answers import plugin_target
from srlm.theory.projection import Ends, failing, log_ends, log_outside, mean_bracket, relative_masses

special: Any = Late("scipy.special")


class KnownPrompt(NamedTuple):
    """What is known of pi_0(.|x) at one prompt; log-probabilities in nats.

    Attributes:
        known: (K,) of distinct known responses.
        open_prefixes: (J,) of prefixes that cover every other response, with the dropped part.
        samples: (N,) of draws from pi_0 that had no part in choosing `known`.
        sample_known: (N,) which of them are among the known.
        certified: whether the likeliest known response is the mode.
        dropped: mass that the search gave up, and log-probability of the likeliest prefix in it.
        right: (K,) which known responses are right; None where nobody knows.
        sample_right: (N,) likewise, for the point of the accuracy; None counts right responses among the known only.
    """

    known: ArrayLike
    open_prefixes: ArrayLike = ()
    samples: ArrayLike = ()
    sample_known: ArrayLike = ()
    certified: bool = True
    dropped: tuple[float, float] = (0.0, -np.inf)
    right: ArrayLike | None = None
    sample_right: ArrayLike | None = None


class Forecast(NamedTuple):
    """After `round` exact rounds from pi_0, whose power is `power`. Each bracket holds for these prompts without doubt;
    each *interval* is a bootstrap over prompts around both of its ends, for prompts like these (None without `rng`).

    Attributes:
        kappa, log_kappa, failure_rate: brackets; kappa is inf where its logarithm exceeds the float range.
        kappa_point, log_kappa_point: estimate from samples; None without samples.
        sample_accuracy: bracket of the chance that a sampled response is right; None where nobody knows.
        sample_accuracy_point: its estimate.
        kappa_interval, failure_interval, accuracy_interval: 95 %.
    """

    round: int
    power: float
    kappa: Ends
    log_kappa: Ends
    failure_rate: Ends
    kappa_point: float | None = None
    log_kappa_point: float | None = None
    sample_accuracy: Ends | None = None
    sample_accuracy_point: float | None = None
    kappa_interval: Ends | None = None
    failure_interval: Ends | None = None
    accuracy_interval: Ends | None = None


def forecast(
    prompts: Sequence[KnownPrompt],
    beta: float,
    rounds: int,
    *,
    mass_slack: float = 0.5,
    slope: float | None = None,
    projection: bool = False,
    rng: np.random.Generator | None = None,
) -> list[Forecast]:
    """P8 iterated: with S_t = s^t, N_t = sum_K (p/l)^S_t and T_t^+ = min(sum_j (w_j/l)^S_t, (U/l)^(S_t-1)*m/l), kappa_t
    lies in mean_x [N_t, N_t + T_t^+] (P8 iii where a mode is not certified); the point adds min(T_t, T_t^+), T_t =
    (1/l)*mean_i (p(y_i)/l)^(S_t-1)*1{y_i not in K}. Sample accuracy lies in mean_x [C/(N+T^+), (C+T^+)/(N+T^+)], C_t =
    sum over right known responses of (p/l)^S_t; that of modes stays what it is (P5). Assumption (trusted): rounds are
    exact; for errors see `forecast_error_bound`.

    Args:
        prompts: P >= 1; all with samples or none.
        projection: forecast the projection onto `known` (P8 iv) instead, N_t alone; open prefixes then do not matter.
    """
    steps = powers(round_power(beta, slope), int(real("rounds", rounds, 0)))
    known = _packed([one.known for one in prompts])
    if projection and (known.max(axis=1, initial=-np.inf) < -1e100).any():
        raise InputError("there is nothing to project onto; give at least one response at each prompt")
    prefixes = [[0.0]] if projection else _packed([one.open_prefixes for one in prompts])
    certified = np.array([one.certified for one in prompts], dtype=bool) | projection
    mass, largest = np.array([one.dropped for one in prompts], dtype=np.float64).T
    parts = relative_masses(known, prefixes, (mass * (not projection), largest))
    judged = np.array([one.right is not None for one in prompts])
    if any(np.size(one.right) != np.size(one.known) for one in prompts if one.right is not None):
        raise InputError("right must have one entry for each known response")
    right = _packed([np.zeros(np.size(one.known)) if one.right is None else one.right for one in prompts]) > 0
    drawn = None if projection else _drawn(prompts, parts.best)
    shares = _resamples(judged, rng)
    found = []
    for at, power in enumerate(steps):
        lower, upper, inside, outside = log_ends(parts, power, certified)
        if projection:
            outside, upper = np.full_like(outside, -np.inf), lower
        correct = log_sum(np.where(right, power * parts.known, -np.inf))
        whole = np.logaddexp(inside, outside)
        accuracy = (np.exp(correct - whole)[judged], np.exp(np.logaddexp(correct, outside) - whole)[judged])
        point, of_point = lower if projection else None, accuracy[0] if projection else None
        if drawn is not None:
            seen, limit = drawn.outside(drawn.new, power), np.where(inside > -np.inf, outside, np.inf)
            excess = np.subtract(seen, limit, out=np.zeros_like(seen), where=seen > limit)  # both -inf: nothing is left
            seen_right = drawn.outside(drawn.right, power) - excess
            whole = np.logaddexp(inside, np.minimum(seen, limit))
            point, of_point = np.clip(whole, lower, upper), np.exp(np.logaddexp(correct, seen_right) - whole)[judged]
        found.append(_record(at, power, lower, upper, point, accuracy, of_point, mass_slack, shares))
    return found


def answer_forecast(
    answers: Sequence[ArrayLike],
    beta: float,
    rounds: int,
    *,
    draws: int | None = None,
    right: Sequence[int | None] | None = None,
    ends: Sequence[tuple[float, float]] | None = None,
    mass_slack: float = 0.5,
    rng: np.random.Generator | None = None,
) -> list[Forecast]:
    """P10 iterated: pi_A^(s^t) for exact rounds with an answer reward, E[c^s/sum c^s] again and again for rounds with
    plug-in weights of K draws.

    Without `ends` the probabilities are taken as known and brackets close on the point. With p_max in [L, U] (P11)
    nothing else is: exact rounds leave 1/p_max in [1, k + (1/L - k)^S], k = floor(1/L), which ties at L attain; plug-in
    rounds never lower p_max, so that 1/L stays an upper end. Round 0 is [1/U, 1/L].

    Args:
        answers: (A,) pi_A at each prompt, e.g. counts over their sum.
        draws: K of plug-in rounds; None for exact ones.
        right: number of each prompt's right answer, -1 where it is not among the answers, None where nobody knows.
        ends: (L, U) of p_max at each prompt.
    """
    s, last = round_power(beta), int(real("rounds", rounds, 0))
    laws = [real("answers", one, 0) for one in answers]
    if not laws or any(one.ndim != 1 or abs(one.sum() - 1) > ROUNDING for one in laws):
        raise InputError("answers must hold one vector of probabilities a prompt, each with sum 1; give at least one")
    truth = [None] * len(laws) if right is None else list(right)
    limits = None if ends is None else real("ends", [tuple(one) for one in ends], 0, 1).reshape(-1, 2)
    if len(truth) != len(laws) or (limits is not None and len(limits) != len(laws)):
        raise InputError(f"right and ends must have an entry for each of {len(laws)} prompts")
    shares = _resamples(np.array([one is not None for one in truth]), rng)
    found, current = [], laws
    for at, power in enumerate(powers(s, last)):
        if draws is None:
            with np.errstate(divide="ignore"):
                logs = [power * np.log(one / one.max()) for one in laws]
            current = [np.exp(one - log_sum(one)) for one in logs]
        elif at > 0:
            current = _plugged(current, beta, draws)
        point = -np.log([one.max() for one in current])
        lower = upper = point
        if limits is not None:
            with np.errstate(divide="ignore"):
                lower, upper = -np.log(limits[:, 1]) * (at == 0), -np.log(limits[:, 0])
            if draws is None and at > 0:
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    rest, k = np.modf(1 / limits[:, 0])
                    upper = np.where(limits[:, 0] > 0, np.log(k + rest**power), np.inf)
        of_point = np.array([law[a] if a >= 0 else 0.0 for law, a in zip(current, truth, strict=True) if a is not None])
        one = _record(at, power, lower, upper, point, (of_point, of_point), of_point, mass_slack, shares)
        found.append(one if limits is None else one._replace(sample_accuracy=None))
    return found


def _plugged(laws: Sequence[np.ndarray], beta: float, draws: int) -> list[np.ndarray]:
    """Every law's plug-in target; counts of few draws repeat over prompts, and what repeats is worked out once."""
    order = [np.argsort(-one, kind="stable") for one in laws]
    known: dict[bytes, np.ndarray] = {}
    found = []
    for law, ranks in zip(laws, order, strict=True):
        falling = law[ranks]
        if (key := falling.tobytes()) not in known:
            known[key] = plugin_target(falling, beta, draws)
        found.append(known[key][np.argsort(ranks)])
    return found


class ErrorForecast(NamedTuple):
    """P12 after `round` rounds whose error is at most eps.

    Attributes:
        log_factor, factor: K_t = 1/pi_t(y*) - 1 is within this factor of the exact rounds' at every prompt.
        unmoved_margin: a mode whose margin in pi_0 is above it has not moved.
        unmoved_share: of the margins given.
        kappa: bracket around the exact rounds given.
        kappa_bound: closed form from kappa_0 and the smallest margin.
    """

    round: int
    power: float
    log_factor: float
    factor: float
    unmoved_margin: float
    unmoved_share: float | None = None
    kappa: Ends | None = None
    kappa_bound: float | None = None


def forecast_error_bound(
    eps: float,
    beta: float,
    rounds: int,
    *,
    exact: Sequence[float | tuple[float, float]] | None = None,
    kappa0: float | None = None,
    margin: ArrayLike | None = None,
    slope: float | None = None,
) -> list[ErrorForecast]:
    """P12: if in every round |log(pi_{t+1}(y)/pi_{t+1}(y*)) - s*log(pi_t(y)/pi_t(y*))| <= eps for all y, then K_t lies
    within the factor exp(beta*eps*(S-1)) of K_t^exact, kappa_t - 1 <= exp(-(gamma_0 - beta*eps)*(S-1))*(kappa_0 - 1),
    and a mode with gamma_0(x) > beta*eps*(1-1/S) has not moved. A bound without hidden constants.

    Assumption (trusted): eps is a supremum over ALL responses; measured on scored ones it is a lower end, and a check
    with it can only say "not refuted".

    Args:
        eps: >= 0 nats.
        exact: kappa_0..kappa_T of exact rounds, or ends of them, such as `forecast(...)[t].kappa`.
        kappa0: kappa_0 >= 1, with `margin`, for the closed form.
        margin: gamma_0 at every prompt, (P,), or the smallest; >= 0 in nats.

    >>> last = forecast_error_bound(0.1, 2.0, 3, exact=[2, 1.5, 1.4, 1.2237340018], kappa0=2, margin=np.log(5 / 3))[-1]
    >>> round(last.factor, 8), round(last.kappa.upper, 8), round(last.kappa_bound, 8)
    (1.6080142, 1.35976745, 1.4779683)
    """
    error, s = float(real("eps", eps, 0)), round_power(beta, slope)
    steps = powers(s, int(real("rounds", rounds, 0)))
    margins = None if margin is None else np.atleast_1d(real("margin", margin, 0))
    start = None if kappa0 is None else float(real("kappa0", kappa0, 1))
    if exact is not None and len(exact) != len(steps):
        raise InputError(f"exact has {len(exact)} entries; give one for each of rounds 0 to {len(steps) - 1}")
    found, growth = [], 0.0  # growth = beta*eps*(S-1), the error of log-ratios so far
    for at, power in enumerate(steps):
        kappa = bound = None
        if exact is not None:
            low, high = np.broadcast_to(np.asarray(exact[at], dtype=np.float64), 2)
            if not 1 - 1e-9 <= low <= high + 1e-9:
                raise InputError(f"exact[{at}] is {exact[at]}; give a condition number >= 1, or its two ordered ends")
            with np.errstate(divide="ignore"):
                logs = np.log(np.maximum([low - 1, high - 1], 0.0))
            kappa = Ends(1 + plain(logs[0] - growth), 1 + plain(logs[1] + growth))
        if start is not None and margins is not None:
            with np.errstate(over="ignore", divide="ignore"):
                bound = 1 + plain(np.log(start - 1) + growth - margins.min() * (power - 1))
        unmoved = growth / power
        share = None if margins is None else float((margins > unmoved).mean())
        found.append(ErrorForecast(at, power, growth, plain(growth), unmoved, share, kappa, bound))
        growth = min(s * growth + error, 1e300)  # s and error may both be huge
    return found


def drift_chance(
    distance: Array, sigma: Array, beta: float, rounds: float = np.inf, *, slope: float | None = None
) -> Array:
    """P12, the forecast of drift: where errors of log-ratios are normal with sd sigma and independent over rounds, a
    response at distance l_0 is ahead of the mode after t rounds with chance Phi(-l_0*sqrt(s^2-1)/(sigma*sqrt(1 -
    s^(-2t)))), l_0 = log pi_0(y*)/pi_0(y) >= 0 in nats, sigma > 0, t >= 1; `rounds` inf gives the limit.

    >>> drift_chance(0.2, 0.4, beta=1.0).__round__(10)
    0.1932381154
    """
    apart, noise, s = real("distance", distance, 0), real("sigma", sigma, 0, open_low=True), round_power(beta, slope)
    steps = rounds if rounds == np.inf else float(real("rounds", rounds, 1))
    with np.errstate(over="ignore"):  # s = 1 is a random walk
        scale = steps**-0.5 if s == 1 else np.sqrt((s**2 - 1) / -np.expm1(-2 * steps * np.log(s)))
        return result(special.ndtr(-apart / noise * scale))


class _Drawn(NamedTuple):
    """Samples of every prompt, padded."""

    logprobs: np.ndarray
    best: np.ndarray  # log l; of the likeliest draw where nothing is known
    new: np.ndarray  # not among the known
    right: np.ndarray

    def outside(self, counted: np.ndarray, power: float) -> np.ndarray:
        """log of the estimate of T/l^S, or of the part of it that is counted."""
        terms = log_outside(self.logprobs - self.best[:, None], counted, self.best, power)
        return terms - np.log((self.logprobs > -np.inf).sum(axis=1))


def _drawn(prompts: Sequence[KnownPrompt], best: np.ndarray) -> _Drawn | None:
    sizes = [np.size(one.samples) for one in prompts]
    if not any(sizes):
        return None
    if not all(sizes) or sizes != [np.size(one.sample_known) for one in prompts]:
        raise InputError("give samples at every prompt or at none, and one entry of sample_known for each")
    draws = log_probabilities("samples", _packed([one.samples for one in prompts]))
    if ((draws > -np.inf).sum(axis=1) != sizes).any():
        raise InputError("samples must be possible responses")
    new = _packed([one.sample_known for one in prompts]) == 0
    judged = [
        np.zeros(size) if one.sample_right is None else one.sample_right
        for one, size in zip(prompts, sizes, strict=True)
    ]
    right = _packed(judged) > 0
    nothing = np.array([np.size(one.known) == 0 for one in prompts])
    return _Drawn(draws, np.where(nothing, draws.max(axis=1), best), new, new & right)


def _record(
    at: int,
    power: float,
    lower: np.ndarray,
    upper: np.ndarray,
    point: np.ndarray | None,
    accuracy: tuple[np.ndarray, np.ndarray] | None,
    accuracy_point: np.ndarray | None,
    mass_slack: float,
    shares: tuple[np.ndarray, np.ndarray] | None,
) -> Forecast:
    """Means over prompts of logarithms of ends and of accuracies, and their bootstrap."""
    means = mean_bracket(lower, upper, mass_slack)
    logs = None if point is None else float(log_sum(point) - np.log(len(point)))
    accuracy = None if accuracy is None or accuracy[0].size == 0 else accuracy
    intervals: list[Ends | None] = [None] * 3
    if shares is not None:
        pairs = ((plain(lower), plain(upper)), failing(lower, upper, mass_slack))
        intervals[:2] = [_resampled(*pair, shares[0]) for pair in pairs]
        intervals[2] = None if accuracy is None else _resampled(*accuracy, shares[1])
    return Forecast(
        at,
        power,
        *means,
        None if logs is None else plain(logs),
        logs,
        None if accuracy is None else Ends(*(float(end.mean()) for end in accuracy)),
        None if accuracy_point is None or accuracy_point.size == 0 else float(accuracy_point.mean()),
        *intervals,
    )


def _resamples(
    judged: np.ndarray, rng: np.random.Generator | None, times: int = 1000
) -> tuple[np.ndarray, np.ndarray] | None:
    """Weights of prompts in resampled sets, (times, P), and of those with a known answer among them."""
    if rng is None:
        return None
    counts = rng.multinomial(len(judged), np.full(len(judged), 1 / len(judged)), size=times).astype(np.float64)
    some = counts[:, judged]
    return counts / len(judged), some / np.maximum(some.sum(axis=1, keepdims=True), 1)


def _resampled(lower: Array, upper: Array, shares: np.ndarray) -> Ends:
    """2.5 % quantile of resampled means of lower ends, 97.5 % of upper ones."""
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    infinite = (high > 1e290).astype(np.float64)
    means = np.where(shares @ infinite > 0, np.inf, shares @ np.minimum(high, 1e290))
    least = np.quantile(shares @ np.minimum(low, 1e290), 0.025, method="lower")
    return Ends(float(least), float(np.quantile(means, 0.975, method="higher")))


def _packed(rows: Sequence[ArrayLike]) -> np.ndarray:
    """One array (P, longest row), padded with -inf."""
    arrays = [np.asarray(one, dtype=np.float64).ravel() for one in rows]
    if not arrays:
        raise InputError("prompts is empty; give at least one")
    table = np.full((len(arrays), max(len(one) for one in arrays)), -np.inf)
    for row, one in zip(table, arrays, strict=True):
        row[: len(one)] = one
    return table
