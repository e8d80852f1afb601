import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from srlm.records.bracket import Bracket
from srlm.report import overview, page
from srlm.report.figures import run_figures
from srlm.report.findings import caveats, changes, facts, headline, standfirst, troubles
from srlm.report.page import write_report
from srlm.report.promises import promise_texts, theory_sentence
from srlm.report.reading import read_run

MakeRun = Callable[..., Path]
DRIFT = {"responses": 4, "max": 0.0, "mean": 0.0, "bias": 0.0}


def test_exact_rounds_keep_every_promise(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    tested = [one for one in promise_texts(run) if one.verdict != "note"]
    assert len(tested) == 4  # P3 and P5 on each split
    assert {one.verdict for one in tested} == {"held"}
    assert "stayed within" in theory_sentence(run)
    assert "No proved mode moved" in theory_sentence(run)


def test_exact_rounds_match_the_exact_estimate_and_the_margin_law(make_run: MakeRun, tmp_path: Path) -> None:
    notes = [one for one in promise_texts(read_run(make_run(tmp_path / "run"))) if one.verdict == "note"]
    exact = [one for one in notes if one.label.startswith("The exact round")]
    assert exact
    assert all(one.expected.replace("about ", "") == one.measured for one in exact)
    margins = [one for one in notes if "every margin" in one.label]
    assert margins
    assert all(one.measured in one.expected for one in margins)


def test_a_run_above_its_bound_is_called_a_departure(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", flatten=True))
    assert "departed" in {one.verdict for one in promise_texts(run) if one.label.startswith("P3")}
    assert "went above" in theory_sentence(run)
    assert headline(run).startswith("κ rose")


def test_brackets_that_straddle_the_bound_leave_it_open(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", slack=0.9))
    contraction = [one for one in promise_texts(run) if "shrinks" in one.label]
    assert contraction
    assert {one.verdict for one in contraction} == {"open"}
    assert "do not decide" in theory_sentence(run)
    assert "no certain change" in headline(run)
    assert any("not all modes were proved in round 0, 1, 2, 3" in one for one in caveats(run))


def test_a_run_that_proved_no_mode_hears_no_bound(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", slack=0.9))
    nothing = {"certified_share": 0.0, "mode_drift": None}

    def unproved(one: Any) -> Any:
        splits = {name: getattr(one, name).model_copy(update=nothing) for name in ("train", "held_out")}
        return one.model_copy(update=splits)

    run = replace(run, rounds=tuple(map(unproved, run.rounds)))
    assert {(one.expected, one.verdict) for one in promise_texts(run)} == {("vacuous: no mode was proved", "open")}
    assert "they are vacuous" in theory_sentence(run)
    assert any("the likeliest responses seen (none of them proved)" in said for said in standfirst(run))


def test_moved_modes_are_a_departure(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", move_modes=True))
    moved = [one for one in promise_texts(run) if "never move" in one.label]
    assert [one.verdict for one in moved] == ["departed", "departed"]
    assert "of the modes moved" in theory_sentence(run)


@pytest.mark.parametrize("rounds", [0, 1])
def test_words_exist_for_short_runs(make_run: MakeRun, tmp_path: Path, rounds: int) -> None:
    run = read_run(make_run(tmp_path / "run", rounds=rounds))
    assert ("base model" in headline(run)) == (rounds == 0)
    assert standfirst(run)
    assert facts(run)
    assert bool(promise_texts(run)) == (rounds > 0)


def test_changes_count_gains_and_losses(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", move_modes=True))
    marks = [(one.base.greedy.correct, one.last.greedy.correct) for one in run.answers if one.split == "train"]
    said = changes(run.answers, "train")
    assert said is not None
    assert f"{marks.count((False, True))} turned right and {marks.count((True, False))} turned wrong" in said
    assert marks.count((False, True)) + marks.count((True, False)) > 0


@pytest.mark.parametrize(
    ("configuration", "said"),
    [({"rewards": ["judge"]}, "the reward judge"), ({"loss_type": "dpo"}, "the update dpo")],
)
def test_a_run_that_the_theory_does_not_speak_of_is_only_compared(
    make_run: MakeRun, tmp_path: Path, configuration: dict[str, Any], said: str
) -> None:
    run = read_run(make_run(tmp_path / "run", flatten=True, configuration=configuration))
    assert {one.verdict for one in promise_texts(run)} == {"note"}
    assert said in theory_sentence(run)
    assert "comparison only" in theory_sentence(run)
    plain = {"rewards": ["log_probability"], "loss_type": "regression"}
    assert read_run(make_run(tmp_path / "plain", configuration=plain)).off_theory is None


def recorded(number: int) -> dict[str, Any]:
    signature = {"name": "kappa_rises", "evidence": f"seen in {number} <b>", "advice": "stop", "values": {}}
    certificate = {"eps": 3.0, "margin": 0.1, "holds": False, "prompts_holding": 0.25, "responses": 7}
    if number == 0:
        return {"signatures": [], "certificate": None, "beta": 2.0}
    return {
        "signatures": [signature] if number > 1 else [],
        "certificate": certificate,
        "beta": 0.5,
        "drift": DRIFT,
    }


def test_what_looked_wrong_is_told_once_with_its_rounds(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", more=recorded))
    found = troubles(run)
    assert found is not None
    assert [(one.name, one.rounds, one.evidence) for one in found] == [("kappa rises", (2, 3), "seen in 3 <b>")]
    assert troubles(read_run(make_run(tmp_path / "old"))) is None
    assert troubles(read_run(make_run(tmp_path / "calm", more=lambda number: {"signatures": []}))) == []
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "seen in 3 &lt;b&gt;" in page
    assert "kappa rises" in page
    assert "no signature of trouble" in write_report(tmp_path / "calm").read_text(encoding="utf-8")


def test_the_certificate_is_compared_and_the_rounds_own_beta_is_used(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", more=recorded))
    certified = [one for one in promise_texts(run) if one.label.startswith("P4")]
    assert len(certified) == 1
    assert certified[0].verdict == "note"
    assert "round 1: refuted at 75% of the prompts" in certified[0].measured
    assert run.beta == 0.5


def beyond(one: Any) -> Any:
    """The same round with kappa between e^700 and e^812 (10^352.647, and 10^0.647 = 4.4)."""
    ends = {
        "kappa": Bracket(lower=math.exp(700), upper=None),
        "log_kappa": Bracket(lower=700.0, upper=812.0),
        "min_confidence": Bracket(lower=None, upper=0.5),
        "log_min_confidence": Bracket(lower=-812.0, upper=math.log(0.5)),
    }
    return one.model_copy(update={name: getattr(one, name).model_copy(update=ends) for name in ("train", "held_out")})


def test_ends_beyond_a_double_are_written_from_their_logarithms(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = read_run(make_run(tmp_path / "run"))
    view = replace(view, rounds=tuple(map(beyond, view.rounds)))
    assert "4.4×10³⁵²" in headline(view)
    monkeypatch.setattr(page, "read_run", lambda *_, **__: view)
    text = page.write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "2.3×10⁻³⁵³–0.5" in text  # 10^-352.647 = 2.25 10^-353
    assert "κ beyond 10³⁰⁸ is not drawn" in text
    for figure in run_figures(view):
        json.dumps(figure.spec, allow_nan=False)
    monkeypatch.setattr(overview, "read_run", lambda *_, **__: view)
    assert overview.write_overview_svg(tmp_path / "run", tmp_path / "x.svg").stat().st_size > 0


def test_a_run_with_widened_brackets_proves_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    numerics = {"numerics": {"engine": "transformers", "dtype": "bfloat16", "widened": 0.05}}
    run = make_run(tmp_path / "run", more=lambda number: numerics)
    view = read_run(run)
    assert view.widened == 0.05
    words = [*caveats(view), theory_sentence(view), *(f"{one.label} {one.measured}" for one in promise_texts(view))]
    assert any("widened by 0.05 nats" in one and "They are estimates" in one for one in words)
    text = re.sub(r"<(script|style)>.*?</\1>", "", write_report(run).read_text(encoding="utf-8"), flags=re.S)
    # What is left of the word are its denial and the footer's "statements labelled P are proved".
    for shown in ("\n".join(words), text):
        assert {shown[at.start() - 4 : at.end()] for at in re.finditer("proved", shown)} <= {"not proved", "are proved"}
    assert "modes settled" in text
    assert "(estimates)" in text
    exact = make_run(tmp_path / "exact", more=lambda number: {"numerics": numerics["numerics"] | {"widened": 0.0}})
    assert "modes proved" in write_report(exact).read_text(encoding="utf-8")
