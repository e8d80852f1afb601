"""A quantised base model is trained through its adapter, measured by its own numerics, and exported as it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from srlm.errors import InputError
from srlm.records.run_directory import RunDirectory
from srlm.training.start import start_run

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
# bitsandbytes warns about kernels that it could use and about casts.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def wide_model_folder(tiny_llama: Callable[..., Any], tiny_model_folder: Path, tmp_path: Path) -> Path:
    """Four-bit blocks hold 64 weights: the tiny model, wider."""
    folder = tmp_path / "wide"
    tiny_llama(vocab_size=32, sharpness=1.0, hidden_size=128, intermediate_size=256).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model_folder).save_pretrained(folder)
    return folder


def run(model: Path, prompts: str, out: Path, **more: Any) -> RunDirectory:
    options = {
        "rounds": 2,
        "num_generations": 4,
        "max_completion_length": 3,
        "learning_rate": 3e-3,
        "use_cpu": True,
        "output_dir": str(out),
    }
    return start_run(model=str(model), prompts=prompts, options=options | more, device="cpu", load_in_4bit=True)


def test_a_four_bit_model_contracts_and_is_exported(wide_model_folder: Path, prompts_file: str, tmp_path: Path) -> None:
    directory = run(wide_model_folder, prompts_file, tmp_path / "run")
    record = directory.record()
    assert (record["status"], record["configuration"]["weights"]) == ("done", "bitsandbytes")
    rounds = [directory.round(number).metrics() for number in range(3)]
    assert rounds[2]["kappa"]["upper"] < rounds[0]["kappa"]["lower"]
    assert all(one["drift"]["max"] < 1e-3 for one in rounds)
    exported = AutoModelForCausalLM.from_pretrained(directory.path / "model")
    assert type(exported.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"


def test_four_bit_weights_are_not_trained(wide_model_folder: Path, prompts_file: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train an adapter"):
        run(wide_model_folder, prompts_file, tmp_path / "run", use_peft=False)
