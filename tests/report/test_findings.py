from collections.abc import Callable
from pathlib import Path

import pytest

from srlm.report.findings import caveats, changes, facts, headline, promises, standfirst, theory_sentence
from srlm.report.reading import read_run

MakeRun = Callable[..., Path]


def test_exact_rounds_keep_every_promise(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    tested = [one for one in promises(run) if one.verdict != "note"]
    assert len(tested) == 4  # P3 and P5 on each split
    assert {one.verdict for one in tested} == {"held"}
    assert "stayed within" in theory_sentence(run)
    assert "No proved mode moved" in theory_sentence(run)


def test_exact_rounds_match_the_exact_estimate_and_the_margin_law(make_run: MakeRun, tmp_path: Path) -> None:
    notes = [one for one in promises(read_run(make_run(tmp_path / "run"))) if one.verdict == "note"]
    exact = [one for one in notes if one.label.startswith("The exact round")]
    assert exact
    assert all(one.expected.replace("about ", "") == one.measured for one in exact)
    margins = [one for one in notes if "every margin" in one.label]
    assert margins
    assert all(one.measured in one.expected for one in margins)


def test_a_run_above_its_bound_is_called_a_departure(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", flatten=True))
    assert "departed" in {one.verdict for one in promises(run) if one.label.startswith("P3")}
    assert "went above" in theory_sentence(run)
    assert headline(run).startswith("κ rose")


def test_brackets_that_straddle_the_bound_leave_it_open(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", slack=0.9))
    contraction = [one for one in promises(run) if "shrinks" in one.label]
    assert contraction
    assert {one.verdict for one in contraction} == {"open"}
    assert "do not decide" in theory_sentence(run)
    assert "no certain change" in headline(run)
    assert any("not proved in round 0, 1, 2, 3" in one for one in caveats(run))


def test_moved_modes_are_a_departure(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", move_modes=True))
    moved = [one for one in promises(run) if "never move" in one.label]
    assert [one.verdict for one in moved] == ["departed", "departed"]
    assert "of the modes moved" in theory_sentence(run)


@pytest.mark.parametrize("rounds", [0, 1])
def test_words_exist_for_short_runs(make_run: MakeRun, tmp_path: Path, rounds: int) -> None:
    run = read_run(make_run(tmp_path / "run", rounds=rounds))
    assert ("base model" in headline(run)) == (rounds == 0)
    assert standfirst(run)
    assert facts(run)
    assert bool(promises(run)) == (rounds > 0)


def test_changes_count_gains_and_losses(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", move_modes=True))
    marks = [(one.base.greedy.correct, one.last.greedy.correct) for one in run.answers if one.split == "train"]
    said = changes(run.answers, "train")
    assert said is not None
    assert f"{marks.count((False, True))} turned right and {marks.count((True, False))} turned wrong" in said
    assert marks.count((False, True)) + marks.count((True, False)) > 0
