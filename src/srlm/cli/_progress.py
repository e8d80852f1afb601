"""What a person watching a run sees on stderr: the stage, how far it is, and how long the run will still take.

Knows: rich. The remaining time is a guess from the stages already measured, and is not shown before there is one.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from srlm.records.run_directory import RunDirectory
from srlm.training.rounds import Observer

_DOING = {"sample": "sampling", "certify": "finding modes", "train": "training", "save": "saving"}


class RoundProgress(Observer):
    """Draws a run's progress; a context manager.

    Args:
        after_round: called with the run's folder after every round (writes the page).
    """

    def __init__(self, after_round: Callable[[Path], Any]) -> None:
        self._rounds, self._after_round = 0, after_round
        self._console = Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[left]}"),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("loading the model", total=None, left="")
        self._spent: dict[str, list[float]] = defaultdict(list)
        self._stage: tuple[int, str] | None = None
        self._began = 0.0

    def __enter__(self) -> "RoundProgress":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, rounds: int) -> None:
        self._rounds = rounds

    def stage(self, round_number: int, name: str, total: int) -> None:
        self._close_stage()
        self._stage, self._began = (round_number, name), time.monotonic()
        description = f"round {round_number} of {self._rounds}: {_DOING[name]}"
        self._progress.update(self._task, description=description, total=total, completed=0, left=self._time_left())

    def advance(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total, left=self._time_left())

    def round_done(self, directory: RunDirectory, round_number: int, metrics: dict[str, Any]) -> None:
        self._close_stage()
        self.say(_summary(round_number, metrics))
        self._after_round(directory.path)

    def _close_stage(self) -> None:
        if self._stage is not None:
            self._spent[self._stage[1]].append(time.monotonic() - self._began)
            self._stage = None

    def _time_left(self) -> str:
        """Every stage still to come costs what it cost last; training is unknown until the first update is through."""
        if self._stage is None or not self._spent["sample"] or (self._stage[0] > 0 and not self._spent["certify"]):
            return ""
        number, name = self._stage
        order = ("train", "sample", "certify")
        whole = sum(self._spent[stage][-1] for stage in order if self._spent[stage])
        ahead = (self._rounds - number) * whole
        if name in order:
            ahead += sum(self._spent[stage][-1] for stage in order[order.index(name) :] if self._spent[stage])
        ahead -= time.monotonic() - self._began
        note = "" if self._spent["train"] else " and training"
        return f"about {_duration(ahead)}{note} left" if ahead > 0 else ""


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _summary(number: int, metrics: dict[str, Any]) -> str:
    kappa, failure, accuracy = metrics["kappa"], metrics["failure_rate"], metrics["accuracy"]
    parts = [f"kappa {_interval(kappa, '.3g')}", f"failure rate {_interval(failure, '.2f')}"]
    if accuracy["sample"] is not None:
        parts.append("accuracy " + ", ".join(f"{name} {accuracy[name]:.2f}" for name in ("sample", "greedy", "mode")))
    parts.append(f"{metrics['mean_response_tokens']:.1f} tokens")
    return f"round {number}: " + " | ".join(parts) + f" | {sum(metrics['seconds'].values()):.0f} s"


def _interval(bracket: dict[str, float], form: str) -> str:
    low, high = format(bracket["lower"], form), format(bracket["upper"], form)
    return low if low == high else f"{low} to {high}"
