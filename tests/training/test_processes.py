"""Two processes do what one does; an error on the main one reaches the other."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.training.launched import by_hand, launch, options, same_run

from srlm.records.run_directory import RunDirectory
from srlm.tasks.unrelated import unrelated_text
from srlm.training.processes import Processes

# The second of two processes is killed while both average their gradients.
_DIES_IN_ROUND_2 = """
import os, signal
from srlm.training.trainer import SelfRewardingTrainer
losses, taken = SelfRewardingTrainer.compute_loss, []
def compute_loss(self, *args, **rest):
    taken.append(1)
    if self.args.process_index == 1 and len(taken) == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    return losses(self, *args, **rest)
SelfRewardingTrainer.compute_loss = compute_loss
"""


def test_two_processes_end_as_one(
    tiny_model_folder: Path, prompts_file: str, start: Callable[..., Any], tmp_path: Path
) -> None:
    done = launch(2, tiny_model_folder, prompts_file, options(tmp_path / "two", 1))
    assert done.returncode == 0, done.stderr[-2000:]
    same_run(start(tmp_path / "one", per_device_train_batch_size=2), RunDirectory.open(tmp_path / "two"))


def test_rescoring_is_shared_by_the_processes(tiny_model_folder: Path, prompts_file: str, tmp_path: Path) -> None:
    spy = f"""
import json
from pathlib import Path
from srlm.training.trainer import SelfRewardingTrainer
score = SelfRewardingTrainer.score
def counted(self, groups):
    with (Path({str(tmp_path)!r}) / f"rank{{self.args.process_index}}").open("a") as file:
        file.write(json.dumps(len(groups)) + "\\n")
    return score(self, groups)
SelfRewardingTrainer.score = counted
"""
    told = options(tmp_path / "two", 1, rescore=True, rounds=1)
    done = launch(2, tiny_model_folder, prompts_file, told, spy)
    assert done.returncode == 0, done.stderr[-2000:]
    counts = [list(map(int, (tmp_path / f"rank{rank}").read_text().split())) for rank in (0, 1)]
    # In two rounds eight prompts and the base model's samples at two held-out ones, half of them on each process. The
    # main one's alone: P4's two passes, what the six trained prompts reached, and the page of unrelated text.
    passages = len(unrelated_text().split("\n\n"))
    assert counts[1] == [4, 1, 4, 1]
    assert sorted(counts[0]) == sorted([4, 1, 4, 1, 8, 8, 6, passages, passages])


def test_an_error_on_the_main_process_ends_all_of_them(
    tiny_model_folder: Path, prompts_file: str, tmp_path: Path
) -> None:
    # The folder is a run of another configuration: only the main process finds out.
    out = tmp_path / "run"
    RunDirectory.create(out, {"beta": 2.0}, {})
    done = launch(2, tiny_model_folder, prompts_file, options(out, 1, beta=1.0))
    assert done.returncode != 0
    assert "beta was 2.0 and is now 1.0" in done.stderr


def test_prompts_are_dealt_out_so_that_every_one_is_done_once() -> None:
    items = list(range(7))
    shares = [Processes(rank, 3).share(items) for rank in range(3)]
    assert sorted(item for share in shares for item in share) == items
    assert Processes(0, 1).share(items) == items
    assert Processes(0, 1).gather(lambda: items) == items
    assert Processes(0, 1).on_main(lambda: 5) == 5


def test_a_process_that_dies_ends_the_others_with_a_sentence_and_costs_nothing_finished(
    tiny_model_folder: Path, prompts_file: str, start: Callable[..., Any], tmp_path: Path
) -> None:
    two = options(tmp_path / "two", 1)
    ended = by_hand(2, tiny_model_folder, prompts_file, two, _DIES_IN_ROUND_2)
    assert ended[1].returncode == -signal.SIGKILL
    assert ended[0].returncode == 1
    assert "another process of this run ended in round 2 (train)" in ended[0].stderr
    run = RunDirectory.open(tmp_path / "two")
    assert run.record()["status"] == "failed"
    assert run.round(1).is_complete("metrics")
    done = launch(2, tiny_model_folder, prompts_file, two)
    assert done.returncode == 0, done.stderr[-2000:]
    same_run(start(tmp_path / "one", per_device_train_batch_size=2), run)
