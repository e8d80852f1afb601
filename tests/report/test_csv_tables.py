"""Tables as CSV files: read back with a strict reader, the numbers are those of the records."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from srlm.records.atomic import write_text
from srlm.records.text import spreadsheet_safe
from srlm.report.csv_tables import tables_of
from srlm.report.reading import read_run


def _write(folder: Path, out: Path) -> list[str]:
    for name, text in (tables := tables_of(folder)).items():
        write_text(out / name, text)
    return list(tables)


def _read(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    assert content.endswith(b"\r\n")
    assert content.count(b"\n") == content.count(b"\r\n")  # RFC 4180; no text brings a line of its own
    rows = list(csv.reader(content.decode("utf-8").split("\r\n")[:-1], strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_the_numbers_of_a_run_are_those_of_its_records(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    files = _write(folder, tmp_path / "tables")
    assert files == [f"{name}.csv" for name in ("rounds", "prompts", "forecast", "promises", "alarms")]
    run = read_run(folder, False)
    rounds = _read(tmp_path / "tables" / "rounds.csv")
    assert [(row["round"], row["split"]) for row in rounds] == [
        (str(number), split) for number in range(4) for split in ("train", "held_out")
    ]
    for row in rounds:
        of = run.rounds[int(row["round"])].split(row["split"])  # type: ignore[arg-type]
        assert of is not None
        assert float(row["kappa.lower"]) == of.kappa.lower
        assert float(row["accuracy.sample"]) == of.accuracy.sample
        assert float(row["seconds.sample"]) == 3.0
    prompts = _read(tmp_path / "tables" / "prompts.csv")
    assert len(prompts) == 4 * 18
    assert prompts[0]["prompt"] == "question 0 "
    assert {row["sample_accuracy"] for row in prompts} == {"0.0", "1.0"}  # every sample is the mode
    assert all((row["mode_correct"] == "true") == (row["sample_accuracy"] == "1.0") for row in prompts)
    assert len(_read(tmp_path / "tables" / "forecast.csv")) == 8
    assert {row["verdict"] for row in _read(tmp_path / "tables" / "promises.csv")} <= {
        "held",
        "departed",
        "open",
        "note",
    }
    assert (tmp_path / "tables" / "alarms.csv").read_text() == "name,round,step,evidence,advice\n"


def test_answers_have_their_counts_and_certificates(make_answer_run: Callable[..., Path], tmp_path: Path) -> None:
    _write(make_answer_run(tmp_path / "run"), tmp_path)
    for row in _read(tmp_path / "prompts.csv"):
        counts = json.loads(row["counts"])
        assert row["leader"] == counts[0][0]
        assert sum(count for _, count in counts) == int(row["responses"]) == 12
        assert float(row["share"]) == counts[0][1] / 12


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_is_a_formula(start: str, make_run: Callable[..., Path], tmp_path: Path) -> None:
    def spoilt(number: int) -> dict[str, object]:
        told = {"name": start, "round": number, "evidence": f'{start},"; \n x', "advice": "\u202e\u0085"}
        return {"signatures": [told] if number else None}

    _write(make_run(tmp_path / "run", more=spoilt, rounds=1), tmp_path)
    (alarm,) = _read(tmp_path / "alarms.csv")
    assert alarm["name"].lstrip()[:1] not in tuple("=+-@")
    assert alarm["evidence"].endswith(',"; \\n x')
    assert alarm["advice"] == "\\u202e\\x85"


def test_plain_text_stays_as_it_is() -> None:
    assert [spreadsheet_safe(one) for one in ("Paris", "", "5 - 3", "a=b")] == ["Paris", "", "5 - 3", "a=b"]
    assert spreadsheet_safe("-5") == "'-5"
