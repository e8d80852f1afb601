"""Reading back what `srlm diagnose --out` wrote.

Knows: where the document lies, which fields make it a diagnosis, and what of it a plan begins with.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srlm.errors import InputError

DIAGNOSIS_FILE = "diagnosis.json"
_REQUIRED = ("model", "prompts", "kappa", "failure_rate", "accuracy", "verdict", "bootstrap", "settings", "format")
_FORMAT = 1


def holds_diagnosis(path: Path) -> bool:
    """Whether `path` is a diagnosis, or a folder with one."""
    return (path / DIAGNOSIS_FILE).is_file() or (path.is_file() and path.suffix == ".json")


def read_diagnosis(path: Path) -> dict[str, Any]:
    """The document of a diagnosis.

    Args:
        path: the folder, or the file itself.

    Raises:
        InputError: nothing there, no diagnosis, or one of another format.
    """
    file = path / DIAGNOSIS_FILE if path.is_dir() else path
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{str(file)!r} is no diagnosis ({error}); write one with srlm diagnose --out") from error
    missing = [name for name in _REQUIRED if not isinstance(found, dict) or name not in found]
    if missing or not found["prompts"] or not found["verdict"]:
        what = ", ".join(missing) or "prompts or no verdict"
        raise InputError(f"{str(file)!r} is no diagnosis: it has no {what}; write one with srlm diagnose --out")
    if found["format"] != _FORMAT:
        raise InputError(
            f"{str(file)!r} has format {found['format']!r}, this srlm reads {_FORMAT}; write it anew with srlm diagnose"
        )
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """One argument of `srlm.theory.plan` as a diagnosis measured it, and which of its numbers it is."""

    name: str
    value: float
    note: str


def planning_inputs(path: Path, sized: bool) -> list[Measured]:
    """kappa0, min_confidence, margin (nats) and dim for a plan, as far as the diagnosis has them.

    Args:
        path: the folder of a diagnosis, or the file itself.
        sized: the size of the class is known from elsewhere, so that no dimension is needed.

    Raises:
        InputError: as `read_diagnosis`; a field of the wrong type; no effective dimension where one is needed.
    """
    found = read_diagnosis(path)
    try:
        margins = [one["margin_lower"] for one in found["prompts"] if (one.get("margin_lower") or 0) > 0]
        dimension = None if sized else (found.get("effective_dimension") or {}).get("value")
        said = [
            Measured("kappa0", found["kappa"]["upper"], "the upper end of its bracket"),
            Measured(
                "min_confidence",
                found["min_confidence"]["lower"],
                "the lower end, over the prompts of the diagnosis (round 0)",
            ),
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{str(path)!r} is no diagnosis ({error}); write one with srlm diagnose --out") from error
    if margins:
        said.append(Measured("margin", min(margins), "the smallest positive lower bound"))
    if dimension is not None:
        said.append(Measured("dim", dimension, "the effective dimension"))
    elif not sized:
        raise InputError(
            f"{str(path)!r} has no effective dimension (it was made without spectra); give --dim and --radius, or "
            "--log-class-size"
        )
    return said
