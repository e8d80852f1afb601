"""The command line's exit codes and its promise not to import torch."""

import subprocess
import sys

import pytest

from srlm.cli.main import run


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("srlm ")


def test_unknown_command_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["nonsense"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nonsense" in error


def test_import_srlm_imports_no_torch() -> None:
    code = "import sys, srlm, srlm.cli.main; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
