"""What one check says, and the two ways of checking: two routes agree, or a bound dominates what was measured.

Knows: the kinds of evidence, tolerances, and how the worst of many cases is kept. Refuses to know: any formula.
"""

from collections.abc import Callable, Iterator
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
        left, right = np.broadcast_arrays(np.asarray(formula, np.float64), np.asarray(direct, np.float64))
        self.formula += np.atleast_1d(left).ravel().tolist()
        self.direct += np.atleast_1d(right).ravel().tolist()

    def agree(self, label: str, statement: str, kind: Kind, tolerance: float = 1e-9, note: str | None = None) -> Check:
        """Two routes give the same numbers, within a relative tolerance (absolute below 1e-300)."""
        left, right = np.array(self.formula), np.array(self.direct)
        gaps = np.abs(left - right) / np.maximum(np.abs(right), 1e-300)
        worst = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
        return self._check(label, statement, kind, worst, bool(gaps[worst] <= tolerance), note)

    def dominate(self, label: str, statement: str, attained: float | None = None, note: str | None = None) -> Check:
        """A bound is nowhere below what was measured, both >= 0.

        Where the bound is known to be sharp, `attained` is the largest bound/measured allowed at the sharpest case, so
        that a bound which became looser fails, too.
        """
        left, right = np.array(self.formula), np.array(self.direct)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(right > 0, left / np.where(right > 0, right, 1.0), np.inf)
        holds = bool(np.all(left >= right * (1 - 1e-9) - 1e-15))
        worst = int(np.argmin(ratio))
        sharp = attained is None or bool(ratio[worst] <= attained)
        return self._check(label, statement, "inequality", worst, holds and sharp, note)

    def _check(self, label: str, statement: str, kind: Kind, worst: int, ok: bool, note: str | None) -> Check:
        predicted, observed = self.formula[worst], self.direct[worst]
        tightness = predicted / observed if observed != 0 else None
        return Check(label, statement, kind, predicted, observed, tightness, ok, len(self.formula), note)


Checks = Callable[[np.random.Generator], Iterator[Check]]


def in_turn(*parts: Checks) -> Checks:
    """The checks of several parts, which share one generator."""
    return lambda rng: (check for part in parts for check in part(rng))
