"""Shared fixtures: tiny random models built here, so that tests download nothing, and runs of one of them."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# A shell that starts us in the background has Ctrl-C ignored, and what tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_llama() -> Callable[..., Any]:
    """Builds a random 2-layer Llama; see `tests.tiny`."""
    from tests import tiny

    return tiny.tiny_llama


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny Llama with a word-level tokenizer and a chat template, as `--model` takes it."""
    from tests.tiny import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def prompts_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.tiny import save_prompts

    return str(save_prompts(tmp_path_factory.mktemp("prompts") / "prompts.jsonl"))


@pytest.fixture
def stub(tiny_model_folder: Path) -> Iterator[Any]:
    """A server that speaks vLLM's interface and draws from the tiny model."""
    from tests.engines.stub_vllm import StubVllm

    with StubVllm(tiny_model_folder).running() as one:
        yield one


other = stub  # a second one


@pytest.fixture
def start(tiny_model_folder: Path, prompts_file: str) -> Callable[..., Any]:
    """`start_run` on the tiny model: two rounds of four responses of at most three tokens."""
    from srlm.training.start import start_run

    def run(
        out: Path,
        *,
        resume: bool = False,
        observer: Any = None,
        model: str | None = None,
        prompts: str | None = None,
        preset: str | None = None,
        drop: tuple[str, ...] = (),
        **options: Any,
    ) -> Any:
        values = {
            "rounds": 2,
            "num_generations": 4,
            "max_completion_length": 3,
            "beta": 1.0,
            "learning_rate": 3e-3,
            "per_device_train_batch_size": 3,
            "logging_strategy": "no",
            "output_dir": str(out),
        }
        return start_run(
            model=model or str(tiny_model_folder),
            prompts=prompts or prompts_file,
            options={name: value for name, value in (values | options).items() if name not in drop or name in options},
            preset=preset,
            device="cpu",
            resume=resume,
            observer=observer,
        )

    return run
