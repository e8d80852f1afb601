import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.test_page import read

from srlm.records.bracket import Bracket
from srlm.report import page
from srlm.report.charts import forecast_charts, run_charts
from srlm.report.findings import caveats, points, troubles
from srlm.report.forecasts import standing
from srlm.report.page import write_report
from srlm.report.promises import promise_texts, theory_sentence
from srlm.report.reading import RunView, read_run
from srlm.report.updates import rows, words
from srlm.report.verdict import chips, headline, kappa_sentence, standfirst

MakeRun = Callable[..., Path]
DRIFT = {"responses": 4, "max": 0.0, "mean": 0.0, "bias": 0.0}


def test_exact_rounds_keep_every_promise(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    tested = [one for one in promise_texts(run) if one.verdict != "note"]
    assert len(tested) == 4  # P8 and P5 on each split
    assert {one.verdict for one in tested} == {"held"}
    assert "stayed at or below the upper end of an exact round (P8)" in theory_sentence(run)
    assert "No proved mode moved" in theory_sentence(run)


def test_exact_rounds_lie_between_the_ends_of_p8_and_keep_the_margin_law(make_run: MakeRun, tmp_path: Path) -> None:
    told = promise_texts(read_run(make_run(tmp_path / "run")))
    bounds = [one for one in told if "upper end of an exact round" in one.label]
    assert [one.verdict for one in bounds] == ["held", "held"]
    margins = [one for one in told if "every margin" in one.label]
    assert margins
    assert all(one.measured in one.expected for one in margins)


def test_a_run_above_its_bound_is_called_a_departure(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", flatten=True))
    assert "departed" in {one.verdict for one in promise_texts(run) if one.label.startswith("P8")}
    assert "went above" in theory_sentence(run)
    assert "that update fell short" in theory_sentence(run)
    exact = read_run(make_run(tmp_path / "exact"))
    mixed = [
        one.model_copy(update={"held_out": other.held_out}) for one, other in zip(exact.rounds, run.rounds, strict=True)
    ]
    assert "prompts that no update trains on" in theory_sentence(replace(exact, rounds=tuple(mixed)))
    assert kappa_sentence(run).startswith("κ rose")
    assert headline(run).startswith("Self-rewarding made no certain difference: ")


def test_brackets_that_straddle_the_bound_leave_it_open(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", slack=0.9))
    contraction = [one for one in promise_texts(run) if "upper end of an exact round" in one.label]
    assert contraction
    assert {one.verdict for one in contraction} == {"open"}
    assert "do not decide" in theory_sentence(run)
    assert "no certain change" in kappa_sentence(run)
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
    named = [one.name for one in chips(run)]
    assert "Likeliest responses seen right, held-out prompts" in named
    assert not any("P5" in said for said in standfirst(run))
    assert "Modes right, held-out prompts" in [one.name for one in chips(read_run(run.path))]


def test_moved_modes_are_a_departure(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", move_modes=True))
    moved = [one for one in promise_texts(run) if "never move" in one.label]
    assert [one.verdict for one in moved] == ["departed", "departed"]
    assert "of the modes moved" in theory_sentence(run)


@pytest.mark.parametrize("rounds", [0, 1])
def test_words_exist_for_short_runs(make_run: MakeRun, tmp_path: Path, rounds: int) -> None:
    run = read_run(make_run(tmp_path / "run", rounds=rounds))
    assert headline(run).startswith("The base model: ") == (rounds == 0)
    assert standfirst(run)
    assert all(one.after and bool(one.before) <= (rounds > 0) for one in chips(run))
    assert bool(promise_texts(run)) == (rounds > 0)


def answer_to(run: RunView, question: str) -> str:
    return dict(points(run)).get(question, "")


def test_fates_are_counted_as_the_answers_have_them(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", move_modes=True))
    held_out = [(one.rounds[0].right, one.rounds[-1].right) for one in run.prompts if one.split == "held_out"]
    told = f"{held_out.count((False, True))} learned, {held_out.count((True, False))} corrupted"
    assert [one.after for one in chips(run) if one.name.startswith("Since round 0")] == [told]


def test_surer_narrower_and_forecast_come_out_either_way(make_run: MakeRun, tmp_path: Path) -> None:
    sharper, flatter = (read_run(make_run(tmp_path / str(at), flatten=at == 1)) for at in (0, 1))
    assert answer_to(sharper, "Surer?").startswith("Yes")
    assert answer_to(flatter, "Surer?").startswith("No")
    assert answer_to(sharper, "Narrower?").startswith("Yes")
    assert answer_to(flatter, "Narrower?").startswith("No")
    assert "a page of unrelated text went from -3.12 to -6.12" in answer_to(sharper, "Narrower?")
    assert answer_to(sharper, "As forecast?").count("as forecast") == 2
    assert answer_to(flatter, "As forecast?").count("above the forecast") == 2
    before = read_run(make_run(tmp_path / "before", rounds=0, planned=3, status="running"))
    assert "forecast" in answer_to(before, "As forecast?")
    assert "measured" not in answer_to(before, "As forecast?")


@pytest.mark.parametrize(
    ("low", "high", "where"),
    [(1, 2, "within"), (2.1, 3, "above"), (0.5, 0.9, "below"), (1.5, 3, "open"), (2, 2, "within")],
)
def test_a_measured_bracket_stands_somewhere_against_a_forecast_one(low: float, high: float, where: str) -> None:
    assert standing(low, high, Bracket(lower=1.0, upper=2.0)) == where
    assert standing(low, high, Bracket(lower=None, upper=None)) == "within"


def test_an_update_is_said_to_reach_the_exact_round_only_where_it_does(make_run: MakeRun, tmp_path: Path) -> None:
    exact, short = (read_run(make_run(tmp_path / str(at), flatten=at == 1)) for at in (0, 1))
    assert [one.verdict for one in rows(exact)] == ["held"] * 3
    assert any("After every update" in said for said in words(exact))
    assert any("truncated sharpening" in said for said in words(exact))
    assert rows(short)[0].verdict == "departed"
    update = short.rounds[1].projection
    assert update is not None
    told = next(said for said in words(short) if "In round 1 fitting fell short" in said)
    assert f"(prompt {update.distance_worst_prompt} “question {update.distance_worst_prompt}" in told
    assert not any("After every update" in said for said in words(short))
    other = read_run(make_run(tmp_path / "other", configuration={"loss_type": "mode_likelihood"}))
    assert {one.verdict for one in rows(other)} == {"note"}
    assert words(other) == []


def test_the_exported_round_is_what_the_page_shows(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", exported=2))
    last, kept = run.rounds[3].train, run.rounds[2].train
    assert last is not None
    assert kept is not None
    assert headline(run).endswith("; round 2 is kept")
    assert f"{kept.kappa.upper:.3g}" == "1.7" != f"{last.kappa.upper:.3g}"
    assert "to 1.7 in 2 rounds" in kappa_sentence(run)
    assert [one.after for one in chips(run) if one.name.endswith("κ, trained prompts")] == ["1.7"]
    assert all(len(one.rounds) == 4 for one in run.prompts), "a reader may look beyond it"
    assert "Round 2 is kept" in answer_to(run, "Which round?")
    taken_back = headline(read_run(make_run(tmp_path / "none", exported=0)))  # says what happened until then, too
    assert re.search(
        r"are right \d+% of the time, (up from|down from|and before training) \d+%; the base model is kept$", taken_back
    )
    assert "is kept" not in headline(read_run(make_run(tmp_path / "last", exported=3)))
    assert answer_to(read_run(make_run(tmp_path / "uncompared")), "Which round?") == ""


@pytest.mark.parametrize(
    ("configuration", "control"),
    [
        ({"loss_type": "likelihood"}, "likelihood"),
        ({"loss_type": "mode_likelihood"}, "mode_likelihood"),
        ({"rewards": ["random"]}, "random"),
        ({"rewards": ["base_log_probability"]}, "base_log_probability"),
        ({"loss_type": "projection"}, None),
    ],
)
def test_a_control_is_called_one(
    make_run: MakeRun, tmp_path: Path, configuration: dict[str, Any], control: str | None
) -> None:
    text = write_report(make_run(tmp_path / "run", rounds=1, configuration=configuration)).read_text(encoding="utf-8")
    assert ("This run is a control" in text) == (control is not None)
    assert control is None or f"a control ({control}): " in text


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
    assert "4.4×10³⁵²" in kappa_sentence(view)
    monkeypatch.setattr(page, "read_run", lambda *_, **__: view)
    text = page.write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "2.3×10⁻³⁵³–0.5" in text  # 10^-352.647 = 2.25 10^-353
    assert "κ beyond 10³⁰⁸ is not drawn" in text
    for figure in [*forecast_charts(view, None), *run_charts(view)]:
        json.dumps(figure.model_dump(mode="json"), allow_nan=False)


def test_a_run_with_widened_brackets_proves_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    numerics = {"numerics": {"engine": "transformers", "dtype": "bfloat16", "widened": 0.05}}
    run = make_run(tmp_path / "run", more=lambda number: numerics)
    view = read_run(run)
    assert view.widened == 0.05
    words = [*caveats(view), theory_sentence(view), *(f"{one.label} {one.measured}" for one in promise_texts(view))]
    assert any("widened by 0.05 nats" in one and "They are estimates" in one for one in words)
    text = read(write_report(run)).text
    # What is left of the word are its denial and the footer's "statements labelled P are proved".
    for shown in ("\n".join(words), text):
        assert {shown[at.start() - 4 : at.end()] for at in re.finditer("proved", shown)} <= {"not proved", "are proved"}
    assert "modes settled" in text
    assert "(estimates)" in text
    exact = make_run(tmp_path / "exact", more=lambda number: {"numerics": numerics["numerics"] | {"widened": 0.0}})
    assert "modes proved" in write_report(exact).read_text(encoding="utf-8")
