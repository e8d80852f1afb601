"""A run's folder: what is in it, what of it is complete, and whether it is still what was written.

Knows: `run.json` and the stages of a round (samples, modes, checkpoint, metrics). A stage counts once its manifest
(names, sizes, checksums, rows) has been renamed into place after its files, and every read checks the file against
it. Refuses to know: what a stage does.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from srlm.errors import InputError
from srlm.records.atomic import is_empty, recover, replace_folder, write_bytes, write_json
from srlm.records.reading import read_object, reading
from srlm.records.rounds import RoundRecord, RunRecord, parse
from srlm.records.text import visible

RUN_FILE = "run.json"
PROMPTS_FILE = "prompts.parquet"  # of a watched run: the last visit of every prompt kept
FORMAT = 1
_REMEDY = "delete it and resume to make the stage anew"
Status = Literal["running", "done", "stopped", "failed"]
Stage = Literal["samples", "modes", "checkpoint", "metrics"]


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The folder of one run. Make one with `create` or `open`."""

    path: Path

    @classmethod
    def create(cls, path: Path, configuration: Mapping[str, Any], about: Mapping[str, Any]) -> "RunDirectory":
        """Start a run in a new or empty folder.

        Args:
            path: the folder.
            configuration: everything that decides what the run computes, as JSON values.
            about: what is worth knowing beside it (versions, model checksum, seed, prompt counts).

        Raises:
            InputError: the folder holds a run already, or something else.
        """
        if (path / RUN_FILE).is_file():
            raise InputError(f"{path} holds a run already; add --resume to go on with it, or give another --out")
        if path.is_file() or (path.is_dir() and not is_empty(path)):
            raise InputError(f"{path} exists and is no run; give an --out that is new or empty")
        directory = cls(path)
        now = _now()
        directory._write(
            {
                "format": FORMAT,
                "status": "running",
                "reason": None,
                "created": now,
                "updated": now,
                "configuration": dict(configuration),
                **about,
            }
        )
        return directory

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """The run in an existing folder.

        Raises:
            InputError: there is no run, or one of a newer format.
        """
        directory = cls(path)
        recover(path / "model")
        recover(path / "rounds")  # which an audit replaces as a whole
        form = directory.record().get("format")
        if form != FORMAT:
            raise InputError(
                f"{path / RUN_FILE} has format {form!r}, this srlm reads {FORMAT}; use the srlm that wrote it"
            )
        parse(RunRecord, directory.record(), path / RUN_FILE)
        return directory

    def record(self) -> dict[str, Any]:
        """The contents of `run.json`."""
        file = self.path / RUN_FILE
        if not file.is_file():
            raise InputError(
                f"{self.path} holds no run ({RUN_FILE} is missing); give the folder that `srlm run --out` wrote"
            )
        return read_object(file)

    def require_same(self, configuration: Mapping[str, Any], may_differ: frozenset[str] = frozenset()) -> None:
        """Check that a resumed run is told what the run was told before.

        Raises:
            InputError: names every field that differs, with both values.
        """
        before = self.record()["configuration"]
        now = json.loads(json.dumps(configuration))
        differing = [
            f"{name} was {before.get(name)!r} and is now {now.get(name)!r}"
            for name in sorted(before.keys() | now.keys())
            if name not in may_differ and before.get(name) != now.get(name)
        ]
        if differing:
            raise InputError(
                f"the run in {self.path} was started differently: {'; '.join(differing)}; "
                "give the same values, or another --out"
            )

    def update(self, **changes: Any) -> None:
        """Change fields of `run.json` (status, reason, configuration, ...)."""
        self._write(self.record() | changes | {"updated": _now()})

    def round(self, number: int) -> "RoundDirectory":
        """The folder of round `number` >= 0, whether or not anything is in it yet."""
        return RoundDirectory(self.path / "rounds" / f"{number:02d}", number)

    def completed_rounds(self) -> list[int]:
        """Numbers of the rounds whose metrics are on disk, without gaps from 0."""
        number = 0
        while self.round(number).is_complete("metrics"):
            number += 1
        return list(range(number))

    @property
    def tables(self) -> tuple[Stage, ...]:
        """The stages of a round of this run that leave tables behind."""
        answers = self.record()["configuration"].get("level") == "answer"
        return ("samples",) if answers else ("samples", "modes")

    def whole_rounds(self) -> tuple[list["RoundDirectory"], str | None]:
        """The complete rounds before the first one that is damaged, and what is wrong with that one, if there is one.

        Raises:
            InputError: round 0 is damaged.
        """
        whole: list[RoundDirectory] = []
        for number in self.completed_rounds():
            one = self.round(number)
            try:
                one.read()
                for stage in self.tables:
                    one.read_table(stage)
            except InputError as error:
                if not whole:
                    raise
                return whole, str(error)
            whole.append(one)
        if len(list((self.path / "rounds").glob("*/metrics.manifest.json"))) > len(whole):
            return whole, f"{self.round(len(whole)).path} is not complete, but later rounds are; resume to make it anew"
        return whole, None

    def summary(self) -> dict[str, Any]:
        """The run in one JSON document: its record, and the metrics of every complete round."""
        return self.record() | {
            "folder": str(self.path),
            "rounds": [self.round(number).metrics() for number in self.completed_rounds()],
        }

    def _write(self, record: Mapping[str, Any]) -> None:
        write_json(self.path / RUN_FILE, record)


@dataclass(frozen=True, slots=True)
class RoundDirectory:
    """The folder of one round."""

    path: Path
    number: int

    @property
    def drawn(self) -> Path:
        """Where an engine keeps what it drew until the samples are in place."""
        return self.path / "drawn"

    def is_complete(self, stage: Stage) -> bool:
        """Whether the stage's manifest is in place."""
        return self._manifest_path(stage).is_file()

    def write_table(self, stage: Stage, table: pa.Table) -> None:
        """Write `samples.parquet` or `modes.parquet` and its manifest."""
        self._require_place(stage)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        name = f"{stage}.parquet"
        write_bytes(self.path / name, sink.getvalue().to_pybytes())
        self._seal(stage, [self.path / name], {"rows": table.num_rows})
        if stage == "samples":
            shutil.rmtree(self.drawn, ignore_errors=True)

    def read_table(self, stage: Stage) -> pa.Table:
        """Read a table back, checked against its manifest."""
        manifest = self._checked(stage)
        with reading(self.path / f"{stage}.parquet"):
            table = pq.read_table((self.path / f"{stage}.parquet").absolute())  # pyarrow takes ~ for a home
        if table.num_rows != manifest["rows"]:
            raise self._damaged(stage, f"{table.num_rows} rows instead of {manifest['rows']}")
        return table

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics.json` and its manifest: the round is complete."""
        self._require_place("metrics")
        write_json(self.path / "metrics.json", metrics)
        self._seal("metrics", [self.path / "metrics.json"], {})

    def metrics(self) -> dict[str, Any]:
        """Read `metrics.json` back, checked against its manifest."""
        self._checked("metrics")
        return read_object(self.path / "metrics.json")

    def read(self) -> RoundRecord:
        """What `metrics.json` says, as a record.

        Raises:
            InputError: it is damaged, or a field is missing or of the wrong type.
        """
        return parse(RoundRecord, self.metrics(), self.path / "metrics.json")

    @contextmanager
    def writing_checkpoint(self, facts: Mapping[str, Any]) -> Iterator[Path]:
        """A folder to save the policy into; it becomes `checkpoint/`, complete with its manifest, when the block ends.

        Args:
            facts: JSON values kept with the checkpoint (how it was trained).
        """
        self._require_place("checkpoint")
        folder = self.path / "checkpoint"
        with replace_folder(folder) as fresh:
            yield fresh
        self._seal("checkpoint", [path for path in sorted(folder.rglob("*")) if path.is_file()], {"facts": dict(facts)})

    def checkpoint(self) -> Path:
        """The checkpoint's folder, checked against its manifest."""
        self._checked("checkpoint")
        return self.path / "checkpoint"

    def checkpoint_facts(self) -> dict[str, Any]:
        """What was kept with the checkpoint."""
        with reading(self._manifest_path("checkpoint"), _REMEDY):
            return dict(self._manifest("checkpoint")["facts"])

    def _require_place(self, stage: Stage) -> None:
        """Nothing is written where the manifest, which comes last, has no place."""
        if (path := self._manifest_path(stage)).is_dir():
            raise InputError(f"{path} is a folder where a file is due; remove it and resume")

    def _manifest_path(self, stage: Stage) -> Path:
        return self.path / f"{stage}.manifest.json"

    def _seal(self, stage: Stage, files: list[Path], more: Mapping[str, Any]) -> None:
        entries = {
            path.relative_to(self.path).as_posix(): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in files
        }
        document = {"files": entries, **more}
        write_json(self._manifest_path(stage), document | {"sha256": _digest(document)})

    def _manifest(self, stage: Stage) -> dict[str, Any]:
        path = self._manifest_path(stage)
        if not path.is_file():
            raise InputError(f"{self.path} has no complete {stage}; resume the run to make it")
        document = read_object(path, _REMEDY)
        if document.pop("sha256", None) != _digest(document):
            raise self._damaged(stage, "its manifest does not match its own checksum")
        return document

    def _checked(self, stage: Stage) -> dict[str, Any]:
        manifest = self._manifest(stage)
        with reading(self._manifest_path(stage), _REMEDY):
            told = [(name, facts["bytes"], facts["sha256"]) for name, facts in manifest["files"].items()]
        for name, size, digest in told:
            path = self.path / name
            if not path.is_file():
                raise self._damaged(stage, f"{name} is missing")
            if path.stat().st_size != size:
                raise self._damaged(stage, f"{name} has {path.stat().st_size} bytes instead of {size}")
            if _sha256(path) != digest:
                raise self._damaged(stage, f"{name} does not match its checksum")
        return manifest

    def _damaged(self, stage: Stage, what: str) -> InputError:
        return InputError(
            f"the {stage} of round {self.number} in {self.path} are damaged: {what}; "
            f"delete {self._manifest_path(stage).name} there and resume to make them anew"
        )


def prompt_key(text: str) -> str:
    """The text by which prompts of two runs are paired."""
    return visible(text, 4000)


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
