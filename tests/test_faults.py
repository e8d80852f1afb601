"""An error of the disk is one sentence and exit code 1, whoever words it."""

import errno
from pathlib import Path

import pytest

from srlm.cli import _app
from srlm.cli.main import run
from srlm.errors import fault_of_the_system


def test_a_missing_file_is_found_in_the_words_of_rust(tmp_path: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models

    nowhere = tmp_path / "missing" / "file"
    with pytest.raises(SafetensorError) as weights:
        save_file({"x": torch.zeros(9)}, nowhere)
    with pytest.raises(Exception, match="os error") as tokenizer:
        Tokenizer(models.WordLevel({"word": 0}, unk_token="word")).save(str(nowhere))
    for caught in (weights, tokenizer):
        fault = fault_of_the_system(caught.value)
        assert fault is not None
        assert fault.errno == errno.ENOENT


def test_too_many_open_files_are_found_in_words_of_safetensors(tmp_path: Path) -> None:
    error = RuntimeError(f"unable to open file <{tmp_path}> in read-only mode: Too many open files (24)")
    fault = fault_of_the_system(error)
    assert fault is not None
    assert fault.errno == errno.EMFILE


def test_too_little_memory_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(given: list[str]) -> int:
        raise MemoryError

    monkeypatch.setattr(_app, "call", full)
    assert run(["plan"]) == 1
    assert capsys.readouterr().err.startswith("srlm: there is not enough memory for this")


def _wrapped() -> None:
    try:
        raise OSError(errno.EIO, "Input/output error", "weights.bin")
    except OSError as error:
        raise RuntimeError("the writer failed") from error


def test_what_was_raised_from_an_error_of_the_disk_names_its_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_app, "call", lambda given: _wrapped())
    monkeypatch.setattr("srlm.cli.main._silence", lambda: None)  # it would close the streams of the tests
    assert run(["plan"]) == 1
    assert capsys.readouterr().err == ("srlm: Input/output error: weights.bin; nothing already written is damaged\n")


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("os error"), ValueError("shape (24)"), KeyError(24)])
def test_any_other_error_is_none_of_the_disk(error: Exception) -> None:
    assert fault_of_the_system(error) is None
