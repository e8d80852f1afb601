"""Every numbered statement of the theory, checked; each check says what its agreement shows (`Kind`).

Knows: the order of the checks, and that one failure fails the whole. Refuses to know: the formulas.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from srlm.verification import (
    answers,
    certificates,
    linear_softmax,
    measured,
    one_step,
    plans,
    projection,
    rounds,
    sharpening,
)
from srlm.verification._check import KINDS, Check, Kind

__all__ = ["Check", "Kind", "Verification", "checks", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks, and whether every one of them held."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """As one JSON document."""
        return {"checks": [asdict(check) for check in self.checks], "kinds": self.kinds, "ok": self.ok}

    @property
    def kinds(self) -> dict[Kind, int]:
        """How many checks of each kind there are; a transcription is no evidence for a theorem, so it counts apart."""
        return {kind: sum(check.kind == kind for check in self.checks) for kind in KINDS}


_PARTS = (sharpening, one_step, rounds, linear_softmax, plans, measured, projection, certificates, answers)


def verify(seed: int = 0) -> Verification:
    """Check every numbered statement of `docs/theory`; takes some seconds.

    Args:
        seed: random policies, spectra and parameters follow from it.
    """
    return Verification(tuple(checks(seed)))


def checks(seed: int = 0) -> Iterator[Check]:
    """The checks of `verify`, one by one."""
    for part, stream in zip(_PARTS, np.random.SeedSequence(seed).spawn(len(_PARTS)), strict=True):
        try:
            yield from part.checks(np.random.default_rng(stream))
        except Exception as error:  # a formula that raises where it should answer is a failed check, not a broken run
            why = f"the checks broke off: {type(error).__name__}: {error}"
            yield Check(part.__name__.removeprefix("srlm.verification."), why, "identity", 0.0, 1.0, 0.0, False, 1)
