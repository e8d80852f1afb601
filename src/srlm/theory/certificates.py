"""Certificates of a majority from draws, valid at every number of draws at once (P11).

Knows: evidence that an answer is a mode, ends of its probability, and what holds over several prompts. Refuses to call
this a proof: each carries its level alpha; only search proves. Refuses to know what an answer is: draws are hashables,
and one that says "no answer" takes part like any other, unless who draws leaves it out.

Arguments: draws: answers in the order of drawing, at one prompt or (groups) at each; named: answers named before the
first draw (greedy's, last round's mode), which take the numbers 1, 2, ..., and all of whose draws count; alpha in (0,
1).
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import real
from srlm.theory._logs import Late
from srlm.theory.projection import Ends, MeanBracket, mean_bracket

special: Any = Late("scipy.special")

Draws = Sequence[Hashable]


class Majority(NamedTuple):
    """P11 at one prompt.

    Attributes:
        leader: the answer drawn most often, the first one found among equals; None where nothing was drawn.
        log_evidence: log of E over its discount D_j for the leader; a certificate at level alpha is >= log(1/alpha).
        lower, upper: ends of p_max = max_a pi_A(a) at the level asked for.
    """

    leader: Hashable
    log_evidence: float
    lower: float
    upper: float


def majority_evidence(draws: Draws, named: Sequence[Hashable] = ()) -> float:
    """P11 (i): log(E_a/D_j) for the leader a, E_a = 2^(u+v+1)*B(u+1,v+1)*P(Beta(u+1,v+1) > 1/2), D_j = j(j+1).

    Answers are numbered j = 1, 2, ... by discovery; u counts draws of a AFTER its first, v is the largest count of
    another answer among those draws. P(ever >= log(1/alpha) while the leader is not a mode) <= alpha, however often one
    looks and whenever one stops. Assumption (trusted): draws are i.i.d. The logarithm may be negative; it is -inf
    without draws.

    >>> float(np.exp(majority_evidence([0] * 7 + [1, 1, 0]))).__round__(10)
    1.3444444444
    """
    return float(majority_evidences([draws], [named])[0])


def majority_evidences(groups: Sequence[Draws], named: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """`majority_evidence` at many prompts, for those who need no bracket: (P,)."""
    return _log_evidence([_tally(*one) for one in zip(groups, named, strict=True)])


def majority_bracket(draws: Draws, alpha: float, named: Sequence[Hashable] = ()) -> Ends:
    """P11 (ii): p_max in [lower, upper] with probability >= 1-alpha at every number of draws at once. Both ends solve
    log B(c+1,n-c+1) - c log p - (n-c) log(1-p) = level: upper at the largest count and log(2/alpha); lower is the
    largest over answers, counted after discovery, at log(2 D_j/alpha); 0 where no answer was repeated.

    >>> tuple(round(end, 8) for end in majority_bracket([0] * 7 + [1, 1, 0], alpha=0.05))
    (0.25044627, 0.9926814)
    """
    (one,) = majorities([draws], alpha, [named])
    return Ends(one.lower, one.upper)


def majorities(
    groups: Sequence[Draws], alpha: float, named: Sequence[Sequence[Hashable]] | None = None
) -> list[Majority]:
    """P11 (i), (ii) at many prompts in one sweep, each at level alpha by itself (see `simultaneous_bracket`)."""
    level = float(real("alpha", alpha, 0, 1, open_low=True, open_high=True))
    if named is not None and len(named) != len(groups):
        raise InputError(f"named has {len(named)} entries for {len(groups)} prompts")
    tallies = [_tally(draws, named[at] if named is not None else ()) for at, draws in enumerate(groups)]
    if not tallies:
        return []
    most = np.array([(one.most, one.total) for one in tallies], dtype=np.float64)
    upper = _root(most[:, 0], most[:, 1], np.log(2) - np.log(level), upper=True)
    owner = np.array([at for at, one in enumerate(tallies) for _ in one.repeated], dtype=np.intp)
    repeated = np.array([row for one in tallies for row in one.repeated], dtype=np.float64).reshape(-1, 3)
    number, count, after = repeated.T
    lower = np.zeros(len(tallies))
    np.maximum.at(lower, owner, _root(count, after, np.log(2 * number * (number + 1)) - np.log(level), upper=False))
    evidence = _log_evidence(tallies)
    return [
        Majority(one.leader, float(e), float(low), float(high))
        for one, e, low, high in zip(tallies, evidence, lower, upper, strict=True)
    ]


def simultaneous_bracket(
    groups: Sequence[Draws],
    alpha: float,
    mass_slack: float = 0.5,
    named: Sequence[Sequence[Hashable]] | None = None,
) -> MeanBracket:
    """P11 (iv): alpha/P at each prompt, so with probability >= 1-alpha all hold at once: kappa_A in [mean 1/U, mean
    1/L], failure in [share U <= 1-delta, share L <= 1-delta], delta in (0, 1). Over NEW prompts add the sampling error
    of x. kappa's upper end is inf where some prompt repeated no answer, which is the truth.
    """
    found = majorities(groups, alpha / max(len(groups), 1), named)
    with np.errstate(divide="ignore"):
        lower, upper = (-np.log([end(one) for one in found]) for end in (lambda m: m.upper, lambda m: m.lower))
    return mean_bracket(lower, upper, mass_slack)


def certified_prompts(log_evidence: ArrayLike, alpha: float) -> np.ndarray:
    """P11 (iv), e-BH: which prompts' leaders to list so that the expected share of those that are no mode is <= alpha:
    the R largest with E/D >= P/(alpha*R), R as large as possible. Whatever the dependence between prompts. From (P,)
    `majority_evidence` of each prompt, -inf allowed; (P,) true where listed.
    """
    level = float(real("alpha", alpha, 0, 1, open_low=True, open_high=True))
    logs = np.asarray(log_evidence, dtype=np.float64)
    if logs.ndim != 1 or np.isnan(logs).any():
        raise InputError("log_evidence must be a vector (prompts,) of logarithms")
    order = np.argsort(-logs, kind="stable")
    enough = logs[order] >= -np.log(level * np.arange(1, len(logs) + 1) / len(logs))
    listed = np.zeros(len(logs), dtype=bool)
    listed[order[: np.flatnonzero(enough)[-1] + 1 if enough.any() else 0]] = True
    return listed


def draws_needed(first: float, second: float, alpha: float = 0.05, *, number: int = 1) -> float:
    """P11 (iii), a forecast and no bound: draws before a certificate, n = [log(D_j/alpha) + 0.5*log n]/((p1+p2)*kl), kl
    = KL(Bern(p1/(p1+p2))||1/2) >= (p1-p2)^2/(2(p1+p2)^2), p1 > p2 >= 0 the two largest pi_A(a), j the mode's number.
    """
    p1, p2 = float(real("first", first, 0, 1, open_low=True)), float(real("second", second, 0))
    level = float(real("alpha", alpha, 0, 1, open_low=True, open_high=True))
    j = float(real("number", number, 1))
    if p2 >= p1 or p1 + p2 > 1 + 1e-9:
        raise InputError(f"second is {p2:g}; it must be below first, {p1:g}, and both add up to at most 1")
    share = p1 / (p1 + p2)
    kl = float(np.log(2) - special.entr(share) - special.entr(1 - share))
    rate = (p1 + p2) * max(kl, 2 * (share - 0.5) ** 2)  # its own lower bound, where it cancels
    goal = np.log(j) + np.log1p(j) - np.log(level)  # at least log 2, the largest rate
    with np.errstate(over="ignore", divide="ignore"):
        n = goal / np.float64(rate)
        for _ in range(200):  # concave and increasing: the iterates rise to the fixed point
            n = (goal + 0.5 * np.log(n)) / np.float64(rate)
    return float(n)


class _Tally(NamedTuple):
    leader: Hashable
    number: int  # j of the leader
    u: int
    v: int
    most: int  # largest count
    total: int
    repeated: list[tuple[int, int, int]]  # (j, u, n after discovery) of answers drawn again


def _tally(draws: Draws, named: Sequence[Hashable]) -> _Tally:
    if isinstance(named, str | bytes) or isinstance(draws, str | bytes):
        raise InputError("draws and named must be lists of answers; a text alone is one answer: put it in a list")
    # Named answers count from draw 0, found ones from the draw after their first.
    starts: dict[Hashable, int] = dict.fromkeys(named, 0)
    counts: dict[Hashable, int] = dict.fromkeys(named, 0)
    for at, answer in enumerate(draws):
        if answer in counts:
            counts[answer] += 1
        else:
            starts[answer], counts[answer] = at + 1, 1
    beforehand = set(named)
    repeated = []
    for j, (answer, start) in enumerate(starts.items(), start=1):
        u = counts[answer] - (answer not in beforehand)
        if u > 0:
            repeated.append((j, u, len(draws) - start))
    leader = max(counts, key=counts.__getitem__) if len(draws) else None
    number = [*starts, None].index(leader) + 1
    rivals = Counter(draws[starts.get(leader) :])
    u = rivals.pop(leader, 0)
    v = max(rivals.values(), default=0)
    return _Tally(leader, number, u, v, max(counts.values(), default=0), len(draws), repeated)


def _log_evidence(tallies: Sequence[_Tally]) -> np.ndarray:
    number, u, v, total = np.array([(one.number, one.u, one.v, one.total) for one in tallies], dtype=np.float64).T
    # A leader has v <= u + 1, so the incomplete beta function is far from underflow.
    logs = (u + v + 1) * np.log(2) + special.betaln(u + 1, v + 1) + np.log(special.betainc(v + 1, u + 1, 0.5))
    return np.where(total > 0, logs - np.log(number * (number + 1)), -np.inf)


def _root(count: np.ndarray, total: np.ndarray, level: ArrayLike, *, upper: bool) -> np.ndarray:
    """Root of log B(c+1,n-c+1) - c log p - (n-c) log(1-p) = level on one side of c/n, by Newton's rule in the logit.

    There the left side is convex, and its asymptote is a start beyond the root: steps never overshoot. Where no root is
    (c = n above, c = 0 below) the end is that of [0, 1].
    """
    ends = np.full(count.shape, float(upper))
    steep = total - count if upper else -count
    live = steep != 0
    count, total, steep, target = (one[live] for one in (count, total, steep, np.broadcast_to(level, count.shape)))
    base = special.betaln(count + 1, total - count + 1) - target
    x = -base / steep
    for _ in range(200):
        excess = base - count * x + total * np.logaddexp(0, x)
        step = excess / (total * special.expit(x) - count)
        x = x - step
        if (np.abs(step) <= 1e-13).all():
            break
    ends[live] = special.expit(x)
    return ends
