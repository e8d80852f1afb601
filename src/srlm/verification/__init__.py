"""Every numbered statement of the theory, checked by a route that shares no code with `srlm.theory`.

Knows: the order of the checks, and that one failure fails the whole.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from srlm.verification import linear_softmax, measured, one_step, rounds
from srlm.verification._check import Check

__all__ = ["Check", "Verification", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks, and whether every one of them held."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """As one JSON document."""
        return {"checks": [asdict(check) for check in self.checks], "ok": self.ok}


def verify(seed: int = 0) -> Verification:
    """Check every numbered statement of `docs/theory`; takes some seconds.

    Args:
        seed: random policies, spectra and parameters follow from it.
    """
    parts = (one_step, rounds, linear_softmax, measured)
    streams = np.random.SeedSequence(seed).spawn(len(parts))
    found = [
        check
        for part, stream in zip(parts, streams, strict=True)
        for check in part.checks(np.random.default_rng(stream))
    ]
    return Verification(tuple(found))
