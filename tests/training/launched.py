"""Runs in several processes on one machine without accelerators, for the tests of processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from srlm.records.run_directory import RunDirectory

# One process takes 2 prompts a step, two take 1 each: the same 6 trained prompts in the same steps.
_ONE_OF_SEVERAL = """
import json, sys
from srlm.training.start import start_run
model, prompts, options = sys.argv[1:]
start_run(model=model, prompts=prompts, options=json.loads(options), device="cpu", resume=True)
"""
# accelerate turns FSDP on only beside an accelerator; PyTorch shards over processes on CPU as well.
FSDP_ON_CPU = """
import accelerate.state as state
from accelerate.utils import DistributedType
before = state.AcceleratorState.__init__
def init(self, *args, fsdp_plugin=None, **rest):
    before(self, *args, fsdp_plugin=fsdp_plugin, **rest)
    shared = state.AcceleratorState._shared_state
    shared["distributed_type"] = state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    shared["fsdp_plugin"] = fsdp_plugin or shared["fsdp_plugin"]
state.AcceleratorState.__init__ = init
"""
# As with FSDP: DeepSpeed itself runs on CPU, accelerate does not start it there.
DEEPSPEED_ON_CPU = """
import os
os.environ |= {"DS_ACCELERATOR": "cpu", "ACCELERATE_TORCH_DEVICE": "cpu"}
import accelerate.state as state
from accelerate.utils import DistributedType
state.PartialState._prepare_backend = lambda self, *args: ("gloo", DistributedType.MULTI_CPU)
"""


def launch(
    count: int, model: Path, prompts: str, options: dict[str, Any], before: str = ""
) -> subprocess.CompletedProcess[str]:
    command = ["-W", "ignore", "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
    script = Path(options["output_dir"]).with_suffix(".py")
    script.write_text(before + _ONE_OF_SEVERAL)
    return subprocess.run(
        [sys.executable, *command, str(script), str(model), prompts, json.dumps(options)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=400,
    )


def by_hand(
    count: int, model: Path, prompts: str, options: dict[str, Any], before: str = ""
) -> list[subprocess.CompletedProcess[str]]:
    """As `launch`, but nobody watches over the processes: each ends by itself."""
    script = Path(options["output_dir"]).with_suffix(".py")
    script.write_text(before + _ONE_OF_SEVERAL)
    command = [sys.executable, "-W", "ignore", str(script), str(model), prompts, json.dumps(options)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(count)}
    shared = os.environ | meeting | {"OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": str(count)}
    running = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]
    said = [one.communicate(timeout=400) for one in running]
    return [
        subprocess.CompletedProcess(command, one.returncode, *words) for one, words in zip(running, said, strict=True)
    ]


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


def same_run(first: RunDirectory, second: RunDirectory) -> None:
    """Samples are the same; what was measured differs by rounding (1e-3 nats)."""
    assert first.record()["status"] == second.record()["status"] == "done"
    for number in range(3):
        samples = [run.round(number).read_table("samples").column("tokens").to_pylist() for run in (first, second)]
        assert samples[0] == samples[1]
        ours, theirs = (run.round(number).metrics() for run in (first, second))
        for split in (lambda metrics: metrics, lambda metrics: metrics["held_out"]):
            for end in ("lower", "upper"):
                assert split(theirs)["log_kappa"][end] == pytest.approx(split(ours)["log_kappa"][end], abs=1e-3)
            assert split(theirs)["accuracy"] == split(ours)["accuracy"]
        assert ours["tokens"] == theirs["tokens"]


def same_model(first: RunDirectory, second: RunDirectory) -> None:
    """The exported weights are the same up to 1e-4."""
    import torch
    from safetensors.torch import load_file

    exported = [load_file(run.path / "model" / "model.safetensors") for run in (first, second)]
    assert exported[0].keys() == exported[1].keys()
    for name, value in exported[0].items():
        torch.testing.assert_close(exported[1][name], value, rtol=0, atol=1e-4)
