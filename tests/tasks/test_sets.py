"""The sets of questions that ask for steps: how many there are, their splits, and that their answers are right."""

import re
from collections import Counter
from hashlib import sha256

import pytest

from srlm.tasks.prompts import Prompt, load_prompts


def by_steps(question: str) -> int:
    """The value of a chain, a signed number at a time."""
    value = 0
    for sign, digits in re.findall(r"([+-]?)(\d+)", question):
        value += -int(digits) if sign == "-" else int(digits)
    return value


@pytest.mark.parametrize(("name", "least"), [("chains", 300), ("reasoning", 60)])
def test_a_set_is_large_distinct_and_a_third_of_every_kind_is_held_out(name: str, least: int) -> None:
    prompts = load_prompts(name)
    assert len(prompts) >= least
    assert len({p.text.casefold() for p in prompts}) == len(prompts)
    for kind, asked in Counter(p.columns["kind"] for p in prompts).items():
        held_out = sum(p.split == "held_out" for p in prompts if p.columns["kind"] == kind)
        assert 3 * held_out == asked, kind
    assert {p.split for p in prompts} == {"train", "held_out"}
    # A limit is a fixed first part, which must hold both.
    assert {p.split for p in load_prompts(name, limit=12)} == {"train", "held_out"}


def test_chains_are_well_formed_and_their_answers_right() -> None:
    for prompt in load_prompts("chains"):
        assert re.fullmatch(r"[1-9]\d(?:[+-][2-9]){3,6}\?", prompt.text)
        assert prompt.answers == (str(by_steps(prompt.text)),)
        assert prompt.answers == (str(eval(prompt.text[:-1])),), "Python's own arithmetic"


def test_the_rule_of_chains_reads_what_follows_the_last_mark_and_nothing_of_a_cut_response() -> None:
    (spec,) = {p.columns["answer_type"] for p in load_prompts("chains")}
    rule = re.compile(spec.removeprefix("regex:"))
    for text, read in (("21+7=28;-9=19;#19", "19"), ("19", "19"), ("21+7=28;-9=19;", None), ("21+7=28;-9=1", None)):
        found = rule.search(text)
        assert (found and found[1]) == read, text


def test_the_questions_of_the_package_are_of_those_that_training_kept_back() -> None:
    # benchmarks/tiny_reasoner.py trains on no question whose hash begins so; one in eight does by chance.
    assert all(sha256(p.text.encode()).digest()[0] < 32 for p in load_prompts("chains"))


def asked(answer_type: str) -> list[Prompt]:
    return [p for p in load_prompts("reasoning") if p.columns["answer_type"] == answer_type]


def test_reasoning_questions_ask_for_a_sentence_and_are_of_four_kinds_in_both_splits() -> None:
    prompts = load_prompts("reasoning")
    assert all("in one sentence" in p.text for p in prompts)
    kinds = {split: {p.columns["kind"] for p in prompts if p.split == split} for split in ("train", "held_out")}
    assert kinds["train"] == kinds["held_out"] == {"word problems", "yes or no", "comparisons", "choices"}


def test_no_number_asked_for_stands_in_its_question() -> None:
    # Working that only repeats the question must not be taken for an answer.
    for prompt in asked("number"):
        assert prompt.answers[0] not in re.findall(r"\d+", prompt.text), prompt.text


def test_yes_and_no_are_as_frequent() -> None:
    for split in ("train", "held_out"):
        counts = Counter(p.answers[0] for p in asked("yes_no") if p.split == split)
        assert counts["yes"] == counts["no"] == counts.total() / 2


def test_the_rule_of_a_choice_reads_the_first_thing_named_and_knows_what_is_offered() -> None:
    chosen = [p for p in load_prompts("reasoning") if p.columns["answer_type"].startswith("regex:")]
    assert len(chosen) == 30
    for prompt in chosen:
        rule = re.compile(prompt.columns["answer_type"].removeprefix("regex:"))
        things = rule.pattern.split("(")[-1].split(")")[0].split("|")
        assert prompt.answers[0] in things
        for first in things:
            for then in things:
                assert rule.findall(f"The {first.upper()}.\nIt is not the {then}.") == [first.upper()]
        # A day or a month is asked for by another one; anything else is offered in the question.
        if len(things) < 7:
            assert all(re.search(rf"\b{thing}\b", prompt.text) for thing in things), prompt.text
