import json
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm.errors import InputError
from srlm.records.run_directory import RunDirectory

TABLE = pa.table({"prompt_id": [0, 1], "text": ["one", "two"]})


def filled(path: Path) -> RunDirectory:
    run = RunDirectory.create(path, {"beta": 5.0, "rounds": 3}, {"seed": 1})
    place = run.round(0)
    place.write_table("samples", TABLE)
    with place.writing_checkpoint({"loss": None}) as target:
        (target / "weights.bin").write_bytes(bytes(range(64)))
    place.write_metrics({"round": 0})
    return run


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    run = RunDirectory.open(filled(tmp_path / "run").path)
    place = run.round(0)
    assert place.read_table("samples").equals(TABLE)
    assert place.metrics() == {"round": 0}
    assert (place.checkpoint() / "weights.bin").read_bytes() == bytes(range(64))
    assert place.checkpoint_facts() == {"loss": None}
    assert run.record()["status"] == "running"
    assert run.completed_rounds() == [0]


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["samples.parquet", "metrics.json", "checkpoint/weights.bin"]),
    where=st.floats(min_value=0, max_value=1, exclude_max=True),
    change=st.sampled_from(["flip", "truncate", "append", "remove"]),
    mask=st.integers(min_value=1, max_value=255),
)
def test_any_change_to_a_file_is_found_on_reading(name: str, where: float, change: str, mask: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = filled(Path(folder) / "run").round(0)
        path = place.path / name
        content = bytearray(path.read_bytes())
        at = int(where * len(content))
        if change == "flip":
            content[at] ^= mask
        elif change == "truncate":
            content = content[:at]
        else:
            content.append(mask)
        path.write_bytes(content)
        if change == "remove":
            path.unlink()
        with pytest.raises(InputError, match="damaged"):
            {"s": lambda: place.read_table("samples"), "m": place.metrics, "c": place.checkpoint}[name[0]]()


def test_a_stage_counts_only_with_its_manifest(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    place = run.round(0)
    assert not place.is_complete("modes")
    with pytest.raises(InputError, match="no complete modes"):
        place.read_table("modes")
    (place.path / "metrics.manifest.json").unlink()
    assert run.completed_rounds() == []


def test_completed_rounds_stop_at_the_first_gap(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    run.round(2).write_metrics({"round": 2})
    assert run.completed_rounds() == [0]


def test_an_interrupted_checkpoint_does_not_count(tmp_path: Path) -> None:
    place = RunDirectory.create(tmp_path / "run", {}, {}).round(1)

    def interrupted() -> None:
        with place.writing_checkpoint({}) as target:
            (target / "weights.bin").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not place.is_complete("checkpoint")
    assert not (place.path / "checkpoint").exists()


@pytest.mark.parametrize("kind", ["run", "other", "file"])
def test_create_refuses_a_place_that_is_taken(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    if kind == "run":
        filled(path)
    elif kind == "other":
        path.mkdir()
        (path / "thesis.tex").write_text("years of work")
    else:
        path.write_text("a file")
    before = sorted(p.name for p in tmp_path.rglob("*"))
    with pytest.raises(InputError, match="--resume" if kind == "run" else "no run"):
        RunDirectory.create(path, {}, {})
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_create_takes_an_empty_folder(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, {}, {})
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 99}', "\xff"])
def test_open_refuses_what_is_no_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError):
        RunDirectory.open(tmp_path)


def test_resuming_differently_names_every_difference_with_both_values(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    run.require_same({"beta": 5.0, "rounds": 3})
    run.require_same({"beta": 5.0, "rounds": 9}, may_differ=frozenset({"rounds"}))
    with pytest.raises(InputError) as caught:
        run.require_same({"beta": 2.0, "rounds": 4, "seed": 1})
    message = str(caught.value)
    for part in ("beta was 5.0 and is now 2.0", "rounds was 3 and is now 4", "seed was None and is now 1"):
        assert part in message


def test_update_keeps_the_rest_and_dates_the_change(tmp_path: Path) -> None:
    run = filled(tmp_path / "run")
    run.update(status="stopped", reason="held-out accuracy fell")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["reason"], record["seed"]) == ("stopped", "held-out accuracy fell", 1)
    assert record["updated"] >= record["created"]
