"""What the page's script reads of runs: items told apart, where one should have stopped, and what fits on a page."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.report.records_of_pages import Page

from srlm.measure.signatures import HEALTHY_RUNS, SIGNATURES
from srlm.records.numerics import Drift
from srlm.records.responses import Complete, ModeBracket, Outside, Response, Rollout
from srlm.records.rounds import RoundRecord
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import modes_to_table, samples_to_table
from srlm.report import explorer
from srlm.report.explorer import run_of, runs_of, stop_of
from srlm.report.page import write_report
from srlm.report.payload import At, Item, Prompt, Run
from srlm.report.prompts import read_prompts
from srlm.report.reading import read_run
from srlm.report.verdict import chips, headline, standfirst
from srlm.tasks.prompts import Prompt as Asked

MakeRun = Callable[..., Path]
DRIFT = Drift(responses=1, max=0.0, mean=0.0, bias=0.0)


def reply(text: str, *tokens: int, logprob: float = -1.0, right: bool = False, ended: bool = True) -> Response:
    return Response(Complete(tokens, logprob, ended), text, right, 1.0, 1.0)


def test_items_are_told_apart_by_their_tokens_and_known_from_drawn(tmp_path: Path) -> None:
    """One text of two token sequences is two items; what the search did not keep lies beneath its open prefixes."""
    run = RunDirectory.create(tmp_path / "run", {"model": "m"}, {})
    yes, other = reply("yes", 1, 0, logprob=-0.5, right=True), reply("yes", 2, 3, 0, logprob=-2.0, right=True)
    no, cut = reply("no", 4, 0, logprob=-3.0), reply("no no", 4, 4, 4, logprob=-6.0, ended=False)
    asked = [Asked("why?", "train", ("yes",))]
    modes = [
        ModeBracket((yes, other), -0.5, -0.5, True, yes, 0.7, 2, Outside((-2.5, -3.5), 0.01, -5.0), 7),
        ModeBracket((other, no), -1.5, -0.9, False, no, 0.0, 0, Outside((-0.9,)), 3),
    ]
    drawn = [Rollout(0, (yes, no, cut, yes)), Rollout(0, (no, no, other, no))]
    for number in range(2):
        run.round(number).write_table("modes", modes_to_table(asked, [modes[number]], 1.0))
        run.round(number).write_table("samples", samples_to_table(asked, [drawn[number]], 1.0, DRIFT))
    (prompt,) = read_prompts([run.round(0), run.round(1)], False, 0.95)
    assert [(one.text, one.right, one.cut) for one in prompt.items] == [
        ("yes", True, False), ("yes", True, False), ("no", False, False), ("no no", False, True),
    ]  # fmt: skip
    first, second = prompt.rounds
    assert (first.lead, first.greedy, first.counts, first.drawn) == (0, 0, [2, 0, 1, 1], 4)
    assert (first.logprobs, first.beneath) == ([-0.5, -2.0, -3.0, -6.0], [2, 3])
    assert (first.open, first.dropped, first.expansions) == ([-2.5, -3.5], (0.01, -5.0), 7)
    assert (first.certified, first.right, first.share) == (True, True, 0.5)
    assert (second.lead, second.greedy, second.counts) == (1, 2, [0, 1, 3, 0])
    assert (second.logprobs, second.beneath, second.dropped) == ([None, -2.0, -3.0, None], [], None)
    assert (second.lower, second.upper, second.certified) == (-1.5, -0.9, False)


def spoken(first: str, at: int) -> Callable[[int], dict[str, Any]]:
    """Signatures from a round on: what is merely noted, and one more."""

    def more(number: int) -> dict[str, Any]:
        names = ["modes_drift", first] if number >= at else []
        return {"signatures": [{"name": name, "evidence": f"{name} in {number} <b>", "advice": ""} for name in names]}

    return more


def test_one_stops_before_the_first_signature(make_run: MakeRun, tmp_path: Path) -> None:
    view = read_run(make_run(tmp_path / "run", more=spoken("accuracy_falls", 2)))
    stop = stop_of(view)
    assert stop is not None
    assert (stop.round, stop.signature, stop.evidence) == (1, "accuracy falls", "accuracy_falls in 2 <b>")
    assert stop.rate == "it spoke in 0 of 10 healthy runs"
    assert headline(view).endswith(". Stop after round 1")
    assert any(
        "“accuracy falls” spoke (accuracy_falls in 2 <b>; false alarms: it spoke" in one for one in standfirst(view)
    )
    assert [one.after for one in chips(view) if one.name == "Stop after"] == ["round 1"]
    data = Page(write_report(view.path)).data
    assert [rule for chart in data["charts"] for rule in chart.get("rules", []) if rule["axis"] == "x"] == [
        {"axis": "x", "at": 1.0, "label": "stop here"}
    ] * 6
    assert stop_of(read_run(make_run(tmp_path / "calm", more=lambda number: {"signatures": []}))) is None
    noted = stop_of(read_run(make_run(tmp_path / "noted", more=spoken("kappa_stalls", 3))))
    assert noted is not None
    assert (noted.round, noted.signature) == (2, "modes drift")


def test_false_alarms_of_signatures_are_those_that_were_measured(make_answer_run: MakeRun, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "benchmarks/results/signatures.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"\| (\w+) \| (\d+ of \d+) \|\n", text))
    assert {name: rows[name] for name in SIGNATURES} == dict.fromkeys(SIGNATURES, "{} of {}".format(*HEALTHY_RUNS))
    view = read_run(make_answer_run(tmp_path / "answers"))
    shown = [one for one in view.rounds if one.signatures]
    if not shown:
        record = view.rounds[1].to_document() | {"signatures": [{"name": "modes_drift", "evidence": "seen"}]}
        view.rounds[1].__dict__.update(RoundRecord.model_validate(record).__dict__)
    stop = stop_of(view)
    assert stop is not None
    assert stop.rate == "not measured for answers"


def long_prompt(number: int, moves: int) -> Prompt:
    """A prompt of 60 responses and 40 prefixes whose favourite changes so many times."""
    logs = [-1.0 - 0.1 * at for at in range(60)]
    rounds = [
        At(lead=at % 2 if at <= moves else moves % 2, lower=-1.0, upper=-1.0, certified=True, right=True, share=0.5,
           logprobs=logs, open=[-4.0 - 0.05 * each for each in range(40)], dropped=(0.002, -9.0), beneath=[59],
           counts=[1] + [0] * 58 + [1], drawn=2, greedy=58)
        for at in range(6)
    ]  # fmt: skip
    items = [Item(text=f"response {at} " + "x" * 200) for at in range(60)]
    return Prompt(id=number, split="train", prompt=f"prompt {number}", known="", items=items, rounds=rounds)


def made(prompts: list[Prompt]) -> Run:
    return Run(name="big", kind="run", level="response", rounds=list(range(6)), horizon=5, beta=1.0, prompts=prompts)


def test_a_page_keeps_the_prompts_that_moved_most(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [long_prompt(at, moves=at % 6) for at in range(60)]
    monkeypatch.setattr(explorer, "EASY_BYTES", 10_000_000)
    assert explorer.fitting([made(prompts)])[0].prompts == prompts
    monkeypatch.setattr(explorer, "MOST_PROMPTS", 10)
    (few,) = explorer.fitting([made(prompts)])
    assert [one.id for one in few.prompts] == [one.id for one in prompts if one.id % 6 == 5]
    assert (few.left_out, few.thinned) == (50, "")
    monkeypatch.setattr(explorer, "MOST_BYTES", 40_000)
    (less,) = explorer.fitting([made(prompts)])
    size = len(json.dumps([one.model_dump(exclude_defaults=True) for one in less.prompts]))
    assert 0 < len(less.prompts) < 10
    assert size < 50_000
    both = explorer.fitting([made(prompts), made([one for one in prompts if one.id != 5])])
    assert {one.id for one in both[1].prompts} == {one.id for one in both[0].prompts} - {5}


def bounds(at: At, power: float) -> tuple[float, float]:
    """P8: Z/l^S, and with the bound on all that is not known."""
    known = [one for i, one in enumerate(at.logprobs) if one is not None and i not in at.beneath]
    top = max(known)
    inside = math.fsum(math.exp(power * (one - top)) for one in known)
    outside = math.fsum(math.exp(power * (one - top)) for one in at.open)
    mass, largest = at.dropped or (0.0, 0.0)
    return inside, inside + outside + mass * math.exp((power - 1) * largest - power * top)


def test_first_open_prefixes_go_then_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made([long_prompt(0, 3), long_prompt(1, 0)])
    monkeypatch.setattr(explorer, "EASY_BYTES", 10_000)
    (thin,) = explorer.fitting([whole])
    assert "16 likeliest open prefixes are here" in thin.thinned
    for one, before in zip(thin.prompts, whole.prompts, strict=True):
        assert one.items == before.items
        for now, then in zip(one.rounds, before.rounds, strict=True):
            assert (now.logprobs, now.counts, now.lead) == (then.logprobs, then.counts, then.lead)
            assert now.open == then.open[:16]
            assert bounds(now, 1.0)[1] == pytest.approx(bounds(then, 1.0)[1])


def test_what_is_thinned_still_bounds_exact_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer, "MOST_BYTES", 40_000)
    whole = made([long_prompt(0, 3), long_prompt(1, 0), long_prompt(2, 5)])
    (thin,) = explorer.fitting([whole])
    assert thin.thinned == (
        "of each prompt the 16 likeliest open prefixes and 16 likeliest responses are here, the others count as dropped"
    )
    assert len(thin.prompts) == 3
    for one, before in zip(thin.prompts, whole.prompts, strict=True):
        assert len(one.items) == 16
        assert one.items[-1] == before.items[58], "what greedy decoding said stays"
        for now, then in zip(one.rounds, before.rounds, strict=True):
            assert now.lead is not None
            assert then.lead is not None
            assert one.items[now.lead] == before.items[then.lead]
            assert len(now.open) == 16
            for power in (1.0, 1.5, 4.0):
                (low, high), (was_low, was_high) = bounds(now, power), bounds(then, power)
                assert low <= was_low <= was_high <= high * (1 + 1e-9)
            assert bounds(now, 1.0)[1] == pytest.approx(bounds(then, 1.0)[1]), "all probability is still there"


def test_runs_are_described_as_their_records_have_them(
    make_answer_run: MakeRun, make_run: MakeRun, tmp_path: Path
) -> None:
    answers, responses = read_run(make_answer_run(tmp_path / "a")), read_run(make_run(tmp_path / "r", planned=5))
    one, other = runs_of([("a", answers), ("r", responses)])
    assert (one.level, one.confidence, one.alpha) == ("answer", 0.9, pytest.approx(0.1 / 24, rel=1e-5))
    assert (other.level, other.confidence, other.rounds, other.horizon) == ("response", None, [0, 1, 2, 3], 5)
    assert other.beta == 2.0
    assert run_of("r", responses).proved == "proved"
