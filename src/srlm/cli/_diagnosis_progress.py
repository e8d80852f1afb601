"""What a person waiting for a diagnosis sees on stderr: the stage, and how far it is.

Knows: rich.
"""

import sys
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from srlm.records.text import visible


class DiagnosisProgress:
    """A bar for `diagnose`'s `progress`; a context manager."""

    def __init__(self) -> None:
        self._prefix = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            transient=True,
        )
        self._task = self._progress.add_task("loading the model", total=None)

    def __enter__(self) -> "DiagnosisProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def named(self, what: str) -> "DiagnosisProgress":
        """The same bar for one of several models."""
        self._prefix = f"{escape(visible(what, 40))}: "
        self._progress.update(self._task, description=f"{self._prefix}loading", total=None, completed=0)
        return self

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._progress.update(self._task, description=self._prefix + stage, completed=done, total=total)
