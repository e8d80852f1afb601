"""What somebody damaged is refused by its name, or left out; what is whole is read."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.training.fake_learner import run
from tests.training.test_killed import contents

from srlm.errors import InputError
from srlm.records.atomic import write_json
from srlm.records.reading import read_object
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import modes_from_table, samples_from_table

_DEEP = 100 * sys.getrecursionlimit()


@pytest.fixture
def policy() -> np.ndarray:
    scores = 2 * np.random.default_rng(1).normal(size=(5, 4))
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (b"", "JSONDecodeError"),
        (b"\xff\xfe", "UnicodeDecodeError"),
        (b"[]", "not a JSON object"),
        (b'{"x": NaN}', "NaN is no JSON number"),
        (b'{"x": 1e999}', "1e999 is no JSON number"),
        (b"[" * _DEEP, "nested too deeply"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_object_is_refused_by_its_name(held: bytes | None, why: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    if held is not None:
        path.write_bytes(held)
    with pytest.raises(InputError, match=rf"record\.json.*{why}"):
        read_object(path)


def test_a_lone_surrogate_is_read_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b'{"x": "\\ud800"}')
    write_json(path, read_object(path))
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": "\ud800"}


def test_a_manifest_that_was_altered_is_found(policy: np.ndarray, tmp_path: Path) -> None:
    place = run(tmp_path / "run", policy, 1).round(1)
    manifest = place.path / "checkpoint.manifest.json"
    held = json.loads(manifest.read_text())
    assert place.checkpoint_facts()["tokens"] == held["facts"]["tokens"]
    held["facts"]["tokens"] = "many"
    manifest.write_text(json.dumps(held))
    with pytest.raises(InputError, match="does not match its own checksum"):
        place.checkpoint_facts()
    del held["sha256"]
    manifest.write_text(json.dumps(held))
    with pytest.raises(InputError, match="does not match its own checksum"):
        place.checkpoint_facts()


_Damage = Callable[[Path], Any]


def _without_a_column(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["response"]), path)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("samples.parquet", _without_a_column),
        ("samples.manifest.json", Path.unlink),
        ("modes.parquet", Path.unlink),
        ("metrics.json", lambda path: path.write_text("{}")),
        ("metrics.manifest.json", lambda path: path.write_text("[" * _DEEP)),
        ("metrics.manifest.json", Path.unlink),
    ],
)
def test_the_rounds_before_the_damaged_one_are_whole(
    name: str, damage: _Damage, policy: np.ndarray, tmp_path: Path
) -> None:
    directory = run(tmp_path / "run", policy, 2)
    assert [len(directory.whole_rounds()[0]), directory.whole_rounds()[1]] == [3, None]
    damage(directory.round(1).path / name)
    whole, why = directory.whole_rounds()
    assert [one.number for one in whole] == [0]
    assert why is not None
    assert "01" in why
    damage(directory.round(0).path / name)
    if name == "metrics.manifest.json" and damage is Path.unlink:
        assert directory.whole_rounds()[0] == []
    else:
        with pytest.raises(InputError):
            directory.whole_rounds()


@pytest.mark.parametrize("stages", [["samples"], ["modes"], ["checkpoint"], ["samples", "modes", "checkpoint"]])
def test_a_stage_whose_manifest_was_deleted_is_made_anew_the_same(
    stages: list[str], policy: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    directory = run(folder, policy, 2)
    whole = contents(folder)
    for stage in stages:
        (directory.round(1).path / f"{stage}.manifest.json").unlink()
        (directory.round(1).path / {"checkpoint": "checkpoint/policy.npy"}.get(stage, f"{stage}.parquet")).unlink()
    run(folder, policy, 2)
    assert contents(folder) == whole


def test_a_run_of_wrong_types_is_refused_with_its_fields(policy: np.ndarray, tmp_path: Path) -> None:
    run(tmp_path / "run", policy, 1)
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"configuration": [], "created": 7}))
    with pytest.raises(InputError, match=r"run\.json: created is 7 .*configuration is \[\]"):
        RunDirectory.open(tmp_path / "run")


@pytest.mark.parametrize(("read", "column"), [(modes_from_table, "best"), (samples_from_table, "logprob")])
def test_a_table_that_another_srlm_wrote_is_refused_in_a_sentence(
    read: Callable[[pa.Table], Any], column: str, policy: np.ndarray, tmp_path: Path
) -> None:
    place = run(tmp_path / "run", policy, 0).round(0)
    table = place.read_table("modes" if column == "best" else "samples")
    assert len(read(table))
    with pytest.raises(InputError, match=rf"parquet is damaged .*{column}.*; did another srlm write it\?"):
        read(table.drop_columns([column]))
