"""What one check says, and the two ways of checking: two routes agree, or a bound dominates what was measured.

Knows: the kinds of evidence, tolerances, and how the worst of many cases is kept. Refuses to know: any formula.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

Kind = Literal["identity", "inequality", "simulation", "transcription"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Check:
    """One statement, checked.

    Attributes:
        id: label in `srlm.theory.statements`, with what is checked of it.
        statement: the claim, in words.
        kind: what agreement shows. "identity": another route (enumeration, quadrature, root finding, a definition)
            gives the same number. "inequality": no random instance violates the bound. "simulation": equal within
            Monte-Carlo error. "transcription": the code says what the formula says, in other arithmetic; nothing about
            the truth of the formula.
        predicted: what the formula of `srlm.theory` says, at the worst case tried.
        observed: what the independent route found there.
        tightness: predicted / observed; None where observed is 0.
        ok: whether the statement held in every case.
        cases: how many were tried.
        note: what to know about the statement or the route.
    """

    id: str
    statement: str
    kind: Kind
    predicted: float
    observed: float
    tightness: float | None
    ok: bool
    cases: int
    note: str | None = None


def agrees(
    label: str,
    statement: str,
    predicted: ArrayLike,
    observed: ArrayLike,
    *,
    kind: Kind,
    tolerance: float = 1e-9,
    note: str | None = None,
) -> Check:
    """Two routes give the same numbers, within a relative tolerance (absolute below 1e-300)."""
    left, right = _pair(predicted, observed)
    gaps = np.abs(left - right) / np.maximum(np.abs(right), 1e-300)
    worst = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
    return _check(label, statement, kind, left, right, worst, bool(gaps[worst] <= tolerance), note)


def dominates(
    label: str,
    statement: str,
    bound: ArrayLike,
    measured: ArrayLike,
    *,
    kind: Kind,
    attained: float | None = None,
    note: str | None = None,
) -> Check:
    """A bound is nowhere below what was measured.

    Args:
        label, statement, kind, note: as in `Check`.
        bound, measured: one number a case, >= 0.
        attained: where the bound is known to be sharp: the largest bound/measured allowed at the sharpest case, so that
            a bound which became looser fails, too.
    """
    left, right = _pair(bound, measured)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(right > 0, left / np.where(right > 0, right, 1.0), np.inf)
    holds = bool(np.all(left >= right * (1 - 1e-9) - 1e-15))
    worst = int(np.argmin(ratio))
    sharp = attained is None or bool(ratio[worst] <= attained)
    return _check(label, statement, kind, left, right, worst, holds and sharp, note)


@dataclass(slots=True)
class Cases:
    """Numbers of the formula beside those of the other route, gathered case by case.

    Attributes:
        formula: predicted values, or bounds.
        direct: what the other route gives.
    """

    formula: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)

    def add(self, formula: ArrayLike, direct: ArrayLike) -> None:
        """One case, or an array of them."""
        left, right = _pair(formula, direct)
        self.formula += left.tolist()
        self.direct += right.tolist()

    def agree(self, label: str, statement: str, kind: Kind, tolerance: float = 1e-9, note: str | None = None) -> Check:
        """`agrees` of all cases."""
        return agrees(label, statement, self.formula, self.direct, kind=kind, tolerance=tolerance, note=note)

    def dominate(self, label: str, statement: str, attained: float | None = None, note: str | None = None) -> Check:
        """`dominates` in all cases."""
        return dominates(label, statement, self.formula, self.direct, kind="inequality", attained=attained, note=note)


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.broadcast_arrays(np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64))
    return np.atleast_1d(left).ravel(), np.atleast_1d(right).ravel()


def _check(
    label: str, statement: str, kind: Kind, left: np.ndarray, right: np.ndarray, worst: int, ok: bool, note: str | None
) -> Check:
    predicted, observed = float(left[worst]), float(right[worst])
    tightness = predicted / observed if observed != 0 else None
    return Check(label, statement, kind, predicted, observed, tightness, ok, len(left), note)
