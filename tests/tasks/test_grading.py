"""The rule by which answers count as right."""

import pytest

from srlm.tasks.grading import is_correct


@pytest.mark.parametrize(
    ("response", "answers", "right"),
    [
        ("2 + 3 = 5", ["5"], True),
        ("The answer is 5.", ["5"], True),
        ("6-3=2", ["3"], False),
        ("5-4", ["4"], True),
        ("-4", ["-4"], True),
        ("It costs 1,000 coins", ["1000"], True),
        ("It has four legs", ["4", "four"], True),
        ("No, yes", ["yes"], False),
        ("Yes, it is.", ["yes"], True),
        ("maybe", ["yes"], False),
        ("PARIS!", ["paris"], True),
        ("Parisian", ["Paris"], False),
        ("Café", ["cafe"], True),
        ("New  York city", ["new york"], True),
        ("", ["a"], False),
        ("4.50", ["4.5"], True),
    ],
)
def test_answers_are_judged_as_a_person_would(response: str, answers: list[str], right: bool) -> None:
    assert is_correct(response, answers) is right
