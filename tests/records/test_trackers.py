"""What trackers are told: trl's names, every round, on one axis of steps for the whole run."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from srlm.lm.loading import load_model
from srlm.records.bracket import Bracket
from srlm.records.progress import Observer
from srlm.records.rounds import ExactnessRecord, RoundRecord, SplitRecord
from srlm.records.trackers import tracked
from srlm.tasks.prompts import Prompt
from srlm.training.config import SelfRewardingConfig
from srlm.training.trainer import SelfRewardingTrainer


class Tracker(TrainerCallback):
    """Keeps what it is told, as wandb or TensorBoard would."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, Any]]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.told.append((state.global_step, dict(logs)))


class Interrupt(Observer):
    def stage(self, round_number: int, name: str, total: int) -> None:
        if (round_number, name) == (2, "sample"):
            raise KeyboardInterrupt


def run(folder: Path, model: Path, **options: Any) -> Tracker:
    tracker = Tracker()
    config = SelfRewardingConfig(
        output_dir=str(folder),
        rounds=2,
        num_generations=4,
        max_completion_length=3,
        learning_rate=3e-3,
        num_train_epochs=2,
        per_device_train_batch_size=3,
        use_cpu=True,
    )
    prompts = [Prompt(f"w{n} w{n + 1}", "held_out" if n > 5 else "train", (f"w{n + 2}",)) for n in range(8)]
    SelfRewardingTrainer(load_model(str(model), device="cpu"), config, prompts, callbacks=[tracker]).train(**options)
    return tracker


def test_trackers_see_steps_and_rounds_on_one_axis(tiny_model_folder: Path, tmp_path: Path) -> None:
    told = run(tmp_path / "run", tiny_model_folder).told
    steps = [step for step, _ in told]
    assert steps == sorted(steps)
    losses = [step for step, logs in told if "loss" in logs]
    assert losses == list(range(1, 9))  # two rounds of two passes of two steps
    rounds = [(step, logs) for step, logs in told if "srlm/round" in logs]
    assert [step for step, _ in rounds] == [0, 4, 8]
    for number, (_, logs) in enumerate(rounds):
        recorded = json.loads((tmp_path / "run" / "rounds" / f"{number:02d}" / "metrics.json").read_text())
        assert logs["srlm/held_out/kappa/upper"] == recorded["held_out"]["kappa"]["upper"]
        assert logs["completions/mean_length"] == recorded["mean_response_tokens"]
        assert ("reward" in logs) == (number > 0)


def test_a_resumed_run_goes_on_along_the_axis(tiny_model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", tiny_model_folder, observer=Interrupt())
    told = run(tmp_path / "run", tiny_model_folder, resume_from_checkpoint=True).told
    assert [(step, logs["srlm/round"]) for step, logs in told if "srlm/round" in logs] == [(8, 2.0)]


def test_only_finite_numbers_are_told() -> None:
    split = SplitRecord(kappa=Bracket.of(2.0, math.inf), failure_rate=Bracket.of(0.5, 0.5), entropy=0.5)
    exactness = ExactnessRecord(eps=1.0, holds=False, refuted=True, prompts_holding=0.25)
    told = tracked(RoundRecord(round=1, train=split, certificate=exactness))
    assert told == {
        "entropy": 0.5,
        "srlm/round": 1.0,
        "srlm/kappa/lower": 2.0,
        "srlm/failure_rate/lower": 0.5,
        "srlm/failure_rate/upper": 0.5,
        "srlm/entropy": 0.5,
        "srlm/certificate/eps": 1.0,
        "srlm/certificate/prompts_holding": 0.25,
    }
