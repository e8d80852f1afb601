"""`srlm run` as its users see it: one JSON document, a page, a model, more rounds on request, wrong input in a line."""

import json
from pathlib import Path

import pytest

from srlm.cli.main import run


@pytest.fixture(scope="module")
def asked(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A run of one round on the tiny model, without its folder."""
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"w{n}", "answer": f"w{n}"}) for n in range(4)), encoding="utf-8")
    small = ["--rounds", "1", "--responses", "2", "--max-new-tokens", "2", "--passes", "1", "--device", "cpu", "--json"]
    return ["run", "--model", str(tiny_model_folder), "--prompts", str(path), *small]


def test_a_run_is_shown_resumed_for_another_round_and_refused_otherwise(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run([*asked, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert document["status"] == "done"
    assert [one["round"] for one in document["rounds"]] == [0, 1]
    assert Path(document["report"]).is_file()
    assert (Path(document["model"]) / "config.json").is_file()
    assert "round 1: kappa" in shown.err
    assert run([*asked, "--out", str(out)]) == 2
    assert "holds a run already; add --resume" in capsys.readouterr().err
    assert run([*asked, "--out", str(out), "--resume", "--beta", "2"]) == 2
    assert "beta was 1.0 and is now 2.0" in capsys.readouterr().err
    assert run([*asked, "--out", str(out), "--resume", "--rounds", "2"]) == 0
    assert [one["round"] for one in json.loads(capsys.readouterr().out)["rounds"]] == [0, 1, 2]


def test_a_folder_in_the_configuration_file_is_used_where_none_is_typed(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    (tmp_path / "config.json").write_text(json.dumps({"output_dir": "full"}))
    assert run([*asked, "--config", "config.json"]) == 2
    assert "full exists and is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rounds", "0"], "rounds is 0; it must be a whole number, at least 1"),
        (["--responses", "1", "--beta", "0"], "num_generations is 1"),
        (["--responses", "1", "--beta", "0"], "beta is 0.0; it must be a number, greater than 0"),
        (["--seed", "-1"], "seed is -1"),
        (
            ["--loss", "magic"],
            "loss_type is 'magic'; use one of projection, regression, dpo, ipo, best_of_k, weighted",
        ),
        (["--reference", "x"], "reference is 'x'; use one of previous, base"),
        (["--on-signature", "kappa_rises"], "on_signature has kappa_rises=''; use one of note, stop, rollback"),
        (["--on-signature", "doom=stop"], "on_signature names 'doom'"),
        (["--preset", "magic"], "preset is 'magic'; use one of quick, faithful"),
        (["--dtype", "int8"], "dtype is 'int8'; use one of float32, bfloat16, float16"),
        (["--held-out", "1"], "held_out is 1.0; it must be a number, at least 0 and less than 1"),
        (["--limit", "0"], "limit is 0; it must be a whole number, at least 1"),
        (["--reward", "magic"], "reward 'magic' is unknown"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_exit_2(
    arguments: list[str], sentence: str, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run([*asked, *arguments, "--out", str(out)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sentence in shown.err
    assert shown.err.strip().count("\n") == 0
    assert not out.exists()
