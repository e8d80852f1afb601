import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from srlm.records.atomic import replace_folder, write_bytes, write_json


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        yield


def test_a_file_is_replaced_whole_and_others_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["file"]


def test_a_full_disk_leaves_the_old_file_and_no_leftover(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="space") as caught:
        write_bytes(path, b"new" * 1000)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_folder(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder = tmp_path / "folder"
    with replace_folder(folder) as fresh:
        (fresh / "a").write_text("old")
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="space"), replace_folder(folder) as fresh:
        (fresh / "a").write_text("new")
    assert (folder / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["folder"]


def test_an_exception_in_the_block_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with replace_folder(folder) as fresh:
        (fresh / "a").write_text("old")

    def spoil() -> None:
        with replace_folder(folder) as fresh:
            (fresh / "b").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        spoil()
    assert os.listdir(folder) == ["a"]


def test_a_replaced_folder_holds_only_the_new_files(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("a", "b"):
        with replace_folder(folder) as fresh:
            (fresh / name).write_text(name)
    assert os.listdir(folder) == ["b"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_leftovers_of_a_crash_are_cleaned_and_neighbours_kept(tmp_path: Path) -> None:
    (tmp_path / "file.partial-dead").write_bytes(b"half")
    (tmp_path / "file.txt").write_bytes(b"neighbour")
    write_bytes(tmp_path / "file", b"whole")
    assert sorted(os.listdir(tmp_path)) == ["file", "file.txt"]


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert (tmp_path / "x.json").read_text() == '{\n  "a": 1\n}\n'


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text("old")
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith("old"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(self, target)

    def fill() -> None:
        with replace_folder(folder) as fresh:
            (fresh / "weights").write_text("new")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="Input/output"):
        fill()
    assert [(one.name, one.read_text()) for one in folder.iterdir()] == [("weights", "old")]
    assert list(tmp_path.iterdir()) == [folder]


def test_ctrl_c_as_soon_as_a_file_is_there_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Path.open

    def struck(self: Path, *arguments: Any) -> Any:
        plain(self, *arguments).close()
        raise KeyboardInterrupt

    write_bytes(tmp_path / "file", b"old")
    monkeypatch.setattr(Path, "open", struck)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]
    monkeypatch.undo()
    monkeypatch.setattr(Path, "chmod", lambda self, mode: struck(self / "file", "xb"))
    with pytest.raises(KeyboardInterrupt), replace_folder(tmp_path / "folder"):
        pass
    assert os.listdir(tmp_path) == ["file"]
