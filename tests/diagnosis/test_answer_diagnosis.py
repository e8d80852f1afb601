"""Diagnosis at the level of answers: on the tiny reasoner, against counts made by hand, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srlm import theory
from srlm.cli.main import run
from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import settings_for
from srlm.lm.subject import TINY_REASONER
from srlm.measure.votes import break_even, steps_of, surer_of_wrong
from srlm.records.answer_diagnosis import AnswerAccuracy, AnswerDiagnosis
from srlm.records.answers import Majority
from srlm.records.bracket import Bracket
from srlm.records.forecast import ForecastRecord

LIMIT = 12


@pytest.fixture(scope="module")
def diagnosis() -> AnswerDiagnosis:
    found = diagnose(TINY_REASONER, limit=LIMIT, settings=settings_for(TINY_REASONER, {"rounds": 2}))
    assert isinstance(found, AnswerDiagnosis)
    return found


def test_counts_shares_and_votes_are_those_of_the_draws(diagnosis: AnswerDiagnosis) -> None:
    prompts = diagnosis.prompts
    assert len(prompts) == LIMIT
    assert all(sum(one.count for one in each.answers) + each.unparseable == each.draws == 16 for each in prompts)
    right = [sum(one.count for one in each.answers if one.answer in each.accepted) / 16 for each in prompts]
    assert [each.sample_accuracy for each in prompts] == right
    assert diagnosis.accuracy.sample == pytest.approx(np.mean(right))
    for votes in (diagnosis.accuracy.maj_at, diagnosis.accuracy.pass_at):
        assert votes["1"] == pytest.approx(np.mean(right))
    majorities = [each.answers[0].answer in each.accepted for each in prompts]
    assert [each.majority.correct for each in prompts] == majorities
    assert diagnosis.surer_of_wrong == tuple(sorted(diagnosis.surer_of_wrong, key=diagnosis.surer_of_wrong.index))
    assert set(diagnosis.surer_of_wrong) == {at for at, ok in enumerate(majorities) if not ok}
    shares = [each.answers[0].count / (16 - each.unparseable) for each in prompts]
    assert diagnosis.kappa_estimate == pytest.approx(np.mean(1 / np.array(shares)))


def test_the_forecast_is_p10_iterated(diagnosis: AnswerDiagnosis) -> None:
    assert diagnosis.forecast is not None
    laws = [np.array([one.count for one in each.answers]) / 16 for each in diagnosis.prompts]
    beta = theory.matching_beta(laws, 16)
    assert diagnosis.forecast.beta == beta
    for number in (1, 2):
        laws = [theory.plugin_target(law, beta, 16) for law in laws]
        told = diagnosis.forecast.rounds[number]
        assert told.kappa_point == pytest.approx(np.mean([1 / law.max() for law in laws]))
        right = [
            sum(law[at] for at, one in enumerate(each.answers) if one.answer in each.accepted)
            for law, each in zip(laws, diagnosis.prompts, strict=True)
        ]
        assert told.sample_accuracy_point == pytest.approx(np.mean(right))
        assert told.sample_accuracy is not None
        assert told.sample_accuracy.confidence == 0.95


def test_the_command_keeps_its_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["diagnose", "--model", TINY_REASONER, "--limit", "6", "--samples", "32", "--until-certain", "--json"]
    assert run([*arguments, "--out", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out" / "diagnosis.json").read_text()) == told
    names = {
        "level", "model", "prompts", "kappa", "log_kappa", "failure_rate", "accuracy", "unparseable_share", "forecast",
        "verdict",
    }  # fmt: skip
    assert names <= told.keys()
    assert told["level"] == "answer"
    assert {"answers", "majority", "draws", "unparseable", "sample_accuracy"} <= told["prompts"][0].keys()
    assert told["prompts"][0]["majority"]["probability"]["confidence"] == told["kappa"]["confidence"] == 0.95
    assert {"sample", "greedy", "majority", "maj_at", "pass_at"} <= told["accuracy"].keys()
    assert told["measured"]["answers"]["draws"] == sum(one["draws"] for one in told["prompts"]) <= 6 * 32
    page = (tmp_path / "out" / "diagnosis.html").read_text(encoding="utf-8")
    assert run(["report", str(tmp_path / "out"), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page
    assert run(["plan", "--from", str(tmp_path / "out")]) == 2
    assert "is a diagnosis of answers" in capsys.readouterr().err
    assert "What a vote buys" in page
    assert all(one["majority"]["answer"] in page for one in told["prompts"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--answers", "code"], "programs are not compared by their text"),
        (["--answers", "regex:("], "does not compile"),
        (["--answers", "magic"], "answer rule 'magic' is unknown"),
        (["--confidence", "1"], "confidence is 1.0; it must be a number"),
        (["--answers", "number", "--prompts", "{prompts}"], "cannot be read"),
        (["--level", "response", "--until-certain"], "until_certain: of level answer"),
        (["--compare"], "leave out --level answer"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps({"prompt": "1+1?", "answer": "two"}) + "\n")
    arguments = [one.format(prompts=prompts) for one in arguments]
    level = [] if "--level" in arguments else ["--level", "answer"]
    out = tmp_path / "out"
    assert run(["diagnose", "--model", TINY_REASONER, *level, *arguments, "--out", str(out)]) == 2
    shown = capsys.readouterr().err
    assert sentence in shown
    assert "Traceback" not in shown
    assert not out.exists()


def test_a_rule_that_finds_nothing_is_told_with_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments: list[Any] = ["diagnose", "--model", TINY_REASONER, "--limit", "3", "--answers", "regex:(zzz|\\d+$)"]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"{n}+1-8+2?"}) + "\n" for n in (10, 20, 30)))
    arguments[-1] = "regex:zzz"
    assert run([*arguments, "--prompts", str(prompts)]) == 2
    assert "finds no answer in 100% of the responses, such as" in capsys.readouterr().err
    assert run([*arguments, "--prompts", str(prompts), "--accept-unreadable", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["forecast"], told["kappa"]["upper"], told["verdict"]["verdict"]) == (None, None, "undecided")


def test_training_pays_once_its_cost_is_saved() -> None:
    accuracy = AnswerAccuracy(maj_at={"1": 0.5, "2": 0.5, "4": 0.6, "8": 0.7, "16": 0.75})
    after = ForecastRecord(
        round=2, power=4.0, kappa=Bracket(lower=1, upper=2),
        log_kappa=Bracket(lower=0, upper=0.7), failure_rate=Bracket(lower=0, upper=1),
        sample_accuracy_point=0.68,
    )  # fmt: skip
    found = break_even(accuracy, after, prompts=10, draws=16, passes=2.0)
    assert found is not None
    # 10*16 draws at rounds 0, 1, 2, and two passes of three times a draw at rounds 1 and 2.
    assert (found.votes, found.run_draws) == (8, 160 * (3 + 12))
    assert found.questions == -(-2400 // 7)
    nothing = break_even(accuracy, after.model_copy(update={"sample_accuracy_point": 0.5}), 10, 16)
    assert nothing is not None
    assert (nothing.votes, nothing.questions) == (None, None)
    assert break_even(AnswerAccuracy(), after, 10, 16) is None


def test_k_of_votes_and_the_order_of_wrong_majorities() -> None:
    assert [steps_of(n) for n in (1, 5, 16)] == [[1], [1, 2, 4, 5], [1, 2, 4, 8, 16]]
    some = [Majority((("1", 2),), 2, log_evidence=value, correct=right) for value, right in ((1.0, False), (9.0, True))]
    assert surer_of_wrong([*some, Majority((("1", 2),), 2, log_evidence=3.0, correct=False)]) == (2, 0)
