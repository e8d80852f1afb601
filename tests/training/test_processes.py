"""Two processes do what one does; an error on the main one reaches the other."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.records.run_directory import RunDirectory
from srlm.training.processes import Processes

# One process takes 2 prompts a step, two take 1 each: the same 6 trained prompts in the same steps.
_ONE_OF_SEVERAL = """
import json, sys
from srlm.training.start import start_run
model, prompts, options = sys.argv[1:]
start_run(model=model, prompts=prompts, options=json.loads(options), device="cpu", resume=True)
"""


def launch(count: int, model: Path, prompts: str, options: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    command = ["-W", "ignore", "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
    script = Path(options["output_dir"]).with_suffix(".py")
    script.write_text(_ONE_OF_SEVERAL)
    return subprocess.run(
        [sys.executable, *command, str(script), str(model), prompts, json.dumps(options)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=400,
    )


def options(out: Path, batch: int, **more: Any) -> dict[str, Any]:
    return {
        "rounds": 2,
        "num_generations": 4,
        "max_completion_length": 3,
        "learning_rate": 3e-3,
        "per_device_train_batch_size": batch,
        "logging_strategy": "no",
        "use_cpu": True,
        "ddp_backend": "gloo",
        "output_dir": str(out),
    } | more


def test_two_processes_end_as_one(
    tiny_model_folder: Path, prompts_file: str, start: Callable[..., Any], tmp_path: Path
) -> None:
    done = launch(2, tiny_model_folder, prompts_file, options(tmp_path / "two", 1))
    assert done.returncode == 0, done.stderr[-2000:]
    two = RunDirectory.open(tmp_path / "two")
    one = start(tmp_path / "one", per_device_train_batch_size=2)
    assert two.record()["status"] == one.record()["status"] == "done"
    for number in range(3):
        samples = [run.round(number).read_table("samples").column("tokens").to_pylist() for run in (one, two)]
        assert samples[0] == samples[1]
        first, second = (run.round(number).metrics() for run in (one, two))
        for split in (lambda metrics: metrics, lambda metrics: metrics["held_out"]):
            for end in ("lower", "upper"):
                assert split(second)["log_kappa"][end] == pytest.approx(split(first)["log_kappa"][end], abs=1e-3)
            assert split(second)["accuracy"] == split(first)["accuracy"]
        assert first["tokens"] == second["tokens"]


def test_an_error_on_the_main_process_ends_all_of_them(
    tiny_model_folder: Path, prompts_file: str, tmp_path: Path
) -> None:
    # The folder is a run of another configuration: only the main process finds out.
    out = tmp_path / "run"
    RunDirectory.create(out, {"beta": 2.0}, {})
    done = launch(2, tiny_model_folder, prompts_file, options(out, 1))
    assert done.returncode != 0
    assert "beta was 2.0 and is now 1.0" in done.stderr


def test_prompts_are_dealt_out_so_that_every_one_is_done_once() -> None:
    items = list(range(7))
    shares = [Processes(rank, 3).share(items) for rank in range(3)]
    assert sorted(item for share in shares for item in share) == items
    assert Processes(0, 1).share(items) == items
    assert Processes(0, 1).gather(lambda: items) == items
    assert Processes(0, 1).on_main(lambda: 5) == 5
