import json
import math
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.records.bracket import Bracket
from srlm.records.rounds import RoundRecord, RunRecord, parse

WHERE = Path("metrics.json")


def metrics(**changes: Any) -> dict[str, Any]:
    half = {"lower": 0.5, "upper": 0.5}
    split = {"kappa": {"lower": 2.0, "upper": 3.0}, "failure_rate": half}
    return {"round": 1, **split, "held_out": dict(split), "loss": 0.25} | changes


def test_trained_prompts_lie_at_the_top_and_held_out_ones_below() -> None:
    read = parse(RoundRecord, metrics(margin=0.25), WHERE)
    assert read.train is not None
    assert read.held_out is not None
    assert (read.train.margin, read.held_out.margin, read.loss) == (0.25, None, 0.25)


def test_a_round_without_trained_prompts_is_read() -> None:
    document = {"round": 0, "held_out": metrics()["held_out"]}
    assert parse(RoundRecord, document, WHERE).train is None


def test_fields_of_a_newer_srlm_are_kept() -> None:
    read = parse(RoundRecord, metrics(novelty=[1, 2]), WHERE)
    assert read.train is not None
    assert (read.train.model_extra or {})["novelty"] == [1, 2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, "three", [1]])
def test_a_number_that_is_none_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(InputError, match=r"train\.kappa\.upper"):
        parse(RoundRecord, metrics(kappa={"lower": 1.0, "upper": bad}), WHERE)


def test_an_end_beyond_a_double_is_none_and_a_missing_one_is_refused() -> None:
    open_ = parse(RoundRecord, metrics(kappa={"lower": 1.0, "upper": None}), WHERE)
    assert open_.train is not None
    assert (open_.train.kappa.upper, open_.train.kappa.exact) == (None, False)
    with pytest.raises(InputError, match=r"train\.kappa\.upper is missing"):
        parse(RoundRecord, metrics(kappa={"lower": 1.0}), WHERE)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse(RoundRecord, metrics(kappa=3, failure_rate=4), WHERE)
    assert len(caught.value.problems) == 2


def test_what_is_written_is_read_back_as_the_same_record() -> None:
    record = parse(RoundRecord, metrics(margin=None, margin_note="no rival", signatures=[]), WHERE)
    document = json.loads(json.dumps(record.to_document(), allow_nan=False))
    assert document["kappa"]["lower"] == 2.0
    assert "train" not in document
    assert parse(RoundRecord, document, WHERE) == record


def test_a_bracket_has_its_ends_in_order() -> None:
    with pytest.raises(ValueError, match="lies above"):
        Bracket(lower=2.0, upper=1.0)
    assert Bracket(lower=2.0, upper=2.0).exact
    assert not Bracket(lower=2.0, upper=2.001).exact


def test_a_run_record_has_a_known_status() -> None:
    with pytest.raises(InputError, match="status"):
        parse(RunRecord, {"format": 1, "status": "lost", "created": "", "updated": "", "configuration": {}}, WHERE)


def test_what_became_of_prompts_is_written_and_read_back_and_older_rounds_do_without() -> None:
    found = {
        "kept_confidence": 0.5,
        "kept_confidence_se": 0.1,
        "flips": 0.25,
        "distinct": 0.75,
        "fates": {"mode": {"kept": 3, "learned": 1, "corrupted": 0, "still_wrong": 2}},
        "intervals": {"failure_rate": {"lower": 0.2, "upper": 0.8, "level": 0.95}},
    }
    half = {"lower": 0.0, "upper": 1.0}
    gate = {"prompts": 80, "kappa": {"lower": None, "upper": None}, "failure_rate": half, "accuracy": {"sample": 0.4}}
    record = parse(RoundRecord, metrics(**found, gate=gate), WHERE)
    assert record.train is not None
    assert record.gate is not None
    assert (record.gate.prompts, record.gate.accuracy.sample, record.train.intervals["failure_rate"].upper) == (
        80,
        0.4,
        0.8,
    )
    document = json.loads(json.dumps(record.to_document(), allow_nan=False))
    assert {name: document[name] for name in found} == found
    assert parse(RoundRecord, document, WHERE) == record
    old = parse(RoundRecord, metrics(), WHERE)
    assert old.train is not None
    assert (old.gate, old.retention, old.train.kept_confidence, old.train.fates) == (None, None, None, {})
