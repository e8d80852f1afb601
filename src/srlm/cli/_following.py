"""The rounds of runs that may still be working, in a compact table on stderr.

Knows: rich, and how a page writes numbers. Refuses to know: who works, what a page says.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from srlm.errors import InputError
from srlm.records.rounds import SPLITS
from srlm.records.run_directory import RunDirectory
from srlm.records.text import duration, visible
from srlm.report import numbers
from srlm.report.reading import RunView, read_run

_ROWS = 12  # newest rounds of a run
_AHEAD = (("metrics", "measured"), ("modes", "modes found"), ("samples", "drawn"), ("checkpoint", "trained"))


@contextmanager
def following(folders: Sequence[Path], stamp: Callable[[], Any]) -> Iterator[Callable[[], None]]:
    """A function that shows what is new, if anything is.

    Args:
        folders: of the runs.
        stamp: another value whenever their records are others.
    """
    seen: list[Any] = [object()]
    with Live(console=Console(file=sys.stderr), auto_refresh=False) as live:

        def look() -> None:
            if seen[0] != (now := stamp()):
                seen[0] = now
                live.update(Group(*map(_table, folders)), refresh=True)

        yield look


def _table(folder: Path) -> Any:
    name = escape(visible(str(folder), 60))
    try:
        run = read_run(folder, False)
    except (InputError, OSError) as error:
        return f"[bold]{name}[/]: {escape(visible(str(error), 160))}"
    table = Table(title=f"{name}: {_status(run)}", title_justify="left", box=None, pad_edge=False)
    kappa, modes = run.kappa_name, run.modes_name
    for header in ("round", "prompts", kappa, "failing", "right samples", f"right {modes}", "corrupted", "time"):
        table.add_column(header, justify="left" if header in ("prompts", kappa) else "right")
    for one in run.rounds[-_ROWS:]:
        for split in SPLITS:
            if (of := one.split(split)) is None:
                continue
            fates = of.fates.get("majority" if run.of_answers else "mode", {}) if one.round else {}
            cells = (
                str(one.round),
                split.replace("_", " "),
                numbers.kappa(of).partition(" (")[0],
                numbers.measured(of, "failure_rate").partition(" (")[0],
                numbers.share(of.accuracy.sample, "–"),
                numbers.share(of.accuracy.mode, "–"),
                f"{fates['corrupted']} of {sum(fates.values())}" if "corrupted" in fates else "–",
                duration(sum(one.seconds.values())),
            )
            table.add_row(*map(escape, cells))
    return table


def _status(run: RunView) -> str:
    """The run's word for itself, and how far the round is that it works at."""
    status = run.record.status
    if status != "running" or run.watched:
        return status
    ahead = RunDirectory(run.path).round(len(run.rounds))
    done = next((words for stage, words in _AHEAD if ahead.is_complete(stage)), None)  # type: ignore[arg-type]
    return f"round {ahead.number}{f' of {run.planned_rounds}' if run.planned_rounds else ''}: {done or 'begun'}"
