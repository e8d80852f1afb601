"""`srlm diagnose` as its users see it: text, JSON, pages, a plan from it, and every wrong input in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from srlm.cli.main import run

QUICK = ["--max-new-tokens", "2", "--samples", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    rows = [{"prompt": f"w{n}", "answer": f"w{n}", "kind": "even" if n % 2 == 0 else "odd"} for n in range(10)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def written(tiny_model_folder: Path, prompts: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "diagnosis"
    assert run(["diagnose", "--model", str(tiny_model_folder), "--prompts", prompts, *QUICK, "--out", str(out)]) == 0
    return out


def test_text_answers_the_questions_and_names_the_next_command(
    tiny_model_folder: Path, prompts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diagnose", "--model", str(tiny_model_folder), "--prompts", prompts, *QUICK]) == 0
    said = capsys.readouterr().out
    for words in (
        "10 of 10 modes are proved", "Will self-rewarding help?", "How sharp is the model?", "predicted ceiling (P5)",
        "Does it know right from wrong?", "effective dimension", "proved not to find the mode", "srlm plan --from",
        "even", "odd", "bootstrap", "What would rounds make of it?", "[ ] is certain at these prompts",
    ):  # fmt: skip
        assert words in said


def test_it_foretells_rounds_and_a_plan_leads_with_the_same_forecast(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads((written / "diagnosis.json").read_text())
    forecast, rounds = found["forecast"], found["forecast"]["rounds"]
    assert (forecast["beta"], [one["round"] for one in rounds]) == (1.0, [0, 1, 2, 3])
    assert [one["power"] for one in rounds] == [1.0, 2.0, 4.0, 8.0]
    assert rounds[0]["kappa"] == pytest.approx(found["kappa"])
    assert rounds[0]["failure_rate"] == found["failure_rate"]
    assert all(one["kappa"]["lower"] <= one["kappa_point"] <= one["kappa"]["upper"] + 1e-9 for one in rounds)
    plan = ["plan", "--from", str(written)]
    assert run([*plan, "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["forecast"] == forecast
    assert alone["worst_case"] is None
    assert "--pairs" in alone["worst_case_note"]
    # Two rounds at beta 1 are one at beta 1/3: both are the fourth power.
    assert run([*plan, "--beta", str(1 / 3), "--rounds", "1", "--pairs", "100", "--radius", "3", "--json"]) == 0
    both = json.loads(capsys.readouterr().out)
    once, twice = both["forecast"]["rounds"][1], rounds[2]
    assert (once["power"], len(both["forecast"]["rounds"]), both["inputs"]["rounds"]) == (pytest.approx(4), 2, 1)
    for name in ("kappa_point", "projection_kappa", "sample_accuracy_point"):
        assert once[name] == pytest.approx(twice[name])
    assert run(plan) == 0
    said = capsys.readouterr().out
    assert said.index("What would rounds make of it?") < said.index("In the worst case")
    for words in ("now", "[ ] is certain at these prompts", "real rounds are not", "aim at kappa", "need --pairs"):
        assert words in said
    assert run([*plan, "--pairs", "100", "--radius", "3"]) == 0
    said = capsys.readouterr().out
    assert said.index("In the worst case") < said.index("Start: kappa")
    assert "3 rounds" in said
    assert run([*plan, "--plot", str(tmp_path / "plan.svg")]) == 2
    assert "--pairs missing" in capsys.readouterr().err
    assert run([*plan, "--rounds", "0"]) == 2
    assert "--rounds" in capsys.readouterr().err


def test_json_is_one_document_equal_to_the_file(
    tiny_model_folder: Path, prompts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["diagnose", "--model", str(tiny_model_folder), "--prompts", prompts, *QUICK, "--no-spectra", "--json"]
    assert run([*command, "--out", str(tmp_path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((tmp_path / "diagnosis.json").read_text())
    assert (tmp_path / "diagnosis.html").is_file()
    assert shown["effective_dimension"] == {}


def test_a_plan_is_drawn_from_it(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    command = ["plan", "--from", str(written / "diagnosis.json"), "--pairs", "100", "--radius", "3", "--json"]
    assert run(command) == 0
    plan = json.loads(capsys.readouterr().out)
    found = json.loads((written / "diagnosis.json").read_text())
    assert plan["inputs"]["kappa0"] == found["kappa"]["upper"]
    assert plan["inputs"]["min_confidence"] == found["min_confidence"]["lower"]
    assert plan["inputs"]["margin"] == min(p["margin_lower"] for p in found["prompts"] if p["margin_lower"])
    assert plan["inputs"]["dim"] == found["effective_dimension"]["value"]
    assert len(plan["from"]) == 4


def test_models_are_compared_and_the_comparison_is_written(
    tiny_model_folder: Path, written: Path, prompts: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["diagnose", "--compare", str(tiny_model_folder), str(written), "--prompts", prompts, *QUICK]
    assert run([*command, "--no-spectra", "--out", str(tmp_path)]) == 0
    assert "comparison.html" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "comparison.json").read_text())["models"]) == 2
    assert (tmp_path / "comparison.html").is_file()


def broken_model(folder: Path, target: Path, change: str) -> str:
    """A copy of the tiny model with one thing wrong."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, target)
    if change == "nan":
        weights = load_file(target / "model.safetensors")
        weights["model.layers.1.mlp.up_proj.weight"] = torch.full_like(
            weights["model.layers.1.mlp.up_proj.weight"], torch.nan
        )
        save_file(weights, target / "model.safetensors", {"format": "pt"})
    elif change == "headless":
        weights = load_file(target / "model.safetensors")
        del weights["lm_head.weight"]
        save_file(weights, target / "model.safetensors", {"format": "pt"})
    elif change == "endless":
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            path = target / name
            if path.is_file():
                fields = json.loads(path.read_text())
                fields.pop("eos_token", None)
                path.write_text(json.dumps(fields))
    elif change == "no template":
        (target / "chat_template.jinja").unlink()
    return str(target)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("nan", "the first such values come from model.layers.1.mlp"),
        ("headless", "lm_head.weight"),
        ("endless", "has no end token"),
        ("no template", "has no chat template"),
    ],
)
def test_models_that_cannot_be_diagnosed_are_refused_in_one_line(
    change: str, sentence: str, tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps({"prompt": [{"role": "user", "content": "w1"}]}))
    model = broken_model(tiny_model_folder, tmp_path / "model", change)
    assert run(["diagnose", "--model", model, "--prompts", str(path), *QUICK]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err
    assert shown.err.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--max-new-tokens", "0"], "max_new_tokens is 0"),
        (["--samples", "0"], "samples is 0"),
        (["--expansions", "0"], "expansions is 0"),
        (["--mass-slack", "2"], "mass_slack is 2.0"),
        (["--limit", "0"], "number of prompts is 0"),
        (["--prompts", "./nowhere.jsonl"], "does not exist"),
        (["--model", "./nowhere"], "cannot be loaded"),
        (["some-model"], "name a model with --model"),
        (["--compare", "one"], "two models or more"),
        (["--compare", "--families", "a", "b"], "exclude each other"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_exit_2(
    arguments: list[str],
    sentence: str,
    tiny_model_folder: Path,
    prompts: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    given: list[str] = ["--prompts", prompts, *arguments]
    if "--model" not in arguments:
        given = ["--model", str(tiny_model_folder), *given]
    assert run(["diagnose", *given]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err


def test_answers_of_the_wrong_type_name_the_line(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = [{"prompt": "w1", "answer": "w2"}, {"prompt": "w1", "answer": {"is": 3}}]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert run(["diagnose", "--model", str(tiny_model_folder), "--prompts", str(path), *QUICK]) == 2
    assert "line 2" in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_refused_before_the_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert run(["diagnose", "--model", "./nowhere", "--out", str(file)]) == 2
    assert "is a file" in capsys.readouterr().err
