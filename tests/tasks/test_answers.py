"""The one rule by which answers are read: what the grader counts as one answer, the voter does too."""

import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm.errors import InputError
from srlm.tasks import notation
from srlm.tasks.answers import ANSWER_RULES, LONGEST_TEXT, answer_rule
from srlm.tasks.grading import is_correct
from srlm.tasks.notation import announced, last_number, numbers

SIMPLE = [name for name in ANSWER_RULES if name != "math"]


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("auto", "2 + 2 = 4", "4"),
        ("auto", "1,234", "1234"),
        ("auto", "-3.5 it is", "-7/2"),
        ("auto", "  The Cat. ", "cat"),
        ("auto", "Café!", "cafe"),
        ("auto", "it is 3-5", "5"),
        ("auto", "?!", None),
        ("auto", "", None),
        ("auto", "I think so, yes, it is.", "yes"),
        ("auto", "yes and no and then much more", "more"),
        ("auto", "I believe that it must be Paris", "paris"),
        ("auto", "The answer is 4. I am 100 % sure.", "4"),
        ("auto", "The answer is 4, no: \\boxed{5}", "5"),
        ("auto", "(1, 2)", "(1,2)"),
        ("auto", "\\boxed{2\\sqrt{3}}", "2\\sqrt{3}"),
        ("auto", "\\boxed{}", None),
        ("boxed", "no box, 5", None),
        ("boxed", "cut in the middle \\boxed{5", None),
        ("boxed", "\\boxed{\\frac{1}{2}} then \\boxed{3", "1/2"),
        ("boxed", "{{ \\boxed{\\{1\\}}", "\\{1\\}"),
        ("number", "x^2 over 3 cm^2", "3"),
        ("number", "no digits", None),
        ("number", "1/0", None),
        ("choice", "Answer: A cat", None),
        ("choice", "The answer is I think B", None),
        ("choice", "Option A looks good.\nThe answer is C. Option B is not.", "C"),
        ("choice", "C) because", "C"),
        ("choice", "K", None),
        ("yes_no", "maybe", None),
        ("yes_no", "No, it is not so. The answer is yes", "yes"),
        ("words", "The answer is the Eiffel Tower.", "eiffel tower"),
        ("last_line", "first\n\nAnswer: 3.0\n\n", "3"),
        ("last_line", "\n\n", None),
        (r"regex:=\s*(\S+)", "2 = 2.0 = 4/2", "2"),
        (r"regex:\d+ cats", "5 cats, 6 cats", "6"),
        (r"regex:z", "nothing", None),
    ],
)
def test_a_text_is_read_as_a_person_would(name: str, text: str, answer: str | None) -> None:
    assert answer_rule(name).read(text) == answer


def test_grader_and_voter_agree_on_which_numbers_are_one_answer() -> None:
    texts = ["it is 3-5", "5", "5.0", "-5", "3.0", "3", "1,000", "1000.00", "0.1", "0.10", "6-3=2", "2.", "3/4", "0.75"]
    rule = answer_rule("auto")
    for one, other in product(texts, texts):
        number = rule.read(other)
        assert number is not None
        assert is_correct(one, [number]) == (rule.read(one) == number), (one, other)


@pytest.mark.parametrize(
    ("name", "answer", "key"),
    [
        ("auto", "(1, 2)", "(1,2)"),
        ("auto", "2 + 3 makes 5 #### 5", "5"),
        ("boxed", "0.5", "1/2"),
        ("number", "four", None),
        ("choice", "c", "C"),
        ("auto", "War of the Roses in England", "war of roses in england"),
        ("regex:result (.*)", "1,000", "1000"),
    ],
)
def test_an_accepted_answer_stands_alone(name: str, answer: str, key: str | None) -> None:
    assert answer_rule(name).accepted(answer) == key


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing", "use one of auto, boxed, number"),
        ("code", "programs are not compared"),
        ("free_text", "takes a judge"),
        ("regex:(", "does not compile"),
        ("python:nowhere:f", "cannot be imported"),
        ("python:math:pi", "is not a function"),
        ("python:", "cannot be imported"),
    ],
)
def test_rules_that_cannot_work_are_refused_with_the_reason(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        answer_rule(spec)


def test_mathematics_without_math_verify_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srlm.tasks.answers.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'pip install "srlm\[math\]"'):
        answer_rule("math")


def test_a_function_of_the_user_is_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_rule.py").write_text(
        "def upper(text):\n    return text.upper() or None\ndef count(text):\n    return len(text)\n"
        "def breaks(text):\n    raise KeyError('gone')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert answer_rule("python:own_rule:upper").keys(["a", "", "A"]) == ["A", None, "A"]
    with pytest.raises(InputError, match="returned int"):
        answer_rule("python:own_rule:count").read("a")
    with pytest.raises(InputError, match="raised KeyError"):
        answer_rule("python:own_rule:breaks").read("a")


def test_a_pattern_that_runs_away_is_stopped() -> None:
    with pytest.raises(InputError, match="ran longer than"):
        answer_rule("regex:(a+)+$").read("a" * 64 + "b")
    assert answer_rule("regex:a+").read("aaab") == "aaa"


@pytest.mark.parametrize(
    "text",
    [
        "5^5^5^5",
        "9**9**9",
        "{" * 10_000,
        "\\boxed{" * 10_000,
        "\\boxed{" * 5_000 + "}" * 5_000,
        "7" * 100_000,
        "1," * 50_000,
        "1/" * 50_000,
        "1 " * 50_000,
        "1" + " " * 100_000,
        "the answer is " * 8_000,
        "answer" + " " * 100_000,
        "answer to " * 10_000,
        "option A " * 10_000,
        "^{1" * 30_000,
        "\\text{" * 10_000,
        "10^{999999999}",
        "1e999999999",
        "\0" * 1000,
        "\ud800 5 \udfff",
        "\\frac{1}{" * 5_000,
        "a" * 100_000,
        "٣" * 5_000,
        "=" * 60_000,
        "\n" * 60_000,
        "a\u0301" * 30_000,
    ],
    ids=range(26),
)
@pytest.mark.parametrize("name", SIMPLE)
def test_hostile_texts_take_no_time_and_raise_nothing(name: str, text: str) -> None:
    began = time.process_time()
    key = answer_rule(name).read(text)
    assert time.process_time() - began < 2.0
    if key is not None:
        assert "\0" not in key
        key.encode()


def test_a_long_text_is_read_at_its_end() -> None:
    text = "\\boxed{5} " + "and so on " * (LONGEST_TEXT // 10) + " it is 7"
    assert answer_rule("auto").read(text) == "7"
    assert answer_rule("boxed").read(text) is None


_FRAGMENTS = st.sampled_from(
    [
        "\\boxed{",
        "}",
        "{",
        "the answer is ",
        "####",
        "1/2",
        "-",
        "^",
        "1e9",
        ".",
        ",",
        "yes",
        "(B)",
        "\n",
        "\\frac",
        "½",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_FRAGMENTS, st.text(max_size=8)), max_size=12).map("".join))
def test_reading_never_raises_and_an_answer_read_again_is_itself(text: str) -> None:
    for name in ("number", "choice", "yes_no"):
        key = answer_rule(name).read(text)
        assert key is None or answer_rule(name).read(key) == key, name
    for name in SIMPLE:
        rule = answer_rule(name)
        rule.accepted(text)
        rule.read(text)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(categories=["L", "M", "P", "Zs", "Cf"]), max_size=30))
def test_words_read_again_are_themselves(text: str) -> None:
    rule = answer_rule("words")
    key = rule.read(text)
    assert key is None or rule.read(key) == key


@settings(max_examples=100, deadline=None)
@given(st.fractions(max_denominator=10**6))
def test_every_fraction_is_read_as_itself(value: object) -> None:
    for name in ("auto", "number", "boxed", "last_line"):
        assert answer_rule(name).accepted(str(value)) == str(value)
    assert numbers(f"it is {value} km") == [value]


_PIECES = [
    "answer is ",
    "Answer:",
    "anſwer = ",
    "####",
    "# ",
    "İ",
    " ",
    "\n",
    "12",
    "-3",
    "1/2",
    "1,000",
    "½",
    "cm^2",
    "x",
    "e5",
    ".",
    "a7",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_what_is_tried_from_the_end_or_at_a_word_is_what_reading_from_the_start_finds(text: str) -> None:
    every = list(notation._NUMBER.finditer(notation._plain(text)))
    assert last_number(text) == (notation._value(every[-1]) if every else None)
    starts = [one.end() for one in notation._ANNOUNCED.finditer(text)][:-9:-1]
    said = list(announced(text))
    assert [text[at:].startswith(one) for at, one in zip(starts, said, strict=True)] == [True] * len(said)
