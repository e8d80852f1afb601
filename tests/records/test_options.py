"""Facts of settings: what is outside a field's domain is named with the value, the domain and the meaning."""

import math
from dataclasses import dataclass
from typing import Any

import pytest

from srlm.records.options import Facts, facts_of, option, problems


@dataclass
class Kettle:
    cups: int = option(2, "How much water.", "cups", low=1)
    degrees: float = option(90.0, "How hot.", above=0, below=100)
    minutes: float | None = option(None, "How long.", above=0)
    whistle: str = option("loud", "What it does then.", choices=("loud", "soft"))
    lid: bool = option(True, "Leave the lid open.", "open")
    colour: str = "red"


def test_defaults_and_the_ends_that_belong_to_a_domain_are_no_problem() -> None:
    assert problems(Kettle()) == []
    assert problems(Kettle(cups=1, degrees=math.nextafter(0, 1), minutes=1e-9, whistle="soft")) == []
    assert problems(Kettle(degrees=99)) == []  # a whole number is a real one


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("cups", 0, "cups is 0; it must be a whole number, at least 1 (How much water)"),
        ("cups", 2.0, "cups is 2.0; it must be a whole number, at least 1 (How much water)"),
        ("cups", True, "cups is True; it must be a whole number, at least 1 (How much water)"),
        ("cups", None, "cups is None; it must be a whole number, at least 1 (How much water)"),
        ("degrees", 0.0, "degrees is 0.0; it must be a number, greater than 0 and less than 100 (How hot)"),
        ("degrees", 100, "degrees is 100; it must be a number, greater than 0 and less than 100 (How hot)"),
        ("degrees", math.nan, "degrees is nan; it must be a number, greater than 0 and less than 100 (How hot)"),
        ("minutes", math.inf, "minutes is inf; it must be a number, greater than 0, or None (How long)"),
        ("minutes", "3", "minutes is '3'; it must be a number, greater than 0, or None (How long)"),
        ("whistle", ["loud"], "whistle is ['loud']; use one of loud, soft"),
    ],
)  # fmt: skip
def test_what_is_outside_a_domain_is_named(field: str, value: Any, sentence: str) -> None:
    assert problems(Kettle(**{field: value})) == [sentence]


def test_every_problem_is_named_at_once_in_the_order_of_the_fields() -> None:
    named = [sentence.split()[0] for sentence in problems(Kettle(whistle="x", cups=-1, degrees=-1.0))]
    assert named == ["cups", "degrees", "whistle"]


def test_only_fields_with_facts_have_them() -> None:
    assert [(one.name, facts.flag) for one, facts in facts_of(Kettle)] == [
        ("cups", "cups"), ("degrees", None), ("minutes", None), ("whistle", None), ("lid", "open")
    ]  # fmt: skip


def test_a_fact_that_does_not_exist_is_refused_where_the_field_is_written() -> None:
    with pytest.raises(TypeError, match="hgih"):
        option(1, "A slip.", hgih=3)
    assert Facts("x").domain == ""
