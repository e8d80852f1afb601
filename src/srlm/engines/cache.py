"""What an endpoint answered, kept on disk, so that it is paid for once.

Knows: one SQLite file. A cache that cannot be used is a note, never a failure. Refuses to know: prompts and keys (it
holds digests of questions, and the texts that answered them), how anything is asked.
"""

import os
import sqlite3
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = "answers.sqlite"
OFF = "none"
# Text, and whether it ended by itself (None: nobody said).
Told = tuple[str, bool | None]


class Cache:
    """Draws by the digest of their question and their number.

    Args:
        folder: where; None is the user's cache folder, "none" keeps nothing.
        note: is told, once, why nothing can be read or kept.
    """

    def __init__(self, folder: str | None, note: Callable[[str], None]) -> None:
        self._note, self._writes, self._file = note, folder != OFF, None
        if folder == OFF:
            return
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        path = Path(os.path.expanduser(folder or f"{base}/srlm")) / FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            weakref.finalize(self, self._file.close)
            # A killed process loses nothing; after a power cut a draw may have to be paid for again.
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=OFF")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS draws (question TEXT, number INTEGER, text TEXT, stopped INTEGER, "
                "PRIMARY KEY (question, number)) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            self._fails(error, "used")
            self._file = None

    @property
    def keeps(self) -> bool:
        """Whether what is written can be read again."""
        return self._file is not None and self._writes

    def read(self, question: str) -> dict[int, Told]:
        """The draws known, by their numbers."""
        rows = self._run("SELECT number, text, stopped FROM draws WHERE question = ?", (question,), "read")
        return {number: (text, None if stopped is None else bool(stopped)) for number, text, stopped in rows}

    def write(self, question: str, draws: Mapping[int, Told]) -> None:
        """Keep draws; one that is known stays as it is."""
        if self._writes:
            values = [value for number, told in draws.items() for value in (question, number, *told)]
            rows = ", ".join(["(?, ?, ?, ?)"] * len(draws))
            self._run(f"INSERT OR IGNORE INTO draws VALUES {rows}", values, "written")

    def _run(self, text: str, values: Sequence[Any], what: str) -> list[Any]:
        try:
            return self._file.execute(text, values).fetchall() if self._file and values else []
        except sqlite3.Error as error:
            self._fails(error, what)
            return []

    def _fails(self, error: Exception, what: str) -> None:
        if self._writes:
            self._note(f"the cache of answers cannot be {what} ({error}); what is drawn now will be paid for again")
        self._writes = False
