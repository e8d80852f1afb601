import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlm.records.rounds import Bracket
from srlm.records.text import duration
from srlm.report.numbers import bracket, from_log, number, plural, power_of_ten, share

_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def value_of(text: str) -> float:
    mantissa, _, power = text.replace(",", "").partition("×10")
    return float(mantissa) * 10.0 ** int(power.translate(_DIGITS) or 0)


@given(st.floats(min_value=1e-290, max_value=1e290))
def test_number_is_within_five_percent_of_the_value(value: float) -> None:
    assert value_of(number(value)) == pytest.approx(value, rel=0.051)


@given(st.floats(min_value=0, max_value=690))
def test_from_log_agrees_with_number(log_value: float) -> None:
    assert value_of(from_log(log_value)) == pytest.approx(math.exp(log_value), rel=0.051)


def test_from_log_writes_what_a_float_cannot_hold() -> None:
    assert from_log(1000 * math.log(10) + 1e-9) == "1.0×10¹⁰⁰⁰"


def test_a_bracket_reads_as_one_number_only_where_its_ends_do() -> None:
    assert bracket(Bracket(lower=2.0, upper=2.0)) == "2"
    assert bracket(Bracket(lower=2.0, upper=2.5)) == "2–2.5"


def test_words() -> None:
    assert (share(0.125), share(None), duration(4.24), duration(65), duration(200), duration(7300)) == (
        "12%", "not known", "4.2 s", "65 s", "3 min", "2.0 h",
    )  # fmt: skip
    assert (plural(1, "round"), plural(0, "round")) == ("1 round", "0 rounds")


def test_powers_of_ten_read_as_such() -> None:
    assert [power_of_ten(at) for at in (0, -1, -3, -4, -21, 3, 4)] == [
        "1",
        "0.1",
        "0.001",
        "10⁻⁴",
        "10⁻²¹",
        "1000",
        "10⁴",
    ]
