import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlm.records.text import visible

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
