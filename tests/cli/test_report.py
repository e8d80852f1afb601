import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from srlm.cli.main import run
from srlm.records.run_directory import RunDirectory


def test_report_prints_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = RunDirectory.create(tmp_path / "run", {"model": "toy", "rounds": 2}, {}).path
    assert run(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(folder / "report.html")
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize("arguments", [["nothing-here"], ["nothing-here", "nor-here"], []])
def test_report_of_no_run_is_one_line_and_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", *arguments]) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0


def test_a_card_and_tables_lie_beside_the_page(
    make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, tables = make_run(tmp_path / "run"), tmp_path / "new" / "tables"
    asked = ["report", str(folder), "--out", str(tmp_path / "page.html"), "--card", "--csv", str(tables), "--json"]
    assert run(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["card"] == {kind: str(tmp_path / f"card.{kind}") for kind in ("svg", "png", "md")}
    assert sorted(told["csv"]) == sorted(map(str, tables.iterdir()))
    assert all(Path(one).is_file() for one in (*told["card"].values(), *told["csv"]))
    assert f"{told['runs'][0]['headline']}." in (tmp_path / "card.md").read_text(encoding="utf-8").replace("\\", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["RUN", "--serve", "--card"],
        ["RUN", "--serve", "--csv", "TMP/tables"],
        ["RUN", "--serve", "--out", "TMP/page.html"],
        ["RUN", "--serve", "--port", "70000"],
        ["RUN", "RUN", "--out", "TMP/page.html", "--card"],
        ["RUN", "RUN", "--out", "TMP/page.html", "--csv", "TMP/tables"],
        ["RUN", "--csv", "RUN/run.json"],
        ["EMPTY", "--card"],
        ["TMP/nothing", "--csv", "TMP/tables"],
    ],
)
def test_what_cannot_be_done_is_one_line_and_nothing_is_written(
    arguments: list[str], make_run: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "run", rounds=1)
    empty = RunDirectory.create(tmp_path / "empty", {"model": "toy", "rounds": 2}, {}).path
    before = sorted(tmp_path.rglob("*"))
    places = {"RUN": str(folder), "EMPTY": str(empty), "TMP": str(tmp_path)}
    given = [re.sub("RUN|EMPTY|TMP", lambda one: places[one[0]], argument) for argument in arguments]
    assert run(["report", *given]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.strip().count("\n")) == ("", 0)
    assert sorted(tmp_path.rglob("*")) == before
