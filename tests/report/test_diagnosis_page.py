"""The page of a diagnosis: says what the document says, needs nothing but a browser, lets no markup out."""

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from tests.report.test_page import Reader

from srlm.cli._diagnosis_text import comparison_text, diagnosis_text
from srlm.errors import InputError
from srlm.records.atomic import write_json
from srlm.records.diagnosis import DiagnosisRecord
from srlm.report.diagnosis_charts import comparison_charts, diagnosis_charts
from srlm.report.diagnosis_page import report_diagnoses, write_diagnosis_comparison, write_diagnosis_page

SAMPLES = {
    "count": 16, "distinct": 9, "mean_tokens": 2.0, "cut_share": 0.0, "entropy": 1.0, "self_reward_mean": -2.0,
}  # fmt: skip


def prompt(
    text: str, mode: str, *, right: bool | None = True, certified: bool = True, **changes: Any
) -> dict[str, Any]:
    upper = -1.0 if certified else -0.2
    return {
        "prompt": text,
        "group": "all",
        "mode": {
            "text": mode, "tokens": 2, "marks": [],
            "logprob_lower": -1.0, "logprob_upper": upper, "certified": certified,
        },
        "greedy": {"text": "greedy " + mode, "logprob": -2.0, "tokens": 2, "marks": []},
        "greedy_is_mode": False if certified else None,
        "margin_lower": 0.25,
        "margin_note": None,
        "runner_up": None,
        "expansions": 4,
        "answer": None if right is None else "x",
        "mode_correct": right,
        "greedy_correct": right,
        "best_of_n_correct": right,
        "majority_correct": right,
        "sample_accuracy": None if right is None else 0.25,
        "samples": SAMPLES | {"count": 8},
        "known": {
            "best": [-1.0], "certified": certified, "open_prefixes": [math.log(1 - math.exp(-1.0))],
            "dropped_mass": 0.0, "dropped_logprob": None, "samples": [-1.0], "times": [8], "sample_known": [True],
        },
    } | changes  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    accuracy = {
        "sample": 0.25, "greedy": 0.5, "best_of_n": 0.5, "majority": 0.5, "mode": 0.75,
        "mode_bracket": {"lower": 0.5, "upper": 0.75}, "prompts": 2,
    }  # fmt: skip
    verdict = {
        "group": "all", "prompts": 2, "verdict": "helps", "reason": "modes beat samples", "remedy": "",
        "accuracy": accuracy, "gain": None, "kappa": {"lower": 3.0, "upper": 4.0},
        "failure_rate": {"lower": 0.5, "upper": 1.0}, "degenerate_modes": 0,
    }  # fmt: skip
    interval = {"lower": 2.0, "upper": 9.0, "level": 0.95}
    return {
        "format": 1,
        "model": "some-model",
        "checksum": "sha256:0",
        "settings": {
            "prompts": "questions", "max_new_tokens": 4, "expansions": 10, "samples": 8, "mass_slack": 0.5, "seed": 0,
            "raw_prompts": False, "dtype": "float32", "parameters": 7, "architecture": "Tiny",
            "versions": {"torch": "2"},
        },
        "prompts": [prompt("What?", "This."), prompt("Why?", "Because.", right=False, certified=False)],
        "kappa": {"lower": 3.0, "upper": 4.0},
        "log_kappa": {"lower": math.log(3.0), "upper": math.log(4.0)},
        "failure_rate": {"lower": 0.5, "upper": 1.0},
        "min_confidence": {"lower": 0.2, "upper": 0.4},
        "log_min_confidence": {"lower": math.log(0.2), "upper": math.log(0.4)},
        "bootstrap": {
            "kappa": interval,
            "log_kappa": {"lower": math.log(2.0), "upper": math.log(9.0), "level": 0.95},
            "failure_rate": interval, "sample_accuracy": None, "mode_accuracy": None, "resamples": 10,
        },
        "certified": 1,
        "greedy_failures": 1,
        "degenerate_modes": {"empty": 0, "cut": 0, "repeating": 0},
        "samples": SAMPLES,
        "accuracy": accuracy,
        "self_reward_against_correctness": {
            "auroc": 0.7, "auroc_within": 0.8, "prompts_within": 2, "calibration_error": 0.1, "samples": 16,
            "calibration": [
                {"count": 8, "self_reward": -1.0, "confidence": 0.5, "accuracy": 0.5},
                {"count": 8, "self_reward": -9.0, "confidence": 0.1, "accuracy": 0.2},
            ],
        },
        "effective_dimension": {
            "value": 3.0, "ridge": 0.25, "dimension": 4, "eigenvalues": [0.5, 0.2, 0.1, 0.05], "warning": None,
            "by_ridge": [], "positions": 9, "distinct_positions": 5, "rank": 4, "trace": 0.85, "largest_norm": 1.0,
            "decay": {"best": "A", "sentence": "exponential decay", "good_fit": 0.95, "regimes": []},
            "fisher": {
                "eigenvalues": [1.0, 0.5, 0.0, 0.0], "warning": "careful here", "condition_number": 2.0, "rank": 2,
                "cutoff": 1e-7, "meaningful": False, "trace": 1.5,
            },
            "weights": [],
        },
        "numeric_error": 0.0,
        "verdict": [verdict],
        "forecast": {"beta": 1.0, "rounds": [], "assumes": ["nothing"]},
        "seconds": {},
    }  # fmt: skip


def page_of(document: dict[str, Any], tmp_path: Path) -> str:
    return write_diagnosis_page(DiagnosisRecord.model_validate(document), tmp_path / "page.html").read_text(
        encoding="utf-8"
    )


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", Reader(page).text)


def test_a_newcomer_finds_verdict_reason_and_ceiling_before_anything_else(
    document: dict[str, Any], tmp_path: Path
) -> None:
    page = text_of(page_of(document, tmp_path))
    head = page[page.index("some-model ·") : page.index("In pictures")]
    for words in ("should help: from 25% right samples towards 75%", "Train:", "modes beat samples", "50%–75%"):
        assert words in head
    assert "3–4" in head  # kappa's bracket
    assert "2–9" in head  # the interval over prompts, beside it


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("no headroom", "nothing to gain"),
        ("would amplify errors", "make this model worse"),
        ("undecided", "Not enough is known"),
    ],
)
def test_every_verdict_has_its_headline(verdict: str, words: str, document: dict[str, Any], tmp_path: Path) -> None:
    document["verdict"][0]["verdict"] = verdict
    assert words in page_of(document, tmp_path)


def test_what_is_open_is_said(document: dict[str, Any], tmp_path: Path) -> None:
    page = page_of(document, tmp_path)
    assert "1 of 2 modes are not proved" in page
    assert "careful here" in page
    assert json.loads(Reader(page).data)["runs"][0]["prompts"][1]["rounds"][0]["certified"] is False
    document["degenerate_modes"]["empty"] = 1
    assert "1 empty" in page_of(document, tmp_path)


def test_widened_brackets_are_called_estimates_and_nothing_proved(document: dict[str, Any], tmp_path: Path) -> None:
    document["numeric_error"] = 0.05
    page = page_of(document, tmp_path)
    text = text_of(page)
    assert "widened by 0.05 nats" in text
    assert "They are estimates" in text
    assert json.loads(Reader(page).data)["runs"][0]["proved"] == "settled"
    # What is left of the word are its denial and the footer's "statements labelled P are proved".
    assert [text[at.start() - 4 : at.end()] for at in re.finditer("proved", text)] == ["not proved", "are proved"]
    assert "1 of 2 modes are not settled" in text


def test_kappa_beyond_a_double_is_written_from_its_logarithm(document: dict[str, Any], tmp_path: Path) -> None:
    # e^812 = 10^(812 / ln 10) = 10^352.647, and 10^0.647 = 4.44; e^-812 = 10^-352.647 = 2.25 10^-353
    document["kappa"] = {"lower": 3.0, "upper": None}
    document["log_kappa"]["upper"] = 812.0
    document["min_confidence"] = {"lower": None, "upper": 0.4}
    document["log_min_confidence"]["lower"] = -812.0
    document["bootstrap"] |= {"kappa": None, "log_kappa": {"lower": 800.0, "upper": 812.0, "level": 0.95}}
    record = DiagnosisRecord.model_validate(document)
    page = text_of(write_diagnosis_page(record, tmp_path / "page.html").read_text(encoding="utf-8"))
    text = diagnosis_text(record)
    for shown in (page, text):
        assert "3–4.4×10³⁵²" in shown
        assert "2.7×10³⁴⁷–4.4×10³⁵²" in shown  # 800 / ln 10 = 347.436
    assert "2.3×10⁻³⁵³–0.4" in text
    assert "3–4.4×10³⁵²" in comparison_text([("x", record)], [])


def test_no_request_leaves_the_page_and_markup_stays_text(document: dict[str, Any], tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>\u202e"
    document["prompts"].append(prompt(attack, attack, answer=attack, group=attack))
    document["model"] = attack
    document["verdict"].append(copy.deepcopy(document["verdict"][0]) | {"group": attack, "reason": attack})
    page = page_of(document, tmp_path)
    assert "<script>alert" not in page
    assert "\u202e" not in page
    without_script = re.sub(r"<script type=.module.>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", without_script)
    assert attack[:8] in json.loads(Reader(page).data)["runs"][0]["prompts"][2]["prompt"]


def test_a_document_without_answers_or_spectra_is_drawn(document: dict[str, Any], tmp_path: Path) -> None:
    for one in document["prompts"]:
        one |= {
            "mode_correct": None, "greedy_correct": None, "sample_accuracy": None, "answer": None, "margin_lower": None
        }  # fmt: skip
    document["accuracy"] = dict.fromkeys(document["accuracy"]) | {"prompts": 0}
    document["verdict"][0] |= {"accuracy": document["accuracy"], "verdict": "undecided"}
    document["effective_dimension"] = {}
    document["self_reward_against_correctness"] = None
    page_of(document, tmp_path)
    figures = diagnosis_charts(DiagnosisRecord.model_validate(document))
    assert [figure.key for figure in figures] == ["confidence"]


def test_probabilities_too_small_for_a_double_are_still_drawn(document: dict[str, Any], tmp_path: Path) -> None:
    document["prompts"][0]["mode"] |= {"logprob_lower": -5000.0, "logprob_upper": -5000.0}
    at = json.loads(Reader(page_of(document, tmp_path)).data)["runs"][0]["prompts"][0]["rounds"][0]
    assert at["lower"] == -5000.0
    for figure in diagnosis_charts(DiagnosisRecord.model_validate(document)):
        json.dumps(figure.model_dump(mode="json"), allow_nan=False)


def test_several_are_compared_with_their_names_and_notes(document: dict[str, Any], tmp_path: Path) -> None:
    named = [(name, DiagnosisRecord.model_validate(document)) for name in ("first", "<b>second</b>")]
    page = write_diagnosis_comparison(named, tmp_path / "c.html", ["watch out"]).read_text(encoding="utf-8")
    assert "2 models side by side" in page
    assert "watch out" in page
    assert "<b>second" not in page
    assert {figure.key for figure in comparison_charts(named)} == {"spectra", "ceilings"}


def test_report_draws_what_diagnose_wrote(document: dict[str, Any], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_json(tmp_path / name / "diagnosis.json", document)
    said = report_diagnoses([tmp_path / "a"])
    assert Path(said["report"]) == tmp_path / "a" / "diagnosis.html"
    assert said["diagnoses"][0]["verdict"][0]["verdict"] == "helps"
    both = report_diagnoses([tmp_path / "a", tmp_path / "b"], tmp_path / "both.html")
    assert Path(both["report"]).is_file()
    with pytest.raises(InputError, match="--out FILE"):
        report_diagnoses([tmp_path / "a", tmp_path / "b"])
    alone = report_diagnoses([tmp_path / "b" / "diagnosis.json"])
    assert Path(alone["report"]) == tmp_path / "b" / "diagnosis.html"
    del document["prompts"][0]["mode"]
    write_json(tmp_path / "a" / "diagnosis.json", document)
    with pytest.raises(InputError, match=r"prompts\.0\.mode is missing; was the file edited"):
        report_diagnoses([tmp_path / "a"])
