"""Prompts and a model small enough to enumerate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LIMIT = 2


@pytest.fixture(scope="session")
def loaded_tiny(tiny_model_folder: Path) -> Any:
    from srlm.lm.loading import load_model

    return load_model(str(tiny_model_folder), device="cpu")


@pytest.fixture(scope="session")
def prompts_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    import json

    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    rows = [
        {"prompt": f"w{n} w{n + 1}", "answer": [f"w{n}", "w9"], "kind": "even" if n % 2 == 0 else "odd"}
        for n in range(6)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def diagnosed(tiny_model_folder: Path, prompts_file: str) -> Any:
    """A diagnosis of six prompts with at most two new tokens."""
    from srlm.diagnosis.preflight import diagnose
    from srlm.diagnosis.settings import DiagnosisSettings

    settings = DiagnosisSettings(max_new_tokens=LIMIT, samples=8)
    return diagnose(str(tiny_model_folder), prompts_file, settings=settings, device="cpu")


@pytest.fixture(scope="session")
def enumerate_responses() -> Callable[..., dict[tuple[int, ...], float]]:
    """Log-probability of every response, each prefix by a forward pass of its own (no cache, no tree)."""
    import torch

    def enumerate_(model: Any, prompt: list[int], limit: int, ends: set[int]) -> dict[tuple[int, ...], float]:
        found: dict[tuple[int, ...], float] = {}
        open_: dict[tuple[int, ...], float] = {(): 0.0}
        for _ in range(limit):
            with torch.inference_mode():
                logits = model(torch.tensor([[*prompt, *prefix] for prefix in open_])).logits[:, -1]
            rows = logits.double().log_softmax(-1).tolist()
            onward: dict[tuple[int, ...], float] = {}
            for (prefix, total), row in zip(open_.items(), rows, strict=True):
                for token, logprob in enumerate(row):
                    longer = (*prefix, token)
                    done = token in ends or len(longer) == limit
                    (found if done else onward)[longer] = total + logprob
            open_ = onward
        return found

    return enumerate_
