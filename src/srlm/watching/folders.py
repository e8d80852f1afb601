"""Which files of a folder hold completions, of which format, in which order; and what trl measured beside them.

Knows: names of files and folders. Refuses to know: what is in a file of completions.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from srlm.errors import InputError
from srlm.records.run_directory import RUN_FILE
from srlm.records.text import visible
from srlm.watching.formats import FORMATS
from srlm.watching.reading import File, record_of

_MOST = 1e300  # what lies beyond is no measurement
_SUFFIXES = (".jsonl", ".ndjson", ".parquet")
# What trl calls the numbers that a watcher knows by another name.
_NAMES = {"sampling/sampling_logp_difference/mean": "mismatch", "completions/clipped_ratio": "cut_share"}


def files_of(folder: Path, asked: str | None = None) -> tuple[str, list[File], list[str]]:
    """The files that hold completions.

    Args:
        folder: a folder, or one file.
        asked: the format's name; None: recognised.

    Returns:
        The format's name, the files in order of their steps, and notes.

    Raises:
        InputError: nothing is there, several formats are, or two files of one step that differ.
    """
    if asked is not None and asked not in FORMATS:
        raise InputError(f"format {asked!r} is unknown; use one of {', '.join(FORMATS)}")
    if not folder.exists():
        raise InputError(f"{folder} does not exist; give the folder that the trainer writes its completions to")
    if (folder / RUN_FILE).is_file():
        raise InputError(f"{folder} is a run of srlm already; look at it with: srlm report {folder}")
    found: dict[str, list[File]] = {}
    for path in _walk(folder) if folder.is_dir() else [folder]:
        shown = path.relative_to(folder).as_posix() if folder.is_dir() else "/".join(path.absolute().parts[-2:])
        for name, step in _claims(path, shown, asked):
            file = File(path, visible(shown, 80), name, step, path.stat().st_size)
            found.setdefault(name, []).append(file)
    if len(found) > 1:
        found.pop("table", None)  # a table is what no other format claims
    if not found:
        known = "; ".join(f"{one.name}: {one.about}" for one in FORMATS.values())
        raise InputError(f"{folder} holds no completions{f' of format {asked}' if asked else ''} ({known})")
    if len(found) > 1:
        told = ", ".join(f"{name} ({len(files)} files, e.g. {files[0].shown})" for name, files in found.items())
        raise InputError(f"{folder} holds several formats: {told}; choose one with --format")
    (name, files), *_ = found.items()
    files.sort(key=lambda one: (0 if name == "table" else one.step, _natural(one.shown)))
    files, copies = _without_copies(files, name)
    last = files[-1].step
    return name, [replace(one, whole=_whole(one, last)) for one in files], copies


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".") and not (Path(where, one, RUN_FILE)).is_file()]
        yield from (Path(where, one) for one in names if one.endswith(_SUFFIXES) and not one.startswith("."))


def _claims(path: Path, shown: str, asked: str | None) -> Iterator[tuple[str, int]]:
    for name, one in FORMATS.items():
        if asked not in (None, name) or (match := one.path.fullmatch(shown)) is None:
            continue
        if asked is None and name == "verl" and not _is_verl(path):
            continue
        yield name, int(match[1][-18:]) if match[1] else 0
        if name != "table":
            return


def _is_verl(path: Path) -> bool:
    """A number alone is no format: the first record decides; an empty or half-written one may become anything."""
    with path.open("rb") as lines:
        first = record_of(lines.readline())
    return first is None or ("input" in first and "output" in first)


def _without_copies(files: Sequence[File], name: str) -> tuple[list[File], list[str]]:
    """Two files of one step are one written twice, or two runs in one folder."""
    kept: dict[Any, File] = {}
    copies: list[str] = []
    for one in files:
        place = (one.size, _digest(one.path)) if name == "table" and _twins(one, files) else one.shown
        if name != "table":
            place = (one.step, one.path.name if name == "prime-rl" else "")
        if (then := kept.setdefault(place, one)) is one:
            continue
        if name != "table" and (then.size != one.size or _digest(then.path) != _digest(one.path)):
            raise InputError(
                f"{then.shown} and {one.shown} are both of step {one.step} and differ; give the folder of one run"
            )
        copies.append(f"{one.shown} is a copy of {then.shown} and was left out")
    return list(kept.values()), [*copies[:3], *([f"{len(copies) - 3} more files are copies"] if copies[3:] else [])]


def _twins(one: File, files: Sequence[File]) -> bool:
    return sum(other.size == one.size for other in files) > 1


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part[-18:]), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]


def _whole(file: File, last: int) -> bool:
    """Whether nothing more is to be written to a file: a later step is there, or its end is."""
    if file.format == "table" and file.path.suffix != ".parquet":
        return True  # read as it grows
    if file.format == "prime-rl":
        return file.step < last or (file.path.parent / "STABLE").exists()
    if file.path.suffix == ".parquet":
        with file.path.open("rb") as end:
            end.seek(max(0, file.size - 4))
            return end.read() == b"PAR1" and file.size > 8
    return file.step < last


def trainer_state(folder: Path) -> tuple[dict[int, dict[str, float]], frozenset[str] | None]:
    """What trl measured at every step, from the newest `trainer_state.json`, and the names of its rewards; nothing, and
    None, where there is none.
    """
    root = folder if folder.is_dir() else folder.parent
    root = root.parent if root.name == "completions" else root
    best: list[Mapping[str, Any]] = []
    for path in [*root.glob("trainer_state.json"), *root.glob("checkpoint-*/trainer_state.json")]:
        try:
            history = json.loads(path.read_text(encoding="utf-8")).get("log_history")
        except (OSError, ValueError, AttributeError, RecursionError):
            continue  # being written, or another program's
        known = history if isinstance(history, list) else []
        best = max(best, [one for one in known if isinstance(one, dict)], key=len)
    told: dict[int, dict[str, float]] = {}
    for entry in best:
        finite = ((name, one) for name, one in entry.items() if isinstance(one, int | float) and abs(one) < _MOST)
        numbers = {_NAMES.get(name, name): float(one) for name, one in finite}
        told.setdefault(int(numbers.pop("step", 0)), {}).update(numbers)
    named = [re.fullmatch(r"rewards/(.+)/mean", name) for entry in best for name in entry]
    return told, frozenset(one[1] for one in named if one) or None
