"""A run whose weights are spread over processes (FSDP, DeepSpeed) ends as one whose weights are whole."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.training.launched import DEEPSPEED_ON_CPU, FSDP_ON_CPU, launch, options, same_model, same_run

from srlm.errors import InputError
from srlm.records.run_directory import RunDirectory
from srlm.training.sharding import require_supported

_FSDP = {"fsdp": True, "fsdp_config": {"transformer_layer_cls_to_wrap": "LlamaDecoderLayer"}}
_ALL_WEIGHTS = {"use_peft": False, "learning_rate": 1e-3, "num_train_epochs": 3, "early_stopping_patience": 1}
_DIVERGING = {"learning_rate": 1e30, "max_grad_norm": 0.0}


def zero(stage: int) -> dict[str, Any]:
    sizes = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
    shared = {"zero_optimization": {"stage": stage}, "zero_force_ds_cpu_optimizer": False}
    return {"deepspeed": shared | dict.fromkeys(sizes, "auto"), "use_cpu": False, "ddp_backend": None}


@pytest.fixture(
    params=[
        pytest.param((FSDP_ON_CPU, _FSDP), id="fsdp"),
        pytest.param((DEEPSPEED_ON_CPU, zero(2)), id="zero-2"),
        pytest.param((DEEPSPEED_ON_CPU, zero(3)), id="zero-3"),
    ]
)
def run(request: pytest.FixtureRequest, tiny_model_folder: Path, prompts_file: str) -> Callable[..., RunDirectory]:
    """A run of two processes that share the weights."""
    before, shared = request.param
    if "deepspeed" in shared:
        pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")

    def run(out: Path, **settings: Any) -> RunDirectory:
        done = launch(2, tiny_model_folder, prompts_file, options(out, 1, **settings) | shared, before)
        assert done.returncode == 0, done.stderr[-2000:]
        return RunDirectory.open(out)

    return run


@pytest.mark.parametrize("settings", [pytest.param({}, id="adapter"), pytest.param(_ALL_WEIGHTS, id="all weights")])
def test_sharded_weights_end_as_whole_ones(
    run: Callable[..., RunDirectory], start: Callable[..., RunDirectory], tmp_path: Path, settings: dict[str, Any]
) -> None:
    one, two = start(tmp_path / "one", per_device_train_batch_size=2, **settings), run(tmp_path / "two", **settings)
    same_run(one, two)
    same_model(one, two)
    for number in (1, 2):  # early stopping took the same passes
        assert one.round(number).metrics()["update"]["passes"] == two.round(number).metrics()["update"]["passes"]


def test_sharded_weights_go_back_to_a_round(
    run: Callable[..., RunDirectory], tiny_model_folder: Path, tmp_path: Path
) -> None:
    record = run(tmp_path / "two", **_DIVERGING).record()
    assert (record["status"], record["control"]["model_of_round"]) == ("stopped", 0)
    kept = load_file(tmp_path / "two" / "model" / "model.safetensors")
    for name, value in load_file(tiny_model_folder / "model.safetensors").items():
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
