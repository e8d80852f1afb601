"""The page of a run of answers says what its records say, in the words of that level."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.report.test_page import ATTACK, read

from srlm.cli._progress import _summary
from srlm.errors import InputError
from srlm.records.model_card import model_card
from srlm.records.rounds import RoundRecord
from srlm.records.trackers import tracked
from srlm.report.page import report, write_comparison, write_report
from srlm.report.reading import read_run

MakeRun = Callable[..., Path]


def metrics(run: Path, number: int) -> dict[str, Any]:
    return json.loads((run / f"rounds/0{number}/metrics.json").read_text())


def told(path: Path) -> str:
    return re.sub(r"\s+", " ", read(path).text)


@pytest.fixture(scope="module")
def run(make_answer_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_answer_run(tmp_path_factory.mktemp("answers") / "run", unread=0.1)


def test_the_headline_holds_samples_against_the_ceiling(run: Path) -> None:
    first, last = (metrics(run, at)["held_out"]["accuracy"] for at in (0, 2))
    line = report([run])["runs"][0]["headline"]
    verb, changed = ("helped", "up from") if "helped" in line else ("made no certain difference", "and before training")
    assert line.startswith(f"Self-rewarding {verb}: sampled answers on held-out prompts are right")
    assert f"right {100 * last['sample']:.0f}% of the time, {changed} {100 * first['sample']:.0f}%" in line
    assert f"The ceiling, known before training, is {100 * first['mode']:.0f}%" in told(write_report(run))


def test_the_page_says_what_the_records_say(run: Path) -> None:
    text = told(write_report(run))
    for number in (0, 2):
        for one in (metrics(run, number), metrics(run, number)["held_out"]):
            of = one["answers"]
            upper = one["log_kappa"]["upper"]
            ends = f"at least {one['kappa']['lower']:.3g}" if upper is None else f"{one['kappa']['lower']:.3g} to"
            assert f"{of['kappa_estimate']:.3g} (certified at 90%: {ends}" in text
            assert f"{of['certified'] - of['proved']} of {one['prompts']}{of['proved']}" in text, "cells of the table"
    counts = metrics(run, 2)["held_out"]["fates"]["majority"]
    assert f"{counts['learned']} learned, {counts['corrupted']} corrupted" in text
    point = metrics(run, 0)["forecast_held_out"][2]["sample_accuracy_point"]
    assert f"right samples to about {100 * point:.0f}% (95% bootstrap:" in text
    assert "β = 1: an exact round would raise shares to the power 2; chosen" in text
    for word in (r"\bmodes?\b", r"by search", r"κ(?!_A)", r"\bP8\b", r"\bNone\b", r"\bnan\b"):
        assert not re.search(word, text), word


def test_proved_is_said_only_of_what_is_proved(run: Path) -> None:
    """The draws of this run are one of 90 ways of reasoning each: no few of them hold half of all probability."""
    assert all(metrics(run, at)[key] is not None for at in (0, 2) for key in ("answers", "held_out"))
    assert sum(metrics(run, at)["answers"]["proved"] for at in range(3)) == 0
    assert not re.search(r"(?<!of both )\bproved\b(?! by (the )?responses)(?! in the project)", told(write_report(run)))


def test_the_table_of_prompts_counts_the_answers_of_the_samples(run: Path) -> None:
    rows = pq.read_table(run / "rounds/02/samples.parquet").to_pylist()
    view = read_run(run)
    for at, prompt in enumerate(view.prompts):
        answers = [row["answer"] for row in rows if row["prompt_id"] == at]
        last, texts = prompt.rounds[2], [one.text for one in prompt.items]
        counts = {text: count for text, count in zip(texts, last.counts, strict=True) if count}
        assert counts == Counter(one for one in answers if one is not None)
        assert [None if draw < 0 else texts[draw] for draw in last.draws] == answers
        assert last.drawn == len(answers)
        assert last.lead is not None
        assert last.counts[last.lead] == max(last.counts)
    certain = sum(one.rounds[2].certified for one in view.prompts)
    known = [one.answers for one in (view.rounds[2].train, view.rounds[2].held_out) if one is not None]
    assert certain == sum(one.certified for one in known if one is not None)
    assert "without an answer" in told(write_report(run))


def test_hostile_answers_are_shown_and_do_nothing(make_answer_run: MakeRun, tmp_path: Path) -> None:
    quiet = read(write_report(make_answer_run(tmp_path / "quiet")))
    hostile = read(write_report(make_answer_run(tmp_path / "hostile", word=ATTACK)))
    assert hostile.tags == quiet.tags
    assert not any(name.startswith("on") for _, name, _ in hostile.attributes)
    assert "<script>alert(1)</script>" in hostile.text
    assert "<" not in hostile.data
    assert not set("\x1b\u202e") & set(hostile.text)


def test_runs_without_known_answers_without_held_out_prompts_and_of_few_draws(
    make_answer_run: MakeRun, tmp_path: Path
) -> None:
    text = told(write_report(make_answer_run(tmp_path / "unknown", known=False)))
    assert re.search(r"κ_A (went|fell|rose) from \d[^(]*\(certified at 90%: .* in 2 rounds", text)
    assert "Right samples, held-out" not in text
    base = make_answer_run(tmp_path / "base", rounds=0, held_out=False)
    assert re.search(r"The base model: \d+% of its samples on trained prompts are right", told(write_report(base)))
    stopped = make_answer_run(tmp_path / "stopped", until_certain=True)
    splits = [metrics(stopped, 1), metrics(stopped, 1)["held_out"]]
    draws, budget = (sum(one["answers"][name] for one in splits) for name in ("draws", "budget"))
    assert f"round 1: {draws:,} of {budget:,}" in told(write_report(stopped))


def test_controls_are_named_as_such(make_answer_run: MakeRun, tmp_path: Path) -> None:
    for loss, words in (("likelihood", "the noise of training on one's own samples"), ("majority", "a hard vote")):
        text = told(write_report(make_answer_run(tmp_path / loss, rounds=1, configuration={"loss_type": loss})))
        assert f"a control ({loss})" in text
        assert words in text
        assert "for comparison only" in text


def test_runs_of_answers_compare_and_levels_do_not_mix(
    run: Path, make_answer_run: MakeRun, make_run: MakeRun, tmp_path: Path
) -> None:
    other = make_answer_run(tmp_path / "other", rounds=1)
    text = told(write_comparison([run, other], tmp_path / "both.html"))
    assert "κ_A on held-out prompts" in text
    assert "share of right majorities" in text
    assert not re.search(r"\bmodes?\b", text)
    with pytest.raises(InputError, match=r"run at level answer, plain at level response.*cannot be compared"):
        write_comparison([run, make_run(tmp_path / "plain")], tmp_path / "mixed.html")


def test_the_line_of_a_round_the_card_and_trackers_speak_of_answers(run: Path) -> None:
    record = read_run(run).rounds[2]
    line, train = _summary(record), metrics(run, 2)
    of = train["answers"]
    assert line.startswith(f"round 2: kappa_A about {of['kappa_estimate']:.3g} (certified ")
    assert f"{of['certified']} of 16 majorities" in line
    assert "mode" not in line
    assert "proved" not in line
    configuration = {"model": "toy", "rewards": ["answer"], "loss_type": "weighted", "beta": None, "level": "answer"}
    card = model_card({"configuration": configuration}, [RoundRecord.model_validate(metrics(run, 0)), record], 2)
    assert "beta 1 (chosen)" in card
    assert f"| 2 (this model) | {of['kappa_estimate']:.3g} | " in card
    assert tracked(record)["srlm/answers/kappa_estimate"] == of["kappa_estimate"]
    assert "srlm/held_out/answers/unparseable_share" in tracked(record)
