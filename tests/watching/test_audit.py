"""`srlm audit`: exit codes, the document, the page, a run that still writes, and input that nobody should write."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.watching import written

from srlm.cli.main import run
from srlm.errors import InputError
from srlm.records.run_directory import RunDirectory
from srlm.watching.audit import Audit, AuditSettings, audit, follow
from srlm.watching.folders import trainer_state

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00 \ud800 the answer is 4."


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run that learns, and one whose wrong answers take over; 30 steps each."""
    root = tmp_path_factory.mktemp("runs")
    learns = [one for step in range(30) for one in written.rows(1, 8, 8, 0.5 + step / 80, step, step + 1)]
    falls = [one for step in range(30) for one in written.rows(1, 8, 8, max(0.05, 0.9 - step / 20), step, step + 1)]
    return {"healthy": written.verl(root / "healthy", learns), "collapsing": written.trl(root / "collapsing", falls)}


def test_exit_codes_and_the_document(folders: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", str(folders["healthy"]), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["steps"], told["prompts"], told["completions"]) == ("verl", 30, 8, 30 * 64)
    assert (told["level"], told["alarms"]) == ("answer", [])
    assert run(["audit", str(folders["collapsing"]), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert {"corrupted_grow", "accuracy_falls"} <= {one["signature"] for one in told["alarms"]}
    for one in told["alarms"]:
        assert {"signature", "step", "evidence", "advice", "false_alarms_per_1000_steps"} <= one.keys()
    samples = [one["accuracy"]["sample"] for one in told["rounds"]]
    assert samples[0] > 0.7 > 0.2 > samples[-1]
    assert run(["audit", str(folders["collapsing"])]) == 3
    text = capsys.readouterr().out
    assert "alarms in 30 steps" in text.splitlines()[0]
    assert ", corrupted_grow: Majorities that were right become wrong" in text


def test_without_out_nothing_is_written_and_with_it_a_run_that_report_takes(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(folders["collapsing"].rglob("*"))
    audit(folders["collapsing"])
    assert sorted(folders["collapsing"].rglob("*")) == before
    assert not list(tmp_path.iterdir())
    for name in ("collapsing", "healthy", "healthy"):  # an earlier audit is replaced
        assert run(["audit", str(folders[name]), "--out", name]) == (3 if name == "collapsing" else 0)
    directory = RunDirectory.open(tmp_path / "collapsing")
    assert directory.record()["configuration"]["source"] == "audit"
    rounds = [directory.round(one).metrics() for one in directory.completed_rounds()]
    assert 2 <= len(rounds) <= 16
    assert rounds[0]["steps"]["first"] == 1
    assert rounds[-1]["steps"]["last"] == 30
    assert pq.read_table(tmp_path / "collapsing" / "rounds" / "00" / "samples.parquet").num_rows > 0
    page = (tmp_path / "collapsing" / "report.html").read_text("utf-8")
    assert "another trainer" in page
    assert "corrupted grow" in page
    for one in (page, (tmp_path / "healthy" / "report.html").read_text("utf-8")):
        assert "before training" not in one, "the first window is not the untouched model"
    assert run(["report", "collapsing", "healthy", "--out", "both.html"]) == 0
    assert "runs side by side" in (tmp_path / "both.html").read_text("utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert run(["audit", str(folders["healthy"]), "--out", "mine"]) == 2
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert run(["audit", "collapsing"]) == 2
    assert "srlm report collapsing" in capsys.readouterr().err


def test_an_audit_imports_no_torch(folders: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'peft', 'datasets'): sys.modules[name] = None\n"
        "from srlm.cli.main import run\n"
        f"sys.exit(run(['audit', {str(folders['collapsing'])!r}, '--out', {str(tmp_path / 'out')!r}]))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 3
    assert (tmp_path / "out" / "report.html").is_file()


class Clock:
    """Waits without waiting: a step of a writer instead of a look at the clock."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)

    def __call__(self, seconds: float) -> None:
        if self.steps:
            self.steps.pop(0)()


def test_a_run_is_followed_while_it_writes_half_lines_and_all(tmp_path: Path) -> None:
    drawn = written.rows(steps=4)
    lines = [json.dumps(written.table_record(one)) + "\n" for one in drawn]
    path, seen = tmp_path / "run" / "log.jsonl", []
    path.parent.mkdir()

    def write(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    cut = len(lines[30]) // 2
    clock = Clock(
        lambda: write("".join(lines[:25])),
        lambda: write("".join(lines[25:30]) + lines[30][:cut]),
        lambda: write(lines[30][cut:] + "".join(lines[31:])),
    )
    for one, _ in follow(tmp_path / "run", AuditSettings(idle=6, poll=2), tmp_path / "out", wait=clock):
        seen.append((one.steps, one.to_document()["completions"]))
        assert RunDirectory.open(tmp_path / "out").record()["status"] in ("running", "done")
    assert seen[-1] == (4, len(drawn))
    assert [steps for steps, _ in seen] == [1, 1, 3, 4]
    whole = audit(tmp_path / "run").to_document()
    told = one.to_document()
    assert told["rounds"] == whole["rounds"]
    assert not [note for note in told["notes"] if "left out" in note]
    assert RunDirectory.open(tmp_path / "out").record()["status"] == "done"


def test_a_live_writer_of_step_files_beside_the_reader(tmp_path: Path) -> None:
    drawn = written.rows(steps=8)

    def work() -> None:
        for step, some in written.by_step(drawn).items():
            with (tmp_path / f"{step}.jsonl").open("w") as file:
                for one in some:
                    file.write(json.dumps(written.verl_record(one)) + "\n")
                    file.flush()
                    time.sleep(0.002)

    writer = threading.Thread(target=work)
    writer.start()
    *_, (last, _) = follow(tmp_path, AuditSettings(idle=1.0, poll=0.05))
    writer.join()
    assert (last.steps, last.to_document()["completions"]) == (8, len(drawn))
    assert last.to_document()["rounds"] == audit(tmp_path).to_document()["rounds"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence of an input that is refused."""
    assert run(["audit", *arguments]) == 2
    out, said = capsys.readouterr()
    assert not out
    assert said.startswith("srlm: ")
    assert said.count("\n") == 1
    return said


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist" in refused(capsys, str(tmp_path / "nowhere"))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no completions" in refused(capsys, str(empty))
    assert "'yaml'; use one of trl, verl" in refused(capsys, str(empty), "--format", "yaml")
    assert "is unknown; use one of auto" in refused(capsys, str(empty), "--answers", "telepathy")
    (empty / "all.jsonl").write_text("", "utf-8")
    assert "its files are empty" in refused(capsys, str(empty))
    no_step = written.lines(tmp_path / "columns" / "all.jsonl", [{"prompt": "p", "note": "x"}])
    assert "no field completion or completions or response" in refused(capsys, str(no_step.parent))
    drawn = written.rows(steps=3)
    written.verl(tmp_path / "mixed", drawn)
    written.trl(tmp_path / "mixed", drawn)
    said = refused(capsys, str(tmp_path / "mixed"))
    assert "several formats: " in said
    assert "choose one with --format" in said
    assert run(["audit", str(tmp_path / "mixed"), "--format", "verl"]) == 0
    capsys.readouterr()
    written.verl(tmp_path / "twice", drawn)
    written.verl(tmp_path / "twice" / "again", written.rows(steps=1, seed=7))
    assert "are both of step 1 and differ" in refused(capsys, str(tmp_path / "twice"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "completions_00001.parquet").write_bytes(b"PAR1 no more")
    assert "cannot be read" in refused(capsys, str(tmp_path / "bad"))
    backwards = [written.table_record(one) for one in reversed(drawn)]
    written.lines(tmp_path / "backwards.jsonl", backwards)
    assert "sort them by step" in refused(capsys, str(tmp_path / "backwards.jsonl"))


def noted(folder: Path) -> tuple[Audit, str]:
    one = audit(folder)
    return one, "\n".join(one.notes)


def test_what_is_damaged_in_part_is_a_note(tmp_path: Path) -> None:
    drawn = written.rows(steps=4)
    verl = written.verl(tmp_path / "verl", drawn)
    whole = (verl / "4.jsonl").read_text("utf-8")
    (verl / "4.jsonl").write_text(whole[:-20], "utf-8")
    (verl / "copy").mkdir()
    (verl / "copy" / "2.jsonl").write_bytes((verl / "2.jsonl").read_bytes())
    one, notes = noted(verl)
    assert one.to_document()["completions"] == len(drawn) - 1
    assert "the last line of 4.jsonl is left out: it is half written" in notes
    assert "copy/2.jsonl is a copy of 2.jsonl" in notes

    trl = written.trl(tmp_path / "trl", drawn)
    last = trl / "completions" / "completions_00004.parquet"
    last.write_bytes(last.read_bytes()[:-100])
    one, notes = noted(trl)
    assert (one.steps, "completions_00004.parquet is left out: it cannot be read" in notes) == (3, True)

    records: list[Any] = [written.table_record(one) for one in drawn]
    table = written.lines(
        tmp_path / "table.jsonl",
        [*records[:50], {"prompt": "p", "step": 3}, *records[50:], *[one | {"step": 2} for one in records[:7]]],
    )
    with table.open("a") as file:
        file.write("[1, 2]\nnot json\n" + "[" * 100_000 + "\n")
    one, notes = noted(table)
    assert one.to_document()["completions"] == len(drawn)
    assert "3 lines are no JSON objects" in notes
    assert "1 records have no prompt or no completion" in notes
    assert "7 completions belong to steps that were over" in notes


def test_prompts_without_answers_silence_what_needs_them_and_say_so(tmp_path: Path) -> None:
    records = [written.table_record(one) for one in written.rows(steps=3)]
    table = written.lines(tmp_path / "all.jsonl", [one | {"answer": None} for one in records])
    one, notes = noted(table)
    assert "no answers are known" in notes
    assert "label_accuracy" not in one.watcher.facts


def test_more_prompts_than_are_remembered_become_a_sample(tmp_path: Path) -> None:
    def records() -> Any:
        for at in range(4000):
            yield {"prompt": f"question {at}", "completions": ["4", "5"], "answer": "4", "step": at // 100}

    written.lines(tmp_path / "all.jsonl", list(records()))
    one = audit(tmp_path, AuditSettings(prompts=500))
    assert len(one.watcher.memory) <= 500
    assert any("more than 500 different prompts" in note for note in one.notes)
    assert one.to_document()["completions"] == 8000


def test_a_step_of_any_size_is_held_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srlm.watching.reading._GROUPS", 300)
    records = [{"prompt": f"question {at}", "completions": ["4", "5"], "answer": "4"} for at in range(4000)]
    one, notes = noted(written.lines(tmp_path / "all.jsonl", records))
    assert one.to_document()["completions"] == 8000
    assert 100 <= one.watcher.facts["prompts"] <= 300
    assert "more than 300 prompts" in notes


def test_interrupting_what_follows_ends_with_the_verdict_so_far(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*given: Any) -> Any:
        yield audit(folders["collapsing"]), []
        raise KeyboardInterrupt

    monkeypatch.setattr("srlm.watching.audit.follow", interrupted)
    assert run(["audit", str(folders["collapsing"]), "--follow"]) == 3
    assert "alarms in 30 steps" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_hostile_text_runs_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    text = HOSTILE if kind == "jsonl" else HOSTILE.replace("\ud800", "")
    long = "x" * 1_000_000 + " the answer is 5."
    drawn = [
        one | {"prompt": text + one["prompt"], "text": long if at % 13 == 0 else text, "gold": text}
        for at, one in enumerate(written.rows(steps=3, prompts=2, draws=4))
    ]
    if kind == "jsonl":
        written.verl(tmp_path / "in", drawn)
    else:
        written.trl(tmp_path / "in", drawn)
    assert run(["audit", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) in (0, 3)
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "alert(1)</script>" not in page
    assert "\x1b" not in page
    assert len(page) < 8_000_000


def test_a_rule_that_fails_is_refused(tmp_path: Path) -> None:
    written.verl(tmp_path, written.rows(steps=2))
    with pytest.raises(InputError, match="cannot be imported"):
        audit(tmp_path, AuditSettings(answers="python:no_such_module:f"))


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ('{"log_history": 3}', {}),
        ("[" * 100_000, {}),
        ('{"log_history": [{"step": 1e999}, [], {"step": 2, "entropy": 0.5, "x": NaN}]}', {0: {}, 2: {"entropy": 0.5}}),
    ],
)
def test_what_trl_measured_is_read_as_far_as_it_is_that(
    held: str, told: dict[int, dict[str, float]], tmp_path: Path
) -> None:
    (tmp_path / "trainer_state.json").write_text(held, encoding="utf-8")
    assert trainer_state(tmp_path)[0] == told
