"""A watched run is a run directory: its page is drawn, hostile text and all."""

from pathlib import Path

from srlm.report.page import report
from srlm.watching import Group, Watcher, writing

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00"


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
