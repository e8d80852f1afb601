"""Whole runs on a tiny model: what they leave on disk, and that a killed run ends as an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.records.progress import Observer
from srlm.records.run_directory import RunDirectory

# Runs in a process of its own, so that SIGKILL kills it: kills itself at the n-th event of one kind.
_VICTIM = """
import os, signal, sys
from pathlib import Path
from srlm.records.progress import Observer
from srlm.training import trainer
from srlm.training.start import start_run

model, prompts, out, what, number = sys.argv[1:]

class Killer(Observer):
    stages = 0
    def stage(self, round_number, name, total):
        self.name, self.round = name, round_number
        if what == "save" and name == "save" and round_number == int(number):
            save = trainer.save_policy
            def die(*given):
                save(*given)
                os.kill(os.getpid(), signal.SIGKILL)
            trainer.save_policy = die
    def advance(self, done, total):
        if self.name == what and self.round == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

options = dict(rounds=2, num_generations=4, max_completion_length=3, beta=1.0, learning_rate=3e-3,
               per_device_train_batch_size=3, logging_strategy="no", output_dir=out)
start_run(model=model, prompts=prompts, options=options, device="cpu", resume=True, observer=Killer())
"""


def numbers(directory: RunDirectory) -> list[dict[str, Any]]:
    """Every round's metrics without the seconds, which no two runs share."""
    found = []
    for number in directory.completed_rounds():
        metrics = directory.round(number).metrics()
        metrics.pop("seconds")
        found.append(metrics)
    return found


@pytest.fixture(scope="module")
def undisturbed(tiny_model_folder: Path, prompts_file: str, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    from srlm.training.start import start_run

    options: dict[str, Any] = {
        "rounds": 2,
        "num_generations": 4,
        "max_completion_length": 3,
        "beta": 1.0,
        "learning_rate": 3e-3,
        "per_device_train_batch_size": 3,
        "logging_strategy": "no",
        "output_dir": str(tmp_path_factory.mktemp("runs") / "undisturbed"),
    }
    return start_run(model=str(tiny_model_folder), prompts=prompts_file, options=options, device="cpu")


def test_prompts_for_the_gate_leave_no_trace_in_a_run(
    undisturbed: RunDirectory, start: Callable[..., Any], prompts_file: str, tmp_path: Path
) -> None:
    # Before, among and after the others: the same run, to the last sample, and the same checksum of prompts.
    lines = Path(prompts_file).read_text(encoding="utf-8").splitlines()
    for at in (0, 5, 10):
        lines.insert(at, json.dumps({"prompt": f"w{at} w{at}", "answer": "w1", "split": "gate"}))
    marked = tmp_path / "marked.jsonl"
    marked.write_text("\n".join(lines), encoding="utf-8")
    run = start(tmp_path / "run", prompts=str(marked), rounds=1)
    before, now = undisturbed.record(), run.record()
    assert now["prompts"] == before["prompts"] == {"train": 6, "held_out": 2}
    assert now["configuration"]["prompts_checksum"] == before["configuration"]["prompts_checksum"]
    for number in (0, 1):
        for table in ("samples", "modes"):
            assert run.round(number).read_table(table).equals(undisturbed.round(number).read_table(table))


def test_a_run_leaves_what_the_contract_promises(undisturbed: RunDirectory) -> None:
    record = undisturbed.record()
    assert record["status"] == "done"
    assert record["configuration"]["beta"] == 1.0
    assert record["prompts"] == {"train": 6, "held_out": 2}
    assert undisturbed.completed_rounds() == [0, 1, 2]
    for number in range(3):
        metrics = undisturbed.round(number).metrics()
        for block in (metrics, metrics["held_out"]):
            assert 1 <= block["kappa"]["lower"] <= block["kappa"]["upper"]
            assert 0 <= block["failure_rate"]["lower"] <= block["failure_rate"]["upper"] <= 1
            assert 0 < block["min_confidence"]["lower"] <= 1
            assert block["margin"] >= 0
            assert 0 <= block["informative_pairs"] <= 1
            assert block["certified_share"] == 1
            assert set(block["accuracy"]) == {"sample", "greedy", "mode"}
        assert set(metrics["seconds"]) == {"sample", "certify", "train", "measure"}
        assert metrics["tokens"]["sampled"] > 0
        assert (metrics["tokens"]["trained"] > 0) == (number > 0)
        assert metrics["mode_drift"] is not None
        assert undisturbed.round(number).read_table("samples").num_rows == 32
        assert undisturbed.round(number).read_table("modes").num_rows == 8
        assert (undisturbed.round(number).checkpoint() / "adapter_model.safetensors").is_file()
    assert undisturbed.round(0).metrics()["mode_drift"] == 0


def test_training_contracts_kappa_on_the_trained_prompts(undisturbed: RunDirectory) -> None:
    first, last = (undisturbed.round(number).metrics() for number in (0, 2))
    assert last["kappa"]["upper"] < first["kappa"]["lower"]
    assert last["self_reward_mean"] > first["self_reward_mean"]


def test_the_exported_model_needs_no_adapter_library_and_gives_the_last_rounds_metrics(
    undisturbed: RunDirectory, start: Callable[..., Any], tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['peft'] = None\n"
        "from transformers import AutoModelForCausalLM\n"
        "AutoModelForCausalLM.from_pretrained(sys.argv[1])"
    )
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(undisturbed.path / "model")], check=True, env=env)
    again = start(tmp_path / "again", model=str(undisturbed.path / "model"), rounds=1).round(0).metrics()
    last = undisturbed.round(2).metrics()
    for key in ("kappa", "failure_rate", "min_confidence"):
        assert again[key] == pytest.approx(last[key], rel=1e-4), key
    assert again["accuracy"]["mode"] == last["accuracy"]["mode"]
    assert again["accuracy"]["greedy"] == last["accuracy"]["greedy"]


@pytest.mark.parametrize(
    ("stage", "number"), [("sample", 0), ("certify", 1), ("train", 1), ("save", 1), ("sample", 2), ("train", 2)]
)
def test_a_killed_and_resumed_run_equals_an_undisturbed_one(
    undisturbed: RunDirectory,
    tiny_model_folder: Path,
    prompts_file: str,
    start: Callable[..., Any],
    tmp_path: Path,
    stage: str,
    number: int,
) -> None:
    out = tmp_path / "killed"
    arguments = [str(tiny_model_folder), prompts_file, str(out), stage, str(number)]
    victim = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _VICTIM, *arguments], check=False, capture_output=True
    )
    assert victim.returncode == -signal.SIGKILL, victim.stderr.decode()
    assert len(RunDirectory.open(out).completed_rounds()) < 3
    assert numbers(start(out, resume=True)) == numbers(undisturbed)


def test_a_finished_run_is_resumed_for_more_rounds_and_nothing_is_done_twice(
    undisturbed: RunDirectory, start: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "more"
    shutil.copytree(undisturbed.path, out)

    seen: list[tuple[int, str]] = []

    class Stages(Observer):
        def stage(self, round_number: int, name: str, total: int) -> None:
            seen.append((round_number, name))

    start(out, resume=True, rounds=3, observer=Stages())
    assert {number for number, name in seen if name != "save"} == {3}
    assert RunDirectory.open(out).completed_rounds() == [0, 1, 2, 3]


def test_resuming_with_another_configuration_names_every_difference(
    undisturbed: RunDirectory, start: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "other"
    shutil.copytree(undisturbed.path, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"beta was 1\.0 and is now 2\.0; learning_rate was 0\.003 and is now 0\.1"):
        start(out, resume=True, beta=2.0, learning_rate=0.1)
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_another_runs_folder_is_refused_without_resume(
    undisturbed: RunDirectory, start: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="holds a run already; add --resume"):
        start(undisturbed.path)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        start(tmp_path)


def test_damaged_records_are_named_and_can_be_made_anew(
    undisturbed: RunDirectory, start: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "damaged"
    shutil.copytree(undisturbed.path, out)
    round_two = RunDirectory.open(out).round(2)
    (round_two.path / "metrics.manifest.json").unlink()
    samples = round_two.path / "samples.parquet"
    samples.write_bytes(samples.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"samples of round 2 .* are damaged"):
        start(out, resume=True)
    (round_two.path / "samples.manifest.json").unlink()
    assert numbers(start(out, resume=True)) == numbers(undisturbed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_generations": 1}, "num_generations is 1"),
        ({"rounds": 0}, "rounds is 0"),
        ({"beta": 0.0}, "beta is 0"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"num_generations": 1, "beta": -1.0}, r"num_generations is 1.*beta is -1"),
        ({"loss_type": "magic"}, "loss_type is 'magic'"),
        ({"lora_target_modules": ["nothing"]}, "the adapter does not fit"),
    ],
)
def test_wrong_configurations_are_refused_before_anything_is_written(
    start: Callable[..., Any], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    out = tmp_path / "never"
    with pytest.raises(InputError, match=message):
        start(out, **options)
    assert not out.exists()


def test_all_weights_can_be_trained_instead_of_an_adapter(start: Callable[..., Any], tmp_path: Path) -> None:
    directory = start(tmp_path / "full", use_peft=False, rounds=1)
    first, last = (directory.round(number).metrics() for number in (0, 1))
    assert last["kappa"]["upper"] < first["kappa"]["upper"]
    assert json.loads((tmp_path / "full" / "model" / "config.json").read_text())["model_type"] == "llama"


def test_weights_of_other_rounds_than_best_and_last_can_be_let_go(
    undisturbed: RunDirectory, start: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "lean"
    lean = start(out, rounds=3, keep_checkpoints="best_and_last", on_signature={"all": "note"})
    best = lean.record()["best_round"]
    kept = {number for number in range(4) if (lean.round(number).path / "checkpoint").is_dir()}
    assert kept == {best, 3}
    assert numbers(lean)[:3] == numbers(undisturbed)
    # What is left is enough to go on.
    assert start(out, resume=True, rounds=4, on_signature={"all": "note"}).completed_rounds() == [0, 1, 2, 3, 4]


def test_the_saved_model_has_a_card_that_says_what_was_done(undisturbed: RunDirectory) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(undisturbed.path / "model" / "README.md")
    assert card.data.library_name == "transformers"
    assert "srlm" in (card.data.tags or [])
    assert card.data.base_model == undisturbed.record()["configuration"]["model"]
    kappa = undisturbed.round(2).metrics()["kappa"]["upper"]
    assert f"| 2 (this model) | {kappa:.3g} |" in card.content


class _Stop(Observer):
    """Ends a run where a stage of a round begins."""

    def __init__(self, number: int, stage: str) -> None:
        self._where = number, stage

    def stage(self, round_number: int, name: str, total: int) -> None:
        if (round_number, name) == self._where:
            raise KeyboardInterrupt


def test_without_certification_nothing_is_searched_and_resuming_changes_nothing(
    start: Callable[..., Any], undisturbed: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srlm.engines import search as engine

    def search(*args: Any, **rest: Any) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(engine, "search_modes", search)
    whole = start(tmp_path / "whole", max_expansions=0)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "cut", max_expansions=0, observer=_Stop(1, "certify"))
    cut = start(tmp_path / "cut", max_expansions=0, resume=True)
    assert numbers(whole) == numbers(cut)
    # Only the base model is the same in both: an update trains on what a search keeps, too.
    for ours, searched in zip(numbers(whole)[:1], numbers(undisturbed)[:1], strict=True):
        assert ours["self_reward_mean"] == pytest.approx(searched["self_reward_mean"])
        assert ours["accuracy"]["sample"] == searched["accuracy"]["sample"]
        assert ours["accuracy"]["greedy"] == searched["accuracy"]["greedy"]
        assert ours["log_kappa"]["lower"] <= searched["log_kappa"]["lower"] + 1e-4
        assert ours["log_kappa"]["upper"] >= searched["log_kappa"]["upper"] - 1e-4
