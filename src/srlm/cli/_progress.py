"""What a person who waits sees on stderr: the stage, how far it is, and how long a run will still take.

Knows: rich. The remaining time is a guess from the stages already measured, and is not shown before there is one.
Refuses to know: how anything is measured.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from srlm.records.answers import AnswersRecord
from srlm.records.progress import Observer
from srlm.records.rounds import RoundRecord, SplitRecord
from srlm.records.run_directory import RunDirectory
from srlm.records.text import duration, visible
from srlm.report import numbers

_DOING = {"sample": "sampling", "certify": "finding modes", "train": "training", "save": "saving"}


class DiagnosisProgress(Observer):
    """A bar for the stages of a diagnosis; a context manager."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr)
        self._prefix = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[left]}"),
            console=self.console,
            transient=True,
        )
        self._task = self._bar.add_task("loading the model", total=None, left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def named(self, what: str) -> Self:
        """The same bar for one of several models."""
        self._prefix = f"{escape(visible(what, 40))}: "
        self._bar.update(self._task, description=f"{self._prefix}loading", total=None, completed=0)
        return self

    def stage(self, round_number: int, name: str, total: int) -> None:
        text = self._prefix + _DOING.get(name, name)
        self._bar.update(self._task, description=text, total=total, completed=0, left=self._left())

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        self.say(text)

    def advance(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total, left=self._left())

    def _left(self) -> str:
        return ""


class RoundProgress(DiagnosisProgress):
    """A bar for the stages of a run, and a line for every round.

    Args:
        after_round: called with the run's folder after every round (writes the page).
    """

    def __init__(self, after_round: Callable[[Path], Any]) -> None:
        super().__init__()
        self._rounds, self._after_round = 0, after_round
        self._spent: dict[str, list[float]] = defaultdict(list)
        self._stage: tuple[int, str] | None = None
        self._began = 0.0

    def begin(self, rounds: int) -> None:
        self._rounds = rounds

    def stage(self, round_number: int, name: str, total: int) -> None:
        self._close_stage()
        self._stage, self._began = (round_number, name), time.monotonic()
        self._prefix = f"round {round_number} of {self._rounds}: "
        super().stage(round_number, name, total)

    def round_done(self, directory: RunDirectory, record: RoundRecord) -> None:
        self._close_stage()
        self.say(_summary(record))
        self._after_round(directory.path)

    def _close_stage(self) -> None:
        if self._stage is not None:
            self._spent[self._stage[1]].append(time.monotonic() - self._began)
            self._stage = None

    def _left(self) -> str:
        """Every stage still to come costs what it cost last; training is unknown until the first update is through."""
        number, name = self._stage or (0, "certify")
        if not self._spent["sample"] or (name == "certify" and not self._spent["certify"]):
            return ""
        order = ("train", "sample", "certify")
        whole = sum(self._spent[stage][-1] for stage in order if self._spent[stage])
        ahead = (self._rounds - number) * whole
        if name in order:
            ahead += sum(self._spent[stage][-1] for stage in order[order.index(name) :] if self._spent[stage])
        ahead -= time.monotonic() - self._began
        note = "" if self._spent["train"] else " and training"
        return f"about {duration(ahead)}{note} left" if ahead > 0 else ""


def _summary(record: RoundRecord) -> str:
    """A round in a line; in parentheses the 95 % interval over prompts."""
    split = record.train or record.held_out
    parts = []
    if split is not None and split.answers is not None:
        parts += _of_answers(record, split, split.answers)
    elif split is not None:
        tau = record.projection.tau if record.projection else None
        parts.append(f"kappa {numbers.kappa(split)}{'' if tau is None else f' (tau {numbers.number(tau)})'}")
        parts.append(f"failure rate {_over_prompts(split, numbers.bracket(split.failure_rate), 'failure_rate')}")
        if split.accuracy.sample is not None:
            known = [(name, value) for name, value in split.accuracy if isinstance(value, float)]
            shown = (f"{name} {_over_prompts(split, f'{value:.2f}', f'{name}_accuracy')}" for name, value in known)
            parts.append(f"accuracy {', '.join(shown)}")
        if record.round and split.mode_drift is not None:
            parts.append(f"modes moved {split.mode_drift:.2f}")
        parts.append(f"{split.mean_response_tokens:.1f} tokens")
    if gap := numbers.apart(record):
        parts.append(f"samples up to {gap} off training")
    return f"round {record.round}: {' | '.join(parts)} | {sum(record.seconds.values()):.0f} s"


def _over_prompts(split: SplitRecord, value: str, name: str) -> str:
    one = split.intervals.get(name)
    return value if one is None else f"{value} ({one.lower:.2f} to {one.upper:.2f})"


def _of_answers(record: RoundRecord, split: SplitRecord, of: AnswersRecord) -> list[str]:
    """Estimates, with the ends that the draws certify where they say so."""
    ends = "not known" if split.log_kappa is None else numbers.from_to(*numbers.log_ends(split.log_kappa))
    parts = [f"kappa_A about {numbers.known(of.kappa_estimate)} (certified {ends})"]
    parts.append(f"failure about {numbers.known(of.failure_estimate)}")
    if split.accuracy.sample is not None:
        right = _over_prompts(split, f"{split.accuracy.sample:.2f}", "sample_accuracy")
        parts.append(f"right samples {right}, majorities {numbers.known(split.accuracy.mode)}")
    parts.append(f"{of.certified} of {split.prompts} majorities certified at {100 * of.confidence:g} %")
    if record.round and split.mode_drift is not None:
        parts.append(f"majorities moved {split.mode_drift:.2f}")
    if of.unparseable_share:
        parts.append(f"no answer in {numbers.mass(of.unparseable_share)}")
    if of.budget is not None:
        parts.append(f"{of.draws} of {of.budget} draws")
    return [*parts, f"{numbers.known(split.mean_response_tokens)} tokens"]
