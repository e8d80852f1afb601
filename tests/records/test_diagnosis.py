"""A diagnosis is what its file says: written from the record, read back into it, refused by field if damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.records.atomic import write_json
from srlm.records.bracket import Bracket
from srlm.records.diagnosis import DiagnosisRecord, holds_diagnosis, planning_inputs, read_diagnosis


def test_what_is_written_is_read_back_as_the_same_record(record: DiagnosisRecord, tmp_path: Path) -> None:
    write_json(tmp_path / "diagnosis.json", record.as_dict())
    assert holds_diagnosis(tmp_path)
    assert read_diagnosis(tmp_path) == read_diagnosis(tmp_path / "diagnosis.json") == record
    assert not holds_diagnosis(tmp_path / "nowhere")
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "diagnosis.json").symlink_to("gone")
    assert holds_diagnosis(tmp_path / "nowhere"), "a damaged one"
    with pytest.raises(InputError, match=r"no diagnosis but a device"):
        read_diagnosis(Path("/dev/zero"))


def test_the_document_keeps_its_form(record: DiagnosisRecord) -> None:
    document = json.loads(json.dumps(record.as_dict(), allow_nan=False))
    assert document["format"] == 1
    assert document["effective_dimension"] == {}
    assert document["kappa"] == {"lower": 0.5, "upper": None}
    assert document["prompts"][0]["answer"] == ["a", "b"]
    assert document["prompts"][0]["mode"] == {
        "text": "So.", "tokens": 2, "marks": ["cut"], "logprob_lower": -812.0, "logprob_upper": -0.5, "certified": False
    }  # fmt: skip


def test_fields_of_a_newer_srlm_are_kept(record: DiagnosisRecord, tmp_path: Path) -> None:
    write_json(tmp_path / "diagnosis.json", record.as_dict() | {"novelty": [1]})
    assert read_diagnosis(tmp_path).as_dict()["novelty"] == [1]


def spoil(document: dict[str, Any], place: str, value: Any) -> None:
    *above, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    at: Any = document
    for part in above:
        at = at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("prompts.0.mode", None),
        ("prompts.0.mode.logprob_lower", "far"),
        ("prompts.0.margin_lower", "NaN"),
        ("settings.samples", "many"),
        ("kappa.lower", [1]),
        ("accuracy.sample", 1.5),
        ("verdict.0.verdict", "perhaps"),
        ("bootstrap.log_kappa.level", None),
        ("prompts", []),
        ("format", 99),
    ],
)
def test_a_damaged_document_is_refused_by_field(
    place: str, value: Any, record: DiagnosisRecord, tmp_path: Path
) -> None:
    document = record.as_dict()
    spoil(document, place, value)
    write_json(tmp_path / "diagnosis.json", document)
    with pytest.raises(InputError) as caught:
        read_diagnosis(tmp_path)
    wrong = "missing" if value is None else json.dumps(value)
    assert any(f"diagnosis.json: {place} is {wrong}" in one for one in caught.value.problems)


@pytest.mark.parametrize("text", ["[1, 2]", "3", "null", "{}", '{"kappa": 3', ""])
def test_what_is_no_diagnosis_is_called_so_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "diagnosis.json").write_text(text)
    with pytest.raises(InputError, match=r"is no diagnosis.*write one with srlm diagnose --out") as caught:
        read_diagnosis(tmp_path)
    assert len(caught.value.problems) == 1
    with pytest.raises(InputError, match="is no diagnosis"):
        read_diagnosis(tmp_path / "nowhere")


def test_a_plan_begins_with_what_was_measured(record: DiagnosisRecord, tmp_path: Path) -> None:
    def inputs(**changes: Any) -> list[tuple[str, float]]:
        of = record.model_copy(update=changes)
        return [(one.name, one.value) for one in planning_inputs(of, tmp_path, sized=True)]

    tied = record.prompts[0].model_copy(update={"margin_lower": 0.0})
    apart = record.prompts[0].model_copy(update={"margin_lower": 0.25})
    known = {"kappa": Bracket(lower=2.0, upper=3.0), "min_confidence": Bracket(lower=0.125, upper=0.5)}
    # Neither an infinite margin nor one of 0 (nothing is certified there) says how far apart responses are.
    assert inputs(**known, prompts=(record.prompts[0], tied, apart)) == [
        ("kappa0", 3.0), ("min_confidence", 0.125), ("margin", 0.25)
    ]  # fmt: skip
    with pytest.raises(InputError, match="above 1e308"):
        inputs()
    with pytest.raises(InputError, match="--log-class-size"):
        planning_inputs(record.model_copy(update=known), tmp_path, sized=False)
