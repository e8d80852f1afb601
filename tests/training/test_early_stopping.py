"""Early stopping: ends where the held-out residual no longer falls, and keeps the best pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.records.progress import Observer

# A rate at which the trained prompts' residual keeps falling while the held-out one turns.
GREEDY = {"rounds": 1, "num_train_epochs": 12, "learning_rate": 3e-2, "lr_scheduler_type": "constant"}


@pytest.mark.parametrize("loss", ["regression", "projection"])
def test_an_update_ends_at_the_turn_and_keeps_the_best_pass(
    start: Callable[..., Any], tmp_path: Path, loss: str
) -> None:
    metrics = start(tmp_path / "run", early_stopping_patience=2, loss_type=loss, **GREEDY).round(1).metrics()
    update, residuals = metrics["update"], metrics["update"]["held_out_residuals"]
    assert update["stopped_early"]
    assert len(residuals) == update["passes"] < 12
    assert min(residuals[-2:]) > min(residuals)
    # The certificate scores the held-out prompts under the weights that were kept: those of the best pass.
    if loss == "regression":
        assert metrics["certificate"]["held_out"]["residual"] == pytest.approx(min(residuals), rel=1e-4)


def test_without_patience_all_passes_are_taken_and_nothing_is_measured(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    update = start(tmp_path / "run", **(GREEDY | {"num_train_epochs": 3})).round(1).metrics()["update"]
    assert update == {"passes": 3.0, "steps": 6, "held_out_residuals": [], "stopped_early": False}


def test_a_run_stopped_within_an_update_ends_as_an_undisturbed_one(start: Callable[..., Any], tmp_path: Path) -> None:
    class Interrupts(Observer):
        def advance(self, done: int, total: int) -> None:
            if total == 24 and done == 5:  # 12 passes of 2 steps: within the update
                raise KeyboardInterrupt

    options = GREEDY | {"early_stopping_patience": 2}
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "cut", observer=Interrupts(), **options)
    found = [
        one.round(1).metrics()
        for one in (start(tmp_path / "cut", resume=True, **options), start(tmp_path / "whole", **options))
    ]
    for metrics in found:
        metrics.pop("seconds")
    assert found[0] == found[1]


def test_early_stopping_needs_held_out_prompts(
    tiny_model_folder: Path, tmp_path: Path, start: Callable[..., Any]
) -> None:
    from srlm.training.start import start_run

    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "w1 w2", "split": "train"}\n')
    with pytest.raises(InputError, match="early_stopping_patience needs held-out prompts"):
        start_run(
            model=str(tiny_model_folder),
            prompts=str(prompts),
            options={"early_stopping_patience": 1, "max_completion_length": 3, "output_dir": str(tmp_path / "never")},
            device="cpu",
        )
    assert not (tmp_path / "never").exists()
