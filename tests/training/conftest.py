"""A tiny model and prompts, ready to be run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def prompts_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    import json

    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    rows = [
        {"prompt": f"w{n} w{n + 1}", "answer": f"w{n + 2}", "split": "held_out" if n % 4 == 3 else "train"}
        for n in range(8)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


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
            prompts=prompts_file,
            options={name: value for name, value in (values | options).items() if name not in drop or name in options},
            preset=preset,
            device="cpu",
            resume=resume,
            observer=observer,
        )

    return run
