"""Reading back what `srlm diagnose --out` wrote.

Knows: where the document lies and which fields make it a diagnosis.
"""

import json
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
