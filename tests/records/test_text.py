import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlm.records.text import spreadsheet_safe, visible

ANYTHING = st.text(st.characters(), max_size=80)  # lone surrogates included


@given(ANYTHING)
def test_visible_text_holds_nothing_unseen_and_encodes(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    shown.encode("utf-8")
    assert visible(shown) == shown


@given(ANYTHING, st.integers(min_value=1, max_value=40))
def test_visible_text_keeps_its_limit(text: str, limit: int) -> None:
    shown = visible(text, limit)
    assert len(shown) <= limit
    whole = visible(text)
    assert shown == whole if len(whole) <= limit else shown == whole[: limit - 1] + "…"


@given(st.text(st.characters(whitelist_categories=("L", "N", "P", "S", "M", "Zs")), max_size=40))
def test_visible_leaves_ordinary_text_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_visible_names_what_cannot_be_seen(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(ANYTHING)
def test_no_cell_of_a_table_is_a_formula_and_no_other_changes(text: str) -> None:
    cell = spreadsheet_safe(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell in (text, f"'{text}")


def test_formulas_are_quoted() -> None:
    cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1", "1", "", "a=b"]
    assert [spreadsheet_safe(one) for one in cells] == [*(f"'{one}" for one in cells[:8]), *cells[8:]]
