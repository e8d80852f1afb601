"""From what a user typed to a run: presets, dry runs, and which of several answers wins."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.training.config import SelfRewardingConfig
from srlm.training.presets import PRESETS
from srlm.training.start import dry_run


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_a_configuration_that_a_run_takes(name: str, start: Callable[..., Any], tmp_path: Path) -> None:
    config = SelfRewardingConfig(output_dir=str(tmp_path / "x"), **PRESETS[name])
    assert all(getattr(config, field) == value for field, value in PRESETS[name].items())
    directory = start(tmp_path / "run", preset=name, drop=("rounds", "num_generations"), rounds=1)
    assert directory.record()["status"] == "done"
    assert directory.round(1).metrics()["kappa"]["upper"] > 0


def test_smaller_pieces_and_recomputed_activations_train_the_same(start: Callable[..., Any], tmp_path: Path) -> None:
    # Six prompts in one step: at once, or one after the other with gradients added up.
    whole = start(tmp_path / "whole", rounds=1, per_device_train_batch_size=6).round(1).metrics()
    pieces = PRESETS["low-memory"] | {"gradient_accumulation_steps": 6}
    small = start(tmp_path / "small", rounds=1, **pieces).round(1).metrics()
    assert small["kappa"]["upper"] < start(tmp_path / "base", rounds=1).round(0).metrics()["kappa"]["upper"]
    for name in ("log_kappa", "min_confidence"):
        assert small[name] == pytest.approx(whole[name], rel=1e-3), name


def test_options_win_over_the_file_and_the_file_over_the_preset(
    tmp_path: Path, tiny_model_folder: Path, prompts_file: str
) -> None:
    from srlm.training.start import Request, prepared

    file = tmp_path / "config.json"
    file.write_text(json.dumps({"num_train_epochs": 7, "rounds": 5}))
    asked = Request(
        model=str(tiny_model_folder),
        prompts=prompts_file,
        options={"rounds": 9, "output_dir": str(tmp_path / "out")},
        config_file=file,
        preset="quick",
    )
    config, _, _ = prepared(asked)
    assert (config.rounds, config.num_train_epochs, config.max_expansions) == (9, 7, 500)


def test_an_unknown_preset_is_named(start: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="preset is 'magic'; use one of quick, faithful"):
        start(tmp_path / "never", preset="magic")


def test_a_dry_run_says_what_the_run_will_be_and_writes_nothing(
    tiny_model_folder: Path, prompts_file: str, tmp_path: Path, start: Callable[..., Any]
) -> None:
    out = tmp_path / "run"
    options: dict[str, Any] = {
        "rounds": 2,
        "num_generations": 4,
        "max_completion_length": 3,
        "per_device_train_batch_size": 3,
        "output_dir": str(out),
    }
    before = sorted(tmp_path.rglob("*"))
    found = dry_run(model=str(tiny_model_folder), prompts=prompts_file, options=options, device="cpu")
    assert sorted(tmp_path.rglob("*")) == before
    assert (found.train_prompts, found.held_out_prompts) == (6, 2)
    assert (found.responses_per_round, found.pairs_per_round) == (32, 36)
    assert found.steps_per_round == 8  # 4 passes of 2 steps
    assert found.memory_is_measured
    assert found.peak_memory_bytes > found.parameters * 4
    assert all(seconds > 0 for seconds in found.seconds_per_round.values())
    assert found.seconds == pytest.approx(
        2 * sum(found.seconds_per_round.values())
        + found.seconds_per_round["sample"]
        + found.seconds_per_round["certify"]
    )
    json.dumps(found.as_json(), allow_nan=False)
    assert "2 rounds of 8 optimiser steps" in "\n".join(found.lines())
    # The disk estimate is of the right size: the run's own folder.
    directory = start(out)
    used = sum(path.stat().st_size for path in directory.path.rglob("*.safetensors"))
    assert found.disk_bytes == pytest.approx(used, rel=0.25)


def test_a_dry_run_refuses_what_the_run_would_refuse(
    tiny_model_folder: Path, prompts_file: str, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        dry_run(model=str(tiny_model_folder), prompts=prompts_file, options={"output_dir": str(tmp_path)})
