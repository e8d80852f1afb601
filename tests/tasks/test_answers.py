"""The one rule by which answers are read: what the grader counts as one answer, the voter does too."""

from itertools import product

import pytest

from srlm.tasks.answers import answer_of
from srlm.tasks.grading import is_correct


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2 + 2 = 4", "4"),
        ("1,234", "1234"),
        ("-3.5 it is", "-7/2"),
        ("  The Cat. ", "the cat"),
        ("Café!", "cafe"),
        ("it is 3-5", "5"),
        ("3.0", "3"),
        ("?!", None),
    ],
)
def test_the_answer_is_the_last_number_or_the_words(text: str, answer: str | None) -> None:
    assert answer_of(text) == answer


def test_grader_and_voter_agree_on_which_numbers_are_one_answer() -> None:
    texts = ["it is 3-5", "5", "5.0", "-5", "3.0", "3", "1,000", "1000.00", "0.1", "0.10", "6-3=2", "2."]
    for one, other in product(texts, texts):
        number = answer_of(other)
        assert number is not None
        if "/" not in number:
            assert is_correct(one, [number]) == (answer_of(one) == number), (one, other)
