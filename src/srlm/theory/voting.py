"""What voting buys: accuracy of a majority of k draws, coverage of k draws, and the beta that makes up for few draws.

Knows: counts of answers, unbiased estimators that use every subset of the draws. Refuses to know: which answers are
right, but by number; how an answer is read.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import real
from srlm.theory._logs import Late
from srlm.theory.answers import plugin_target

special: Any = Late("scipy.special")  # scipy.stats takes a second to import
_STRONGEST = 8  # 1/beta of `matching_beta`, at most


def majority_accuracy(counts: ArrayLike, right: int, draws: int) -> float:
    """maj@k, unbiased: the chance that the commonest answer of k of the n draws, chosen without replacement, is right,
    equals sharing the win. Its limit in k is the ceiling of P10.

    Exact, by generating functions: with r draws of the right answer the others have at most r each, and 1/(1 + ties) is
    the integral of u^ties over [0, 1], a polynomial that Gauss-Legendre integrates without error.

    Args:
        counts: (A,) how often each answer was drawn, whole, >= 0, n in all; draws without an answer may be one of them.
        right: number of the right answer; negative where it was not drawn.
        draws: k in [1, n].

    >>> majority_accuracy([2, 1], 0, 1).__round__(12), majority_accuracy([2, 1], 0, 2).__round__(12)
    (0.666666666667, 0.666666666667)
    """
    number, n, k = _counts(counts, draws)
    if right < 0 or number[right] == 0:
        return 0.0
    others = np.delete(number, right)
    others = others[others > 0]
    nodes, weights = np.polynomial.legendre.leggauss(len(others) // 2 + 1)
    nodes, weights = (nodes + 1) / 2, weights / 2
    ways = [(int(count), special.binom(count, np.arange(k + 1))) for count in others]
    total = 0.0
    for r in range(1, min(int(number[right]), k) + 1):
        rest = k - r
        series = np.zeros((len(nodes), rest + 1))
        series[:, 0] = 1
        for count, one in ways:
            factor = np.tile(one[: rest + 1], (len(nodes), 1))
            factor[:, r + 1 :] = 0
            if r <= rest:
                factor[:, r] *= nodes
            width = min(rest, r, count)
            grown = np.zeros_like(series)
            for j in range(width + 1):
                grown[:, j:] += factor[:, j : j + 1] * series[:, : rest + 1 - j]
            series = grown
        total += float(special.binom(number[right], r)) * float(weights @ series[:, rest])
    return min(1.0, total / float(special.binom(n, k)))


def pass_at(counts: ArrayLike, right: int, draws: int) -> float:
    """pass@k, unbiased: the chance that k of the n draws hold a right one, 1 - C(n-c, k)/C(n, k) (arXiv 2107.03374).
    Its limit in k counts every prompt whose right answer is possible at all: sharpening adds nothing to it (P10).
    Arguments as `majority_accuracy`.
    """
    number, n, k = _counts(counts, draws)
    c = number[right] if right >= 0 else 0.0
    left = np.arange(k)
    return float(1 - np.prod(np.maximum(n - c - left, 0) / (n - left)))


def _counts(counts: ArrayLike, draws: int) -> tuple[np.ndarray, int, int]:
    number = np.atleast_1d(real("counts", counts, 0))
    n, k = int(number.sum()), int(real("draws", draws, 1))
    if (number % 1 != 0).any() or number.ndim != 1 or k > n:
        raise InputError(f"counts must be whole numbers (answers,) of at least {k} draws in all; they have {n}")
    return number, n, k


def matching_beta(laws: Sequence[ArrayLike], draws: int) -> float:
    """The beta that makes plug-in rounds of K draws sharpen as an exact round with beta = 1 would: the largest of 1,
    1/2, 1/3, ..., 1/8 whose targets have a mean of 1/max (their kappa_A) of at most mean 1/max pi_A^2, 1/8 where none
    has. A convention, no statement: P10 only says that plug-in targets are less sharp.

    Args:
        laws: pi_A at each prompt, (A,) each, P >= 1.
        draws: K >= 3; fewer sharpen nothing.

    >>> matching_beta([[0.5, 0.3, 0.2]], draws=8), matching_beta([[0.5, 0.3, 0.2]], draws=64)
    (0.2, 0.5)
    """
    number = int(real("draws", draws, 3))
    known = Counter(tuple(np.sort(real("laws", one, 0))[::-1]) for one in laws)  # few draws: laws repeat
    if not known:
        raise InputError("laws is empty; give at least one")
    aim = sum(times * sum(p**2 for p in law) / law[0] ** 2 for law, times in known.items())
    for inverse in range(1, _STRONGEST):
        reached = sum(times / plugin_target(law, 1 / inverse, number).max() for law, times in known.items())
        if reached <= aim * (1 + 1e-9):
            return 1 / inverse
    return 1 / _STRONGEST
