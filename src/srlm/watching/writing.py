"""What a watcher saw, as the run directory that `srlm report` reads.

Knows: rounds and a page's prompts come from the watcher's windows; they are replaced as a whole whenever they are
written, because windows merge. Refuses to know: how a page looks.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from srlm.records.atomic import replace_folder, write_bytes
from srlm.records.rounds import Split
from srlm.records.run_directory import PROMPTS_FILE, RoundDirectory, RunDirectory, Status, prompt_key
from srlm.records.tables import samples_to_table
from srlm.watching.steps import Watcher


class _Prompt(NamedTuple):
    text: str
    split: Split = "train"
    answers: tuple[str, ...] = ()


def start(folder: Path, model: str, configuration: Mapping[str, Any]) -> RunDirectory:
    """The run directory of a watched run, in a new or empty folder, with what a page calls the run, and JSON values
    that are worth showing.

    Raises:
        InputError: the folder holds something already.
    """
    from srlm import __version__

    told = {"model": model, "level": "answer", "loss_type": "watched", **configuration}
    return RunDirectory.create(folder, told, {"versions": {"srlm": __version__}})


def write(watcher: Watcher, directory: RunDirectory, status: Status = "running", reason: str | None = None) -> None:
    """Write everything seen so far; alarms and notes go to `run.json`."""
    with replace_folder(directory.path / "rounds") as fresh:
        for record, shown in zip(watcher.rounds(), watcher.windows.tables(), strict=True):
            folder = RoundDirectory(fresh / f"{record.round:02d}", record.round)
            prompts = [_Prompt(text) for text, _ in shown]
            folder.write_table("samples", samples_to_table(prompts, [one for _, one in shown], 0.0))
            folder.write_metrics(record.to_document())
    latest = watcher.windows.latest()
    table = pa.table(
        {
            "prompt": pa.array([prompt_key(one.prompt) for one in latest], pa.string()),
            "sample_accuracy": pa.array([one.accuracy for one in latest], pa.float64()),
            "majority_correct": pa.array([one.leader_correct for one in latest], pa.bool_()),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_bytes(directory.path / PROMPTS_FILE, sink.getvalue().to_pybytes())
    directory.update(
        status=status,
        reason=reason,
        prompts={"train": len(watcher.memory)},
        alarms=[one.to_document() for one in watcher.alarms],
        notes=watcher.notes,
    )
