"""Two processes do what one does, with whole weights or sharded ones; an error on the main one reaches the other."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from srlm.errors import InputError
from srlm.records.run_directory import RunDirectory
from srlm.training.processes import Processes
from srlm.training.sharding import require_supported

# One process takes 2 prompts a step, two take 1 each: the same 6 trained prompts in the same steps.
_ONE_OF_SEVERAL = """
import json, sys
from srlm.training.start import start_run
model, prompts, options = sys.argv[1:]
start_run(model=model, prompts=prompts, options=json.loads(options), device="cpu", resume=True)
"""
# accelerate turns FSDP on only beside an accelerator; PyTorch shards over processes on CPU as well.
_FSDP_ON_CPU = """
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
_FSDP = {"fsdp": True, "fsdp_config": {"transformer_layer_cls_to_wrap": "LlamaDecoderLayer"}}


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


def test_two_processes_end_as_one(
    tiny_model_folder: Path, prompts_file: str, start: Callable[..., Any], tmp_path: Path
) -> None:
    done = launch(2, tiny_model_folder, prompts_file, options(tmp_path / "two", 1))
    assert done.returncode == 0, done.stderr[-2000:]
    same_run(start(tmp_path / "one", per_device_train_batch_size=2), RunDirectory.open(tmp_path / "two"))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="adapter"),
        pytest.param(
            {"use_peft": False, "learning_rate": 1e-3, "num_train_epochs": 3, "early_stopping_patience": 1},
            id="all weights",
        ),
    ],
)
def test_sharded_weights_end_as_whole_ones(
    tiny_model_folder: Path, prompts_file: str, start: Callable[..., Any], tmp_path: Path, settings: dict[str, Any]
) -> None:
    done = launch(2, tiny_model_folder, prompts_file, options(tmp_path / "two", 1, **settings, **_FSDP), _FSDP_ON_CPU)
    assert done.returncode == 0, done.stderr[-2000:]
    two = RunDirectory.open(tmp_path / "two")
    same_run(start(tmp_path / "one", per_device_train_batch_size=2, **settings), two)
    exported = [load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two")]
    assert exported[0].keys() == exported[1].keys()
    for name, value in exported[0].items():
        torch.testing.assert_close(exported[1][name], value, rtol=0, atol=1e-4)


def test_sharded_weights_go_back_to_a_round(tiny_model_folder: Path, prompts_file: str, tmp_path: Path) -> None:
    harmful = {"learning_rate": 1e30, "max_grad_norm": 0.0, **_FSDP}
    done = launch(2, tiny_model_folder, prompts_file, options(tmp_path / "two", 1, **harmful), _FSDP_ON_CPU)
    assert done.returncode == 0, done.stderr[-2000:]
    record = RunDirectory.open(tmp_path / "two").record()
    assert record["status"] == "stopped"
    assert record["control"]["model_of_round"] < record["control"]["round"]
    base = load_file(tiny_model_folder / "model.safetensors")
    kept = load_file(tmp_path / "two" / "model" / "model.safetensors")
    assert record["control"]["model_of_round"] == 0
    for name, value in base.items():
        torch.testing.assert_close(kept[name], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("plugin", "sentence"),
    [
        ({"fsdp_version": 1}, "set fsdp_version to 2"),
        ({"cpu_ram_efficient_loading": True}, "fsdp_cpu_ram_efficient_loading to false"),
        ({"activation_checkpointing": True}, "in place of fsdp_activation_checkpointing"),
    ],
)
def test_what_cannot_be_made_whole_is_refused(plugin: dict[str, Any], sentence: str) -> None:
    known = {"fsdp_version": 2, "cpu_ram_efficient_loading": False, "activation_checkpointing": False}
    state = SimpleNamespace(fsdp_plugin=SimpleNamespace(**known | plugin))
    with pytest.raises(InputError, match=sentence):
        require_supported(SimpleNamespace(state=state))


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
