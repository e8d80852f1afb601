"""From what a user typed to a run: presets, dry runs, and which of several answers wins."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.records.options import facts_of
from srlm.records.progress import Observer
from srlm.training.config import SelfRewardingConfig
from srlm.training.estimate import estimate_run
from srlm.training.presets import PRESETS
from srlm.training.settings import Request
from srlm.training.start import dry_run, prepared, start_run
from srlm.training.updates import UPDATES


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


def test_a_run_says_how_many_rounds_it_has_before_it_begins_them(start: Callable[..., Any], tmp_path: Path) -> None:
    told: list[Any] = []

    class Listener(Observer):
        def begin(self, rounds: int) -> None:
            told.append(rounds)

        def stage(self, round_number: int, name: str, total: int) -> None:
            told.append(name)

    start(tmp_path / "run", preset="quick", drop=("rounds",), observer=Listener())
    # The preset's one round, which no option named, before the first stage.
    assert told[0] == 1
    assert {"sample", "certify", "train"} <= set(told[1:])


def test_a_dry_run_leaves_the_configuration_as_it_is(
    tiny_model_folder: Path, prompts_file: str, tmp_path: Path
) -> None:
    options = {"output_dir": str(tmp_path / "run"), "max_completion_length": 2, "num_train_epochs": 3.0}
    config, prompts, loaded = prepared(
        Request(model=str(tiny_model_folder), prompts=prompts_file, options=options, device="cpu")
    )
    before = config.to_dict()
    # Three passes of one step: 6 prompts, 8 a step.
    assert estimate_run(loaded, config, prompts).steps_per_round == 3
    assert config.to_dict() == before


def test_the_updates_that_a_setting_names_are_the_updates_there_are() -> None:
    [choices] = [facts.choices for one, facts in facts_of(SelfRewardingConfig) if one.name == "loss_type"]
    assert choices == tuple(UPDATES)


def test_a_resumed_run_may_change_what_its_field_says_and_nothing_else() -> None:
    config = SelfRewardingConfig(use_cpu=True)
    record = config.recorded()
    on_resume = {one.name: facts.on_resume for one, facts in facts_of(config)}
    assert not {name for name, rule in on_resume.items() if rule == "unrecorded"} & record.keys()
    assert {name for name, rule in on_resume.items() if rule != "unrecorded"} <= record.keys()
    free = config.may_change(record, record) & on_resume.keys()
    # The batch size is free as well while a step keeps its prompts, as here.
    assert free == {name for name, rule in on_resume.items() if rule == "free"} | {"per_device_train_batch_size"}
    assert {"rounds", "on_signature", "max_drift", "rows_per_pass"} <= free
    # What an older srlm did not record is free at its default only.
    older = {name: value for name, value in record.items() if name not in ("anchor_weight", "reference")}
    assert config.may_change(older, record | {"reference": "base"}) - config.may_change(record, record) == {
        "anchor_weight"
    }


def test_ours_are_recorded_whatever_they_are_and_others_where_they_are_not_at_their_default() -> None:
    plain = SelfRewardingConfig(use_cpu=True).recorded()
    other = SelfRewardingConfig(use_cpu=True, weight_decay=0.1, run_name="x", save_total_limit=3).recorded()
    assert other == plain | {"weight_decay": 0.1}
    assert plain["beta"] == 1.0
    assert {"optim", "max_grad_norm"} <= plain.keys()
    assert "weight_decay" not in plain


def test_a_resumed_run_goes_on_as_it_was_told_even_where_a_default_has_changed(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    start(folder, loss_type="regression", rounds=1, beta=2.0)
    # As an srlm wrote it that knew no projection, and no gate.
    document = json.loads((folder / "run.json").read_text())
    document["configuration"] = {k: v for k, v in document["configuration"].items() if k not in ("k_best", "gate")}
    (folder / "run.json").write_text(json.dumps(document))
    again = start(folder, resume=True, rounds=2, drop=("beta",))
    assert again.completed_rounds() == [0, 1, 2]
    configuration = again.record()["configuration"]
    assert (configuration["loss_type"], configuration["beta"]) == ("regression", 2.0)
    with pytest.raises(InputError, match="loss_type was 'regression' and is now 'projection'"):
        start(folder, resume=True, loss_type="projection")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"k_best": 4, "max_expansions": 0}, "k_best needs the search"),
        ({"k_best": 0}, "k_best is 0"),
        ({"loss_type": "mode_likelihood", "max_expansions": 0}, "trains on modes"),
        ({"gate": "answers"}, "marked split gate"),
    ],
)
def test_what_goes_not_together_is_said_in_a_sentence(
    start: Callable[..., Any], tmp_path: Path, told: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        start(tmp_path / "run", **told)


def test_a_gate_by_held_out_prompts_needs_some_and_without_being_asked_for_takes_the_trained_ones(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "trained.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"w{at} w{at + 1}", "split": "train"}) + "\n" for at in (3, 4, 5)))
    with pytest.raises(InputError, match="gate held_out needs held-out prompts"):
        start(tmp_path / "asked", prompts=str(file), gate="held_out")
    choice = start(tmp_path / "run", prompts=str(file), rounds=1).record()["choice"]
    assert choice["by"] == "train"
    assert "train prompts" in choice["reason"]


def test_a_third_splits_answers_choose_the_round_where_they_are_asked_for(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "three.jsonl"
    splits = ["train"] * 4 + ["held_out"] * 2 + ["gate"] * 3
    file.write_text(
        "".join(
            json.dumps({"prompt": f"w{at + 3} w{at + 4}", "answer": "w2", "split": split}) + "\n"
            for at, split in enumerate(splits)
        )
    )
    run = start(tmp_path / "run", prompts=str(file), gate="answers")
    gate = [run.round(number).metrics()["gate"] for number in run.completed_rounds()]
    assert [one["prompts"] for one in gate] == [3, 3, 3]
    scores = [one["accuracy"]["sample"] for one in gate]
    choice = run.record()["choice"]
    assert (choice["by"], choice["round"]) == ("answers", scores.index(max(scores)))
    plain = start(tmp_path / "plain", prompts=str(file))
    assert [plain.round(at).metrics()["gate"] for at in (0, 1, 2)] == [None] * 3
    # The third split takes no part in anything else.
    for at in (0, 1, 2):
        assert run.round(at).metrics()["log_kappa"] == plain.round(at).metrics()["log_kappa"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("adam_epsilon", -1.0),
        ("optim_args", "x"),
        ("report_to", ["x"]),
        ("lr_scheduler_kwargs", {"x": 1}),
        ("gradient_accumulation_steps", 0),
        ("dataloader_num_workers", -1),
        ("neftune_noise_alpha", 1e308),
        ("torch_compile", True),
        ("eval_on_start", True),
        ("dataloader_drop_last", True),
        ("dataloader_multiprocessing_context", "spawn"),
        ("use_liger_kernel", True),
        ("log_level_replica", "x"),
        ("rounds", 10**30),
        ("rescore", "yes"),
    ],
)
def test_a_field_of_the_file_that_no_library_takes_is_refused_before_anything_is_written(
    field: str, value: Any, tmp_path: Path, tiny_model_folder: Path, prompts_file: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({field: value, "lr_scheduler_type": "cosine"}))
    asked: dict[str, Any] = {"model": str(tiny_model_folder), "prompts": prompts_file, "device": "cpu"}
    options = {"output_dir": str(tmp_path / "run")} | ({} if field == "rounds" else {"rounds": 1})
    with pytest.raises(InputError):
        start_run(**asked, config_file=tmp_path / "config.json", options=options)
    assert not (tmp_path / "run").exists()
