"""The command line's exit codes and its promise not to import torch."""

import subprocess
import sys

import pytest

from srlm.cli import _app
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


_WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize("command", ["run", "diagnose"])
def test_without_torch_one_sentence_names_the_command_that_installs_it(command: str) -> None:
    code = _WITHOUT_TORCH + f"from srlm.cli.main import run; sys.exit(run([{command!r}]))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "srlm: this needs torch, which is not installed; run: pip install 'srlm[lm]'\n"


def test_from_python_the_same_sentence_is_an_import_error() -> None:
    code = _WITHOUT_TORCH + "from srlm import SelfRewardingTrainer"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = ended.stderr.splitlines()[-1]
    assert last == "ImportError: this needs torch, which is not installed; run: pip install 'srlm[lm]'"


@pytest.mark.parametrize("name", ["torch.no_such_part", "srlm.no_such_module", "sklearn", "nonsense"])
def test_any_other_missing_module_stays_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(_app, "import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        run(["verify"])
