"""A watched run is a run directory: its page is drawn, hostile text and all."""

from pathlib import Path

import pytest
from scipy.stats import binomtest

from srlm.report.page import report
from srlm.watching import Group, Watcher, writing

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00\ud800"


def test_the_page_of_a_watched_run_is_drawn_and_runs_no_text(tmp_path: Path):
    watcher = Watcher()
    directory = writing.start(tmp_path / "out", "a model", {})
    for step in range(40):
        groups = [
            Group(
                f"{HOSTILE}{at}",
                ("a", HOSTILE, "a", None),
                (True, False, True, False),
                None,
                (1,) * 4,
                sample=(HOSTILE,),
            )
            for at in range(4)
        ]
        watcher.step(step, groups)
        if step == 20:
            writing.write(watcher, directory)
    writing.write(watcher, directory, "done")
    report([tmp_path / "out"], None)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "alert(1)</script>" not in page
    assert "alert(1)" in page
    assert directory.record()["notes"] == watcher.notes


def watched(folder: Path, right: list[str], prompts: int) -> None:
    """A watched run whose majority at prompt number n is right where right[n] is "a"."""
    watcher = Watcher()
    directory = writing.start(folder, "a model", {})
    for step in range(prompts // 4):  # every prompt is seen once
        chosen = range(4 * step, 4 * step + 4)
        groups = [
            Group(f"prompt {at}", (right[at],) * 3 + ("b",), (right[at] == "a",) * 3 + (False,), None, (1,) * 4)
            for at in chosen
        ]
        watcher.step(step, groups)
    writing.write(watcher, directory, "done")


def test_two_watched_runs_are_compared_at_the_prompts_that_both_saw(tmp_path: Path):
    """40 prompts, 24 right in A; 34 right in B's 40, of which 12 gained and 2 lost; B saw 8 more prompts."""
    first = ["a"] * 24 + ["c"] * 16
    second = ["c"] * 2 + ["a"] * 34 + ["c"] * 4 + ["a"] * 8
    watched(tmp_path / "A", first, 40)
    watched(tmp_path / "B", second, 48)
    summary = report([tmp_path / "A", tmp_path / "B"], tmp_path / "both.html")
    samples, votes = summary["paired"]
    assert votes["prompts"] == samples["prompts"] == 40
    assert (votes["gained"], votes["lost"]) == (12, 2)
    assert votes["difference"] == pytest.approx(10 / 40)
    assert samples["difference"] == pytest.approx(10 / 40 * 3 / 4)
    assert votes["p_value"] == pytest.approx(binomtest(2, 14).pvalue)
    assert 0 < votes["interval"]["lower"] < 10 / 40 < votes["interval"]["upper"]
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "at 12 prompts in B only and at 2 in A only" in page
    assert "B is better there" in votes["sentence"]
    assert "2 runs side by side: at the same prompts B is right more often than A<" in page
    same = report([tmp_path / "A", tmp_path / "A"], tmp_path / "same.html")["paired"]
    assert "no difference shown" in same[1]["sentence"]
    assert "at the same prompts no difference is shown" in (tmp_path / "same.html").read_text(encoding="utf-8")
