"""Rounds against a protocol: a table of probabilities goes through them, in a process that cannot import torch, and
ends where exact rounds end.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.fake_learner import run

from srlm.records.run_directory import RunDirectory

PROMPTS, RESPONSES, ROUNDS = 9, 6, 3
_WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "transformers", "peft", "accelerate"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def policy() -> np.ndarray:
    scores = 2 * np.random.default_rng(0).normal(size=(PROMPTS, RESPONSES))
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def kappa(policy: np.ndarray, power: float, rows: list[int]) -> float:
    """E_x[1/max_y] of the policy to a power, by plain probabilities."""
    table = np.exp(policy[rows]) ** power
    return float(np.mean(table.sum(axis=1) / table.max(axis=1)))


def records(directory: RunDirectory) -> list[dict[str, Any]]:
    found = [directory.round(number).metrics() for number in directory.completed_rounds()]
    for one in found:
        one.pop("seconds")
    return found


def test_a_table_runs_rounds_without_torch_and_sharpens_exactly(policy: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "policy.npy", policy)
    script = Path(__file__).with_name("fake_learner.py")
    command = [sys.executable, "-c", _WITHOUT_TORCH, script, tmp_path / "run", tmp_path / "policy.npy", ROUNDS]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    directory = RunDirectory.open(tmp_path / "run")
    assert directory.record()["status"] == "done"
    rows = {"train": [at for at in range(PROMPTS) if at % 4 != 3], "held_out": [3, 7]}
    for number in range(ROUNDS + 1):
        record = directory.round(number).read()
        for name, chosen in rows.items():
            split = record.split(name)  # pyright: ignore[reportArgumentType]
            assert split is not None
            # beta = 1: t exact rounds are the power 2^t of the base policy.
            assert split.kappa.lower == pytest.approx(kappa(policy, 2**number, chosen), rel=1e-12)
            assert split.mode_drift == 0
        if number:
            assert record.certificate is not None
            assert record.certificate.eps == pytest.approx(0, abs=1e-9)
            assert record.certificate.refuted is False
    exported = np.exp(np.load(tmp_path / "run" / "model" / "policy.npy"))
    np.testing.assert_allclose(exported.sum(axis=1), 1)


def test_a_run_in_two_goes_is_the_run_in_one(policy: np.ndarray, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", policy, ROUNDS)
    run(tmp_path / "parts", policy, 1)
    parts = run(tmp_path / "parts", policy, ROUNDS)
    assert records(parts) == records(whole)
