import json
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
