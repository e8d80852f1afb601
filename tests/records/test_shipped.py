"""Weights and prompts of the package: what was shipped, or a sentence."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from srlm.cli.main import run
from srlm.records import shipped as module
from srlm.records.shipped import shipped

_PACKAGE = Path(module.__file__).parents[1]
_FOLDERS = ("lm/data/tiny_reasoner", "tasks/data")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package's data, which a test may damage."""
    for folder in _FOLDERS:
        shutil.copytree(_PACKAGE / folder, tmp_path / folder)
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    shipped.cache_clear()
    yield tmp_path
    shipped.cache_clear()


def test_the_checksums_are_those_of_every_file() -> None:
    files = {
        path.relative_to(_PACKAGE).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in _FOLDERS
        for path in (_PACKAGE / folder).iterdir()
    }
    assert files == module._SHA256, "\n".join(f'    "{name}": "{one}",' for name, one in sorted(files.items()))


@pytest.mark.parametrize("name", ["tasks/data/chains.jsonl", "lm/data/tiny_reasoner/model.safetensors"])
def test_a_damaged_file_is_one_sentence_and_exit_code_1(
    copy: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1  # one bit of a weight, or of the last prompt
    (copy / name).write_bytes(content)
    assert run(["run", "--model", "tiny-reasoner", "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "sha256 differs" in told.err
    assert name in told.err
    assert told.err.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_a_file_is_read_once_a_process(copy: Path) -> None:
    whole = shipped("tasks/data/questions.jsonl")
    whole.write_bytes(b"")
    assert shipped("tasks/data/questions.jsonl") == whole
    with pytest.raises(OSError, match="sha256 differs"):
        shipped("tasks/data")
