"""The page of a diagnosis: says what the document says, needs nothing but a browser, lets no markup out."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.records.atomic import write_json
from srlm.records.diagnosis_file import holds_diagnosis, read_diagnosis
from srlm.report.diagnosis_figures import comparison_figures, diagnosis_figures
from srlm.report.diagnosis_page import report_diagnoses, write_diagnosis_comparison, write_diagnosis_page


def prompt(
    text: str, mode: str, *, right: bool | None = True, certified: bool = True, **changes: Any
) -> dict[str, Any]:
    upper = -1.0 if certified else -0.2
    return {
        "prompt": text,
        "group": "all",
        "mode": {
            "text": mode, "logprob_lower": -1.0, "logprob_upper": upper, "certified": certified, "marks": [],
        },
        "greedy": {"text": "greedy " + mode, "logprob": -2.0, "marks": []},
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
        "samples": {},
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
        "settings": {"max_new_tokens": 4, "samples": 8, "dtype": "float32", "versions": {"torch": "2"}},
        "prompts": [prompt("What?", "This."), prompt("Why?", "Because.", right=False, certified=False)],
        "kappa": {"lower": 3.0, "upper": 4.0},
        "log_kappa": {"lower": 1.1, "upper": 1.4},
        "failure_rate": {"lower": 0.5, "upper": 1.0},
        "min_confidence": {"lower": 0.2, "upper": 0.4},
        "bootstrap": {"kappa": interval, "failure_rate": interval},
        "certified": 1,
        "greedy_failures": 1,
        "degenerate_modes": {"empty": 0, "cut": 0, "repeating": 0},
        "accuracy": accuracy,
        "self_reward_against_correctness": {
            "auroc": 0.7, "auroc_within": 0.8, "prompts_within": 2, "calibration_error": 0.1, "samples": 16,
            "calibration": [
                {"count": 8, "self_reward": -1.0, "confidence": 0.5, "accuracy": 0.5},
                {"count": 8, "self_reward": -9.0, "confidence": 0.1, "accuracy": 0.2},
            ],
        },
        "effective_dimension": {
            "value": 3.0, "dimension": 4, "eigenvalues": [0.5, 0.2, 0.1, 0.05], "warning": None,
            "decay": {"best": "A", "sentence": "exponential decay", "regimes": []},
            "fisher": {"eigenvalues": [1.0, 0.5, 0.0, 0.0], "warning": "careful here", "condition_number": 2.0},
            "weights": [],
        },
        "numeric_error": 0.0,
        "verdict": [verdict],
        "seconds": {},
    }  # fmt: skip


def page_of(document: dict[str, Any], tmp_path: Path) -> str:
    return write_diagnosis_page(document, tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_newcomer_finds_verdict_reason_and_ceiling_before_anything_else(
    document: dict[str, Any], tmp_path: Path
) -> None:
    page = page_of(document, tmp_path)
    head = page[page.index("<header>") : page.index("In pictures")]
    for words in ("should help: from 25% right samples towards 75%", "Train:", "modes beat samples", "25% → 50%–75%"):
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
    assert "not proved</span>" in page
    document["numeric_error"] = 0.05
    document["degenerate_modes"]["empty"] = 1
    page = page_of(document, tmp_path)
    assert "widened by 0.05 nats" in page
    assert "1 empty" in page


def test_no_request_leaves_the_page_and_markup_stays_text(document: dict[str, Any], tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>\u202e"
    document["prompts"].append(prompt(attack, attack, answer=attack, group=attack))
    document["model"] = attack
    document["verdict"].append(copy.deepcopy(document["verdict"][0]) | {"group": attack, "reason": attack})
    page = page_of(document, tmp_path)
    assert "<script>alert" not in page
    assert "\u202e" not in page
    without_plotly = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", without_plotly)


def test_a_document_without_answers_or_spectra_is_drawn(document: dict[str, Any], tmp_path: Path) -> None:
    for one in document["prompts"]:
        one |= {
            "mode_correct": None, "greedy_correct": None, "sample_accuracy": None, "answer": None, "margin_lower": None
        }  # fmt: skip
    document["accuracy"] = dict.fromkeys(document["accuracy"]) | {"prompts": 0}
    document["verdict"][0] |= {"accuracy": document["accuracy"], "verdict": "undecided"}
    document["effective_dimension"] = {}
    document["self_reward_against_correctness"] = None
    page = page_of(document, tmp_path)
    assert "infinite" in page
    assert [figure.key for figure in diagnosis_figures(document)] == ["confidence"]


def test_probabilities_too_small_for_a_double_are_still_drawn(document: dict[str, Any], tmp_path: Path) -> None:
    document["prompts"][0]["mode"] |= {"logprob_lower": -5000.0, "logprob_upper": -5000.0}
    assert "×10⁻²¹⁷²" in page_of(document, tmp_path)
    for figure in diagnosis_figures(document):
        json.dumps(figure.spec, allow_nan=False)


def test_several_are_compared_with_their_names_and_notes(document: dict[str, Any], tmp_path: Path) -> None:
    other = copy.deepcopy(document)
    named = [("first", document), ("<b>second</b>", other)]
    page = write_diagnosis_comparison(named, tmp_path / "c.html", ["watch out"]).read_text(encoding="utf-8")
    assert "2 models side by side" in page
    assert "watch out" in page
    assert "<b>second" not in page
    assert {figure.key for figure in comparison_figures(named)} == {"spectra", "ceilings"}


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
    with pytest.raises(InputError, match=r"a field is missing.*'mode'"):
        report_diagnoses([tmp_path / "a"])


def test_reading_back_names_what_is_missing(document: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / "diagnosis.json", document)
    assert holds_diagnosis(tmp_path)
    assert read_diagnosis(tmp_path) == document
    for change, words in (({"format": 99}, "format 99"), ({"prompts": []}, "no prompts")):
        write_json(tmp_path / "diagnosis.json", document | change)
        with pytest.raises(InputError, match=words):
            read_diagnosis(tmp_path)
    del document["kappa"]
    write_json(tmp_path / "diagnosis.json", document)
    with pytest.raises(InputError, match="no kappa"):
        read_diagnosis(tmp_path)
    with pytest.raises(InputError, match="is no diagnosis"):
        read_diagnosis(tmp_path / "nowhere")
    assert not holds_diagnosis(tmp_path / "nowhere")
