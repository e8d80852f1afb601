"""The lock of a folder: one process at a time, released by the dead, no trace of it afterwards."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from srlm.errors import InputError
from srlm.records import lock
from srlm.records.atomic import is_empty
from srlm.records.lock import LOCK, holding


@contextmanager
def in_another_process(work: Callable[[], None]) -> Iterator[int]:
    """The number of a process that has done `work` and does nothing more until the block ends."""
    (reads, writes), (told, tell) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(writes)
            with holding(Path(os.environ["HELD"])):
                work()
                os.write(tell, b"x")
                os.read(reads, 1)
        finally:
            os._exit(0)
    os.read(told, 1)
    try:
        yield child
    finally:
        for end in (reads, writes, told, tell):
            os.close(end)
        os.waitpid(child, 0)


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a" / "run"
    monkeypatch.setenv("HELD", str(folder))
    with in_another_process(lambda: None) as child:
        assert is_empty(folder)
        with pytest.raises(InputError, match=f"is being written by process {child} on "), holding(folder):
            pass
        assert folder.is_dir(), "the refused one must not clear away what the other holds"
    assert not (tmp_path / "a").exists(), "made by the holder, who left nothing in it"
    with holding(folder):
        (folder / "file").write_text("x")
    assert os.listdir(folder) == ["file"]


def test_a_dead_process_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELD", str(tmp_path / "run"))
    with in_another_process(lambda: None) as child:
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert (tmp_path / "run" / LOCK).exists()
        with holding(tmp_path / "run"):
            pass
    assert not (tmp_path / "run" / LOCK).exists()


def test_a_child_that_outlives_its_parent_does_not_hold_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELD", str(tmp_path / "run"))
    reads, writes = os.pipe()

    def leaves_a_child() -> None:
        if os.fork() == 0:
            os.close(writes)
            os.read(reads, 1)
            os._exit(0)

    with in_another_process(leaves_a_child) as child:
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        with holding(tmp_path / "run"):
            pass
    os.close(writes)
    os.close(reads)


def test_the_same_process_may_hold_it_twice_and_releases_it_last(tmp_path: Path) -> None:
    with holding(tmp_path), holding(tmp_path / "x" / ".."):
        assert (tmp_path / LOCK).exists()
    with holding(tmp_path):
        with holding(tmp_path):
            pass
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()


def _count(folder: Path, times: int) -> None:
    for _ in range(times):
        while True:
            try:
                with holding(folder):
                    number = int((folder / "count").read_text())
                    (folder / "count").write_text(str(number + 1))
                break
            except InputError:
                pass


def test_however_many_try_at_once_one_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    several = [multiprocessing.get_context("fork").Process(target=_count, args=(tmp_path, 50)) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert (tmp_path / "count").read_text() == "200"


@pytest.mark.parametrize("name", ["file/below", "file", "a" * 300, "loop/x", "a\0b", "\udc80"])
def test_what_can_be_no_folder_is_refused_and_nothing_is_made(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="output folder"), holding(tmp_path / name):
        pass
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]


def test_no_folder_is_no_lock() -> None:
    with holding(None):
        pass


@pytest.mark.parametrize("at", ["_locked", "_remove_lock", "_remove_empty"])
@pytest.mark.parametrize("after", [False, True])
def test_what_ctrl_c_breaks_off_is_given_back_once_more(
    at: str, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = getattr(lock, at)

    def struck(*given: Path) -> int:
        monkeypatch.undo()
        if after:
            plain(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(lock, at, struck)
    with pytest.raises(KeyboardInterrupt), holding(tmp_path / "a" / "run"):
        pass
    lock.release()
    assert not list(tmp_path.iterdir())
    with holding(tmp_path):
        pass


def test_what_another_process_holds_is_not_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELD", str(tmp_path / "run"))
    with in_another_process(lambda: None):
        lock.release(tmp_path / "run")
        assert (tmp_path / "run" / LOCK).exists()
