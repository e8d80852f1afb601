"""A run killed at every instant: before each of its changes of the disk. What follows ends as the undisturbed run."""

from pathlib import Path

import numpy as np
import pytest
from tests.killed import killed_before
from tests.torture.subjects import contents
from tests.training.fake_learner import run

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def policy() -> np.ndarray:
    scores = 2 * np.random.default_rng(1).normal(size=(5, 4))
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def test_killed_before_every_change_of_the_disk_a_run_goes_on_to_the_same_end(
    policy: np.ndarray, tmp_path: Path
) -> None:
    run(tmp_path / "whole", policy, 1)
    whole = contents(tmp_path / "whole")
    number = 1
    while killed_before(number, tmp_path / f"{number}", lambda: run(tmp_path / f"{number}", policy, 1)):  # noqa: B023
        run(tmp_path / f"{number}", policy, 1)
        assert contents(tmp_path / f"{number}") == whole, f"killed before change {number}"
        number += 1
    assert number > 50  # it was killed so many times


def test_a_finished_run_is_never_without_its_model_while_it_grows(policy: np.ndarray, tmp_path: Path) -> None:
    """Killed at any change on the way to one more round, the folder still opens with a whole model, old or new."""
    from srlm.records.run_directory import RunDirectory

    number = 1
    while True:
        folder = tmp_path / f"{number}"
        run(folder, policy, 1)
        killed = killed_before(number, folder, lambda: run(folder, policy, 2))  # noqa: B023
        RunDirectory.open(folder)
        assert (folder / "model" / "policy.npy").is_file(), f"killed before change {number}"
        if not killed:
            break
        number += 1
    assert number > 30
