"""A spread of what `make torture` breaks on purpose, from all its families: all of it ends as it should."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_ROOT = Path(__file__).parents[2]


def test_a_spread_of_kills_faults_damages_and_bad_inputs_is_clean() -> None:
    command = [sys.executable, "-m", "tests.torture", "--spread", "36"]
    ended = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "0 tracebacks, 0 hangs, 0 finished things lost" in ended.stdout
