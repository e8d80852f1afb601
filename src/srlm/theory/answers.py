"""Rounds that reward answers instead of responses (P10).

Knows: a policy's law over answers, its exact round, and what weights made of counts aim at. Refuses to know how an
answer is read out of a text; responses without one carry a negative number, or a number of their own.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import ROUNDING, real
from srlm.theory._logs import Late, log_probabilities, log_sum, round_power

_REACH, _STEP = 36.0, 0.28  # of the quadrature in `plugin_target`, in log t: e^-36 is lost, and exp(-pi^2/0.28)
special: Any = Late("scipy.special")  # scipy.stats takes a second to import


def answer_logprobs(logprobs: ArrayLike, answers: ArrayLike) -> np.ndarray:
    """P10: log pi_A(a), pi_A(a) = sum of pi(y) over responses with answer a; `condition` of it gives kappa_A, gamma_A.

    Args:
        logprobs: (..., M) log pi(y|x) in nats, -inf for impossible responses.
        answers: (M,) or (..., M) whole numbers, 0 to A-1; negative means no answer and is left out: everything is then
            conditional on having one, which at least one response of a row must.

    Returns:
        (..., A).

    >>> np.exp(answer_logprobs(np.log([0.4, 0.35, 0.25]), [0, 1, 1])).round(2).tolist()
    [0.4, 0.6]
    """
    table, number = _table(logprobs, answers)
    logs = np.stack([log_sum(np.where(number == a, table, -np.inf)) for a in range(number.max() + 1)], axis=-1)
    if (logs.max(axis=-1) == -np.inf).any():
        raise InputError("a row has no possible response with an answer")
    return logs - log_sum(logs)[..., None] if (number < 0).any() else logs


def answer_round(logprobs: ArrayLike, answers: ArrayLike, beta: float) -> np.ndarray:
    """P10: the exact round with reward log pi_A(g(y)), pi'(y) proportional to pi(y)*pi_A(g(y))^(1/beta). Then
    pi'_A = pi_A^s normalised and pi'(y|a) = pi(y|a): P3 and P5 hold for kappa_A and gamma_A, and reasoning within an
    answer keeps its diversity.

    Arguments as `answer_logprobs`, beta > 0; returns (..., M) log pi'(y|x), where responses without an answer become
    impossible.
    """
    table, number = _table(logprobs, answers)
    law = answer_logprobs(table, number)
    of = np.take_along_axis(law, np.maximum(number, 0), axis=-1)
    top = law.max(axis=-1, keepdims=True)
    possible = (number >= 0) & (table > -np.inf)
    with np.errstate(invalid="ignore"):
        logs = np.where(possible, table + (round_power(beta) - 1) * (of - top), -np.inf)
    return logs - log_sum(logs)[..., None]


def _table(logprobs: ArrayLike, answers: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    table, number = log_probabilities("logprobs", logprobs), np.asarray(answers)
    fits = number.dtype.kind in "iu" and number.shape in (table.shape, table.shape[-1:])
    if not fits or not (number >= 0).any():
        raise InputError(f"answers must be whole numbers, one a response, some of them >= 0; logprobs is {table.shape}")
    return table, np.broadcast_to(number, table.shape)


class KnownAnswers(NamedTuple):
    """What different known responses prove of the likeliest answer.

    Attributes:
        lower, upper: ends of p_max = max_a pi_A(a) among responses with an answer.
        leader: the answer with the largest known mass, negative where there is none.
        proved: no other answer is likelier.
    """

    lower: float
    upper: float
    leader: int
    proved: bool


def known_answers(logprobs: ArrayLike, answers: ArrayLike) -> KnownAnswers:
    """P10, the certain part: known responses have masses M_a by answer, M_0 without one, and r = 1 - sum is left over.
    max M_a/(1 - M_0) <= p_max <= (max M_a + r)/(sum M_a + r), and the leader a is a mode if M_a >= M_b + r for every
    other answer, the unseen ones (M_b = 0) included. No sampling error enters, whatever the responses' origin.

    Args:
        logprobs: (N,) log pi(y|x) in nats of DIFFERENT responses; their sum may exceed 1 by rounding only.
        answers: (N,) whole numbers; negative means no answer.

    >>> known_answers(np.log([0.5, 0.1, 0.2]), [0, 0, 1])[1:]
    (0.7999999999999999, 0, True)
    """
    logs, number = np.asarray(logprobs, dtype=np.float64), np.asarray(answers)
    if logs.ndim != 1 or number.shape != logs.shape or (logs.size and number.dtype.kind not in "iu"):
        raise InputError("logprobs and answers must be vectors of one length, answers whole numbers")
    if not (logs <= ROUNDING).all() or (total := float(np.exp(logs).sum())) > 1 + 1e-3:
        raise InputError("logprobs must be log-probabilities of different responses: their sum exceeds 1")
    mass = np.bincount(number[number >= 0].astype(np.intp), weights=np.exp(logs[number >= 0]), minlength=1)
    rest, parsed = max(0.0, 1 - total), float(mass.sum())
    if parsed == 0:
        return KnownAnswers(0.0, 1.0, -1, False)
    leader = int(mass.argmax())
    most, second = float(mass[leader]), float(np.delete(mass, leader).max(initial=0.0))
    return KnownAnswers(most / (parsed + rest), (most + rest) / (parsed + rest), leader, most >= second + rest)


def answer_weights(counts: ArrayLike, beta: float) -> np.ndarray:
    """P10, leave one out: C(c_a - 1, j)/C(K-1, j) for each of the c_a draws of answer a, j = 1/beta. Not normalised:
    the expected sum of a's weights over K is pi_A(a)^s EXACTLY, s = 1 + j. beta = 1: (c_a - 1)/(K-1).

    Args:
        counts: (..., A) how often each answer was drawn, whole and >= 0; K >= j + 1 draws a row.
        beta: with 1/beta whole: for another no such weight exists.

    Returns:
        (..., A) one weight an entry of `counts`, 0 where the count is 0.

    >>> answer_weights([3, 1, 0], beta=1.0).round(3).tolist()
    [0.667, 0.0, 0.0]
    """
    number = np.atleast_1d(real("counts", counts, 0))
    if (number % 1 != 0).any():
        raise InputError("counts must be whole numbers (..., answers)")
    inverse = 1 / float(real("beta", beta, 0, open_low=True))
    j = round(min(inverse, 1e9))
    if not math.isclose(inverse, j):
        raise InputError(f"beta is {beta:g}; leave-one-out weights need 1/beta whole (1, 0.5, 0.25, ...)")
    draws = number.sum(axis=-1, keepdims=True)
    if (draws < j + 1).any():
        raise InputError(f"{draws.min():g} draws; beta {beta:g} needs at least {j + 1} a prompt")
    left = np.arange(1, j + 1)
    return np.prod(np.maximum(number[..., None] - left, 0) / (draws[..., None] - left), axis=-1)


def plugin_target(probabilities: ArrayLike, beta: float, draws: int) -> np.ndarray:
    """P10: E[c_a^s / sum_b c_b^s], c ~ Multinomial(K, pi_A), which weights (c_a/K)^(1/beta) normalised over a group aim
    at. The order of answers is kept, less sharp than an exact round; K <= 2 gives pi_A itself: no sharpening.

    Exact up to quadrature near 1e-12: 1/x is the integral of exp(-t x), under which the counts factorise into truncated
    power series; all terms are positive, so nothing cancels.

    Args:
        probabilities: (A,) pi_A, sums to 1.
        beta: KL strength > 0; s = 1 + 1/beta at most 100.
        draws: K >= 1.

    >>> plugin_target([0.5, 0.3, 0.2], beta=1.0, draws=8).round(10)[0].item()
    0.5806213765
    """
    law, number = _law(probabilities), int(real("draws", draws, 1))
    power = float(real("1 + 1/beta", round_power(beta), 1, 100))
    if (law == law.max()).all():  # alone, or all alike
        return law
    count = np.arange(number + 1)
    size = (count / number) ** power
    # In u = log t the integrand is a Gumbel density for each x in [K^(1-s), 1]: the trapezoid rule converges like
    # exp(-pi^2/step).
    u = np.arange(-_REACH, 4.0 + (power - 1) * np.log(number), _STEP)
    damped = np.exp(-np.exp(u)[:, None] * size)
    # Poisson counts of mean K pi_A given that they add up to K are the multinomial, without large factorials.
    means = number * law[law > 0]
    series = [np.exp(special.xlogy(count, mean) - mean - special.gammaln(count + 1)) * damped for mean in means]
    before, after = [np.eye(1, number + 1)], [np.eye(1, number + 1)]
    for one, other in zip(series[:-1], series[:0:-1], strict=True):
        before.append(_product(before[-1], one))
        after.append(_product(after[-1], other))
    rest = [_product(first, second) for first, second in zip(before, reversed(after), strict=True)]
    at = [
        (np.exp(u) * (size * one * others[:, ::-1]).sum(axis=1)).sum() for one, others in zip(series, rest, strict=True)
    ]
    target = np.zeros(len(law))
    target[law > 0] = at
    return target / target.sum()


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Truncated product of power series, one a row."""
    width = first.shape[1]
    found = np.zeros(np.broadcast_shapes(first.shape, second.shape))
    for k in range(width):
        found[:, k:] += first[:, k : k + 1] * second[:, : width - k]
    return found


def regression_target(probabilities: ArrayLike, beta: float, draws: int) -> np.ndarray:
    """P10: regression with reward log(c_a/K) aims at pi_A(a)*exp(f(pi_A(a))/beta), f(p) = E log(1 + Bin(K-2, p)), K >=
    2. Arguments as `plugin_target`.
    """
    law, number = _law(probabilities), int(real("draws", draws, 2))
    count = np.arange(number - 2)
    reward = special.bdtrc(count, number - 2, law[:, None]) @ np.log1p(1 / (count + 1))  # by parts
    weights = law * np.exp((round_power(beta) - 1) * (reward - reward.max()))
    return weights / weights.sum()


def _law(probabilities: ArrayLike) -> np.ndarray:
    law = real("probabilities", probabilities, 0)
    if law.ndim != 1 or abs(law.sum() - 1) > ROUNDING:
        raise InputError("probabilities must be a vector (answers,) that sums to 1")
    return law / law.sum()
