"""Degenerate responses are marked, ordinary ones are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlm.measure.degenerate import is_repeating, marks_of


@pytest.mark.parametrize(
    ("tokens", "text", "ended", "marks"),
    [
        ((5, 0), "Paris", True, ()),
        ((0,), "", True, ("empty",)),
        ((7, 0), " \n", True, ("empty",)),
        ((5, 6), "Paris is", False, ("cut",)),
        ((5, 5, 5, 5), "ha ha ha ha", False, ("cut", "repeating")),
        ((5, 5, 5, 0), "ha ha ha", True, ()),
        ((1, 2, 3, 1, 2, 3, 1, 2, 3, 0), "a b c a b c a b c", True, ("repeating",)),
        ((1, 2, 3, 1, 2, 3, 4, 0), "a b c a b c d", True, ()),
    ],
)
def test_marks_say_what_is_wrong(tokens: tuple[int, ...], text: str, ended: bool, marks: tuple[str, ...]) -> None:
    assert marks_of(tokens, text, ended) == marks


@given(st.lists(st.integers(0, 3), max_size=24))
def test_repeating_is_three_equal_pieces_in_a_row_over_half_the_response(tokens: list[int]) -> None:
    expected = False
    for start in range(len(tokens)):
        for end in range(start + 1, len(tokens) + 1):
            run = tokens[start:end]
            for piece in range(1, len(run) // 3 + 1):
                periodic = all(run[at] == run[at - piece] for at in range(piece, len(run)))
                expected |= periodic and len(run) >= 4 and 2 * len(run) >= len(tokens)
    assert is_repeating(tokens) == expected
