"""Somebody else's run, read from the files it wrote: `audit` once, `follow` while it writes.

Knows: folders, readers, the watcher they feed, the run directory that comes out. Refuses to know: models, torch, how
files look.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srlm.errors import InputError
from srlm.records.options import option, problems
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.tasks.answers import answer_rule
from srlm.watching import writing
from srlm.watching.alarms import Alarm
from srlm.watching.folders import files_of, trainer_state
from srlm.watching.formats import FORMATS
from srlm.watching.reading import Readers, Reading
from srlm.watching.steps import Watcher, WatchSettings

# Below this a folder is read before processes have started.
_SMALL = 24 << 20
_SOURCE = "audit"


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings of an audit."""

    format: str | None = option(
        None, "Format of the files.", "format", choices=tuple(FORMATS), shown="recognised", on_resume="unrecorded"
    )
    answers: str = option("auto", "Rule by which answers are read, as for srlm run.", "answers")
    prompts: int = option(
        1_000_000, "Prompts remembered; beyond that a sample of them, chosen by hash.", "prompts", low=1
    )
    windows: int = option(
        16, "Windows of steps that become the rounds of the page, at most.", "windows", low=2, below=51
    )
    idle: float = option(
        600.0,
        "With --follow: seconds without anything new after which the run counts as over.",
        "idle",
        above=0,
        high=10_000_000,
    )
    poll: float = option(2.0, "With --follow: seconds between two looks.", "poll", above=0, high=10_000_000)

    def __post_init__(self) -> None:
        if wrong := problems(self):
            raise InputError(wrong)
        answer_rule(self.answers)


class Audit:
    """An audit as far as it came.

    Attributes:
        folder, settings: as they were given.
        format: its name.
        watcher: what saw the steps.
        steps: how many there were.
    """

    def __init__(self, folder: Path, settings: AuditSettings | None = None) -> None:
        self.folder, self.settings = folder, settings or AuditSettings()
        self.format, files, self._copies = files_of(folder, self.settings.format)
        few = sum(one.size for one in files) < _SMALL
        self._readers = Readers(0 if few else min(2, os.cpu_count() or 1))
        self._reading = Reading(self.settings.answers, self._readers)
        self._metrics: dict[int, dict[str, float]] = {}
        self.steps, self._first, self._last = 0, 0, 0
        self.watcher = Watcher(
            WatchSettings(
                prompts=self.settings.prompts, windows=self.settings.windows, length_unit=FORMATS[self.format].unit
            )
        )

    def close(self) -> None:
        """End the processes that read."""
        self._readers.close()

    def read(self, final: bool) -> list[Alarm]:
        """Take in what is new (`final`: nothing is written any more); the alarms that it raised.

        Raises:
            InputError: the folder has become unreadable; with `final`: there are no completions, or steps in no order.
        """
        self.format, files, self._copies = files_of(self.folder, self.format)
        if self.format == "trl":
            self._metrics, self._reading.rewards = trainer_state(self.folder)
        fired: list[Alarm] = []
        for step, groups in self._reading.steps(files, final):
            fired += self.watcher.step(step, groups, self._metrics.get(step, {}))
            self._first = step if self.steps == 0 else self._first
            self.steps, self._last = self.steps + 1, step
        if final:
            self._check()
        return fired

    def grew(self, before: Mapping[Path, int]) -> dict[Path, int] | None:
        """Sizes of the files, None where they are what they were."""
        now = {one.path: one.size for one in files_of(self.folder, self.format)[1]}
        return None if now == before else now

    def _check(self) -> None:
        read = self._reading
        if not self.steps:
            why = next((f"{name}: {why}" for name, why in read.unreadable.items()), None)
            why = why or next(read.notes(), "its files are empty")
            raise InputError(f"{self.folder} holds no completion that can be read as {self.format} ({why})")
        if read.backwards > read.completions:
            raise InputError(
                f"{self.folder}: most completions belong to a step before the one above them; sort them by step"
            )

    @property
    def notes(self) -> list[str]:
        """What is worth knowing beside alarms, a sentence each."""
        told = [*self._copies, *self._reading.notes(), *self.watcher.notes]
        if self.format == "prime-rl":
            told.append(
                "token exports hold no texts: log-probabilities, lengths, entropy and the mismatch of sampler and "
                "trainer are measured, answers, majorities and accuracy cannot be"
            )
        if self.format == "trl" and self.steps <= (self._last - self._first) // 2:
            told.append(
                f"only {self.steps} of {self._last - self._first + 1} steps have a table; "
                "set logging_steps=1 to have them all"
            )
        return told

    def to_document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "folder": str(self.folder),
            "format": self.format,
            "steps": self.steps,
            "prompts": len(self.watcher.memory),
            "completions": self._reading.completions,
            "level": "answer",
            "rounds": [one.to_document() for one in self.watcher.rounds()],
            "facts": self.watcher.facts,
            "notes": self.notes,
            "alarms": [one.to_document() for one in self.watcher.alarms],
        }

    def directory(self, out: Path) -> RunDirectory:
        """The run directory to write to: new, or of an earlier audit, which is replaced.

        Raises:
            InputError: something else is there.
        """
        told = {"source": _SOURCE, "format": self.format, "folder": str(self.folder), "answers": self.settings.answers}
        told["length_unit"] = FORMATS[self.format].unit
        if (out / RUN_FILE).is_file():
            directory = RunDirectory.open(out)
            if directory.record().get("configuration", {}).get("source") == _SOURCE:
                directory.update(configuration=directory.record()["configuration"] | told)
                return directory
        return writing.start(out, self.folder.absolute().name, told)

    def write(self, directory: RunDirectory, final: bool) -> None:
        """Write all that was seen so far."""
        writing.write(self.watcher, directory, "done" if final else "running")
        directory.update(notes=self.notes)


def audit(folder: Path, settings: AuditSettings | None = None, out: Path | None = None) -> Audit:
    """Read a finished run: the folder that a trainer wrote, or one file of it. The run directory goes to `out`; without
    it nothing is written.

    Raises:
        InputError: the folder, its files or `out` cannot be used.
    """
    one = Audit(folder, settings)
    try:
        one.read(final=True)
    finally:
        one.close()
    if out is not None:
        one.write(one.directory(out), final=True)
    return one


def follow(
    folder: Path,
    settings: AuditSettings | None = None,
    out: Path | None = None,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[Audit, list[Alarm]]]:
    """Read a run, as `audit`, while it is written, until nothing new came for `idle` seconds. Yields the audit, and
    what it newly raised, whenever something came.
    """
    asked, quiet, final = settings or AuditSettings(), 0.0, False
    while not _begun(folder, asked) and quiet < asked.idle:
        wait(asked.poll)
        quiet += asked.poll
    one = Audit(folder, asked)
    try:
        directory = None if out is None else one.directory(out)
        sizes: dict[Path, int] = {}
        while not final:
            final = quiet >= asked.idle
            now = one.grew(sizes)
            if now is None and not final:
                wait(asked.poll)
                quiet += asked.poll
                continue
            quiet, sizes = 0.0, now or sizes
            fired = one.read(final)
            if directory is not None:
                one.write(directory, final)
            yield one, fired
    finally:
        one.close()


def _begun(folder: Path, settings: AuditSettings) -> bool:
    """Whether a run has written anything; before that its folder may be empty."""
    try:
        files_of(folder, settings.format)
    except InputError:
        return not folder.is_dir() or any(folder.iterdir())
    return True
