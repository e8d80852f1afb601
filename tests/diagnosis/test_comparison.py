"""Several models side by side, and the experiment on families."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from srlm.diagnosis.comparison import compare, comparison_document, comparison_notes
from srlm.diagnosis.families import (
    FamilySettings,
    build,
    diagnose_families,
    task_prompts,
    task_tokenizer,
    teacher_batch,
)
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.errors import InputError
from srlm.records.atomic import write_json

SETTINGS = DiagnosisSettings(max_new_tokens=2, samples=2, spectra=False)


def test_models_and_earlier_diagnoses_stand_side_by_side(
    tiny_model_folder: Path, prompts_file: str, diagnosed: Any, tmp_path: Path
) -> None:
    write_json(tmp_path / "diagnosis.json", diagnosed.as_dict())
    names = [str(tiny_model_folder), str(tmp_path)]
    found = compare(names, prompts_file, settings=SETTINGS, device="cpu")
    document = json.loads(json.dumps(comparison_document(found), allow_nan=False))
    assert [one["name"] for one in document["models"]] == names
    # The same model on the same prompts: everything that does not depend on samples is equal.
    for field in ("kappa", "failure_rate", "margin", "greedy_failures"):
        assert document["models"][0][field] == document["models"][1][field]
    assert document["notes"] == []
    assert document["models"][0]["effective_dimension"] is None
    assert document["models"][1]["effective_dimension"] > 0


def test_what_cannot_be_compared_is_said(diagnosed: Any) -> None:
    setup = diagnosed.settings.model_copy(update={"max_new_tokens": 99})
    other = diagnosed.model_copy(update={"settings": setup, "prompts": diagnosed.prompts[:-1]})
    notes = comparison_notes([("a", diagnosed), ("b", other)])
    assert any("max_new_tokens = 99" in note for note in notes)
    assert any("other prompts" in note for note in notes)
    rough = diagnosed.model_copy(update={"numeric_error": 0.1})
    assert comparison_notes([("a", diagnosed), ("b", rough)]) == [
        "b was computed in float32: its brackets are estimates, and nothing of it is proved"
    ]


@pytest.mark.parametrize(("names", "sentence"), [(["a"], "two models or more"), (["a", "b", "a"], "names a more than")])
def test_wrong_names_are_refused_before_any_work(names: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        compare(names)


def test_training_a_family_lowers_kappa_and_raises_the_ceiling() -> None:
    settings = FamilySettings(families=("Llama",), steps=(0, 60), width=32, layers=1, numbers=4)
    found = diagnose_families(settings, measured=DiagnosisSettings(max_new_tokens=6, samples=8, spectra=False))
    assert [name for name, _ in found] == ["Llama, 0 steps", "Llama, 60 steps"]
    fresh, trained = (one for _, one in found)
    assert trained.kappa.upper < fresh.kappa.lower
    assert trained.accuracy.mode > fresh.accuracy.mode
    assert trained.certified == 16


def test_the_teacher_errs_as_often_as_it_is_told_to() -> None:
    settings = FamilySettings(numbers=5, error_rate=0.3, batch_size=3000)
    tokenizer = task_tokenizer(5)
    ids, labels = teacher_batch(tokenizer, settings, np.random.default_rng(0))
    right = 0
    for row, label in zip(ids, labels, strict=True):
        a, b = (int(tokenizer.decode(row[at])) for at in (0, 2))
        answer = int(tokenizer.decode(row[label != -100][-2]))
        right += answer == max(a, b)
        assert row[label != -100][-1] == tokenizer.eos_token_id
    assert right / 3000 == pytest.approx(0.7, abs=4 * (0.21 / 3000) ** 0.5)


def test_prompts_hold_every_question_and_its_answer() -> None:
    prompts = task_prompts(3)
    assert len(prompts) == 9
    for prompt in prompts:
        a, _, b = prompt.text.split()
        assert prompt.grade(str(max(int(a), int(b))))
        assert not prompt.grade(str(max(int(a), int(b)) + 1))


def test_the_same_seed_builds_the_same_model() -> None:
    one, same, other = (build("GPT-2", FamilySettings(width=16, seed=seed), 10) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"families": ("Lama",)}, "choose among Llama"),
        ({"steps": (5, 0)}, "rising"),
        ({"width": 12}, "multiple of 8"),
        ({"numbers": 1}, "numbers is 1; it must be a whole number, at least 2"),
        ({"error_rate": 1.0}, "error_rate"),
    ],
)
def test_experiments_outside_their_domain_are_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        FamilySettings(**options)
