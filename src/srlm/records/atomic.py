"""Files and folders that are either there whole or not at all.

Knows: a temporary name in the same folder, fsync, rename. What a crash leaves behind carries the temporary mark and
is never read; the next writer of the same name removes it. Refuses to know: what is in them.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_MARK = ".partial-"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`; after a crash it holds the old bytes or the new ones.

    Raises:
        OSError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = _temporary(path)
    try:  # Ctrl-C may come as soon as it is there
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # whatever the umask
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for UTF-8 text; half a character (a lone surrogate) becomes its escape, as JSON writes it."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, document: Any) -> None:
    """`write_bytes` for one JSON document.

    Raises:
        ValueError: the document holds NaN or an infinity.
    """
    text = json.dumps(document, allow_nan=False, ensure_ascii=False, indent=2) + "\n"
    write_bytes(path, text.encode("utf-8", "backslashreplace"))  # a lone surrogate stays the escape it was read from


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A new empty folder that takes the place of `folder` when the block ends without an exception.

    Raises:
        OSError: as for `write_bytes`; the old folder is untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    temporary = _temporary(folder)
    try:
        temporary.mkdir()
        temporary.chmod(0o755)
        yield temporary
        for path in temporary.rglob("*"):
            if path.is_file():
                _sync_file(path)
        old = folder.with_name(f"{folder.name}{_MARK}old")
        if folder.exists():
            folder.replace(old)
        temporary.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            recover(folder)
        raise
    _sync_folder(folder.parent)


def is_empty(folder: Path) -> bool:
    """Whether nothing but what a crash left behind is in an existing folder."""
    return all(_MARK in one.name for one in folder.iterdir())


def recover(folder: Path) -> None:
    """Put a folder back that a crash caught while it was being replaced, between two renames."""
    old = folder.with_name(f"{folder.name}{_MARK}old")
    if old.is_dir() and not folder.exists():
        time.sleep(0.1)  # somebody who is alive is through with it by then
        if not folder.exists():
            with suppress(FileNotFoundError):
                old.replace(folder)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}{_MARK}{os.urandom(5).hex()}")


def _remove_leftovers(path: Path) -> None:
    if not path.parent.is_dir():
        return
    recover(path)
    for leftover in path.parent.glob(f"{_glob_escape(path.name)}{_MARK}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _glob_escape(name: str) -> str:
    """`name` with the characters that mean something to glob taken literally."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
