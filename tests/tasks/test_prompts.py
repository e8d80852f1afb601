"""Reading prompts: every format, every mistake named with its line."""

import json
import re
from collections import Counter
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import load_model
from srlm.tasks.notation import numbers, words
from srlm.tasks.prompts import Prompt, as_prompts, load_prompts, without_gate
from srlm.tasks.unrelated import unrelated_text

# Of the questions that the package began with, as they stand in its file.
_FIRST_72 = "2bd827de00ee5d3b7299795f4c5a69ddfd96d75cbd8de6a879eccbb2ba82dd21"


def write(path: Path, *records: Any) -> str:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records), encoding="utf-8")
    return str(path)


def test_bundled_questions_are_many_and_varied_in_every_split() -> None:
    prompts = load_prompts()
    assert len(prompts) >= 200
    assert len({p.text.casefold() for p in prompts}) == len(prompts)
    splits = Counter(p.split for p in prompts)
    assert (splits["train"], splits["held_out"]) == (48, 48)
    assert splits["gate"] >= 104
    for split in splits:
        kinds = Counter(p.columns["kind"] for p in prompts if p.split == split)
        assert len(kinds) == 9, split
        assert max(kinds.values()) - min(kinds.values()) <= 2, (split, kinds)
    assert all(p.grade(answer) for p in prompts for answer in p.answers)
    # Neither nonsense nor the question said again is right, except where the question offers its answer.
    assert not any(p.grade("zzz") or p.grade(p.text) for p in prompts if not _offers(p))


def test_a_bundled_choice_offers_its_answer_once_and_nothing_else_that_is_right() -> None:
    for prompt in filter(_offers, load_prompts()):
        offered = re.findall(r"(\w+) or (\w+)", prompt.text)[0]
        assert sum(bool(prompt.grade(word)) for word in offered) == 1, prompt.text


def test_the_first_bundled_questions_are_those_that_earlier_runs_were_given() -> None:
    # Records, benchmarks and `--limit` rest on them: their text, in order, is theirs for good.
    lines = (files("srlm.tasks") / "data" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    assert sha256("\n".join(lines[:72]).encode()).hexdigest() == _FIRST_72
    assert Counter(p.split for p in load_prompts(limit=72)) == {"train": 48, "held_out": 24}
    assert {p.split for p in load_prompts()[72:96]} == {"held_out"}
    assert {p.split for p in load_prompts()[96:]} == {"gate"}


def test_bundled_arithmetic_is_right() -> None:
    # By Python's own arithmetic; an answer that is an operand would be read out of any working that repeats it.
    sign = {"plus": "+", "minus": "-", "times": "*"}
    asked = [p for p in load_prompts() if p.columns["kind"] == "arithmetic"]
    assert len(asked) >= 20
    for prompt in asked:
        left, what, right = prompt.text.removeprefix("What is ").split("?")[0].split()
        assert str(eval(left + sign[what] + right)) == prompt.answers[0], prompt.text
        assert prompt.answers[0] not in (left, right), prompt.text


def test_prompts_for_the_gate_are_read_and_can_be_left_out(tmp_path: Path) -> None:
    rows = [{"prompt": f"question {n}", "split": split} for n, split in enumerate(("gate", "train", "held_out"))]
    prompts = load_prompts(write(tmp_path / "p.jsonl", *rows))
    assert [p.split for p in prompts] == ["gate", "train", "held_out"]
    assert [p.text for p in without_gate(prompts)] == ["question 1", "question 2"]
    assert [p.text for p in without_gate(as_prompts(rows))] == ["question 1", "question 2"]


def test_the_unrelated_page_is_prose_and_shares_no_question_with_the_prompts() -> None:
    text = unrelated_text()
    assert 600 <= len(text.split()) <= 900
    assert len(text.strip().split("\n\n")) >= 6
    assert numbers(text) == []
    colours = {answer for p in load_prompts() if p.columns["kind"] == "colours" for answer in p.answers}
    places = {answer for p in load_prompts() if p.columns["kind"] in ("capitals", "countries") for answer in p.answers}
    assert not set(words(text)) & {word for answer in colours | places for word in words(answer)}
    assert text == unrelated_text()


def _offers(prompt: Prompt) -> bool:
    """Whether a prompt names its answer among others."""
    return prompt.columns["kind"] in ("colours", "yes-no")


def test_a_limit_is_a_fixed_subset() -> None:
    assert [p.text for p in load_prompts(limit=10)] == [p.text for p in load_prompts()[:10]]


def test_json_lines_take_strings_messages_answers_and_other_fields(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
    source = write(
        tmp_path / "p.jsonl",
        {"prompt": "Hello", "split": "train", "topic": "greeting"},
        "",
        {"prompt": messages, "answer": 4, "split": "held_out"},
    )
    first, second = load_prompts(source)
    assert (first.content, first.answers, first.grade("x")) == ("Hello", (), None)
    assert first.columns["topic"] == "greeting"
    assert (second.text, second.answers, second.split) == ("2+2?", ("4",), "held_out")
    assert second.grade("It is 4") is True


def test_prompts_without_splits_are_held_out_by_seed(tmp_path: Path) -> None:
    source = write(tmp_path / "p.jsonl", *({"prompt": f"question {n}"} for n in range(20)))
    splits = [p.split for p in load_prompts(source, held_out=0.25, seed=1)]
    assert splits.count("held_out") == 5
    assert splits == [p.split for p in load_prompts(source, held_out=0.25, seed=1)]
    assert splits != [p.split for p in load_prompts(source, held_out=0.25, seed=2)]
    assert {p.split for p in load_prompts(source, held_out=0)} == {"train"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{not json"], "line 1 is not JSON"),
        ([{"prompt": "a"}, {"question": "b"}], "line 2 has no `prompt`"),
        ([{"prompt": "a"}, "", {"prompt": "  "}], "line 3: the prompt is empty"),
        ([{"prompt": 3}], "line 1: the prompt is neither"),
        ([{"prompt": [{"role": "user"}]}], "line 1: a chat message needs"),
        ([{"prompt": [{"role": "user", "content": ""}]}], "line 1: the last message is empty"),
        ([{"prompt": "a", "answer": {"x": 1}}], "line 1: the answer is"),
        ([{"prompt": "a", "answer": True}], "line 1: the answer is"),
        ([{"prompt": "a", "split": "test"}], "line 1: split is 'test'"),
        ([{"prompt": "a", "split": "held_out"}], "every prompt of"),
        ([{"prompt": "a", "split": "held_out"}, {"prompt": "b", "split": "gate"}], "every prompt of"),
        ([""], "holds no prompts"),
    ],
)
def test_malformed_files_name_the_line(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_prompts(write(tmp_path / "p.jsonl", *lines))


def test_only_ends_of_lines_end_lines_whatever_system_wrote_the_file(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes('\ufeff{"prompt": "a\u2028b"}\r\n\r\n{"prompt": "c\u0085d"}\r\n'.encode())
    assert [one.content for one in load_prompts(str(path), held_out=0)] == ["a\u2028b", "c\u0085d"]
    path.write_text('{"prompt": ' + "[" * 100_000, encoding="utf-8")
    with pytest.raises(InputError, match="line 1 is not JSON"):
        load_prompts(str(path))


def test_missing_files_unknown_tasks_and_wrong_shares_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_prompts(str(tmp_path / "missing.jsonl"))
    with pytest.raises(InputError, match="has no task 'nothing'"):
        load_prompts("reasoning_gym:nothing")
    with pytest.raises(InputError, match=r"held-out share is 1.*"):
        load_prompts(held_out=1.0)
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load_prompts(str(tmp_path / "binary.jsonl"))


def test_reasoning_gym_tasks_judge_with_their_own_scorer() -> None:
    prompts = load_prompts("reasoning_gym:basic_arithmetic", limit=6, seed=3)
    assert len(prompts) == 6
    assert all(p.grade(p.answers[0]) for p in prompts)
    assert not any(p.grade("nonsense") for p in prompts)
    assert [p.text for p in prompts] == [
        p.text for p in load_prompts("reasoning_gym:basic_arithmetic", limit=6, seed=3)
    ]


@pytest.mark.parametrize(("task", "single"), [("chain_sum", True), ("gsm_symbolic", True), ("countdown", False)])
def test_a_reasoning_gym_answer_is_accepted_where_it_is_the_only_one(task: str, single: bool) -> None:
    prompts = load_prompts(f"reasoning_gym:{task}", limit=4)
    # Of countdown any expression of the right value will do, so that only its scorer knows.
    assert all(len(p.answers) == single and p.judge for p in prompts)
    assert all(re.fullmatch(r"-?\d+", answer) for p in prompts for answer in p.answers)


def test_encoding_applies_the_chat_template_unless_raw(tiny_model_folder: Path) -> None:
    loaded = load_model(str(tiny_model_folder))
    prompts = as_prompts([{"prompt": "w1 w2"}, {"prompt": [{"role": "user", "content": "w3"}]}])
    read = [loaded.tokenizer.decode(ids) for ids in encode_prompts(prompts, loaded, max_new_tokens=4)]
    assert read == ["user w1 w2 assistant", "user w3 assistant"]
    assert loaded.tokenizer.decode(encode_prompts(prompts, loaded, max_new_tokens=4, raw=True)[0]) == "w1 w2"


def test_prompts_longer_than_the_context_are_all_named(tiny_model_folder: Path) -> None:
    loaded = load_model(str(tiny_model_folder))
    prompts = as_prompts([{"prompt": "w1 " * 200}, {"prompt": "w1"}, {"prompt": "w2 " * 126}])
    with pytest.raises(InputError, match=r"prompt 1 has 202 tokens.*; prompt 3 has 128"):
        encode_prompts(prompts, loaded, max_new_tokens=4)


def test_messages_need_a_chat_template(tiny_model_folder: Path) -> None:
    loaded = load_model(str(tiny_model_folder))
    loaded.tokenizer.chat_template = None
    with pytest.raises(InputError, match="no chat template"):
        encode_prompts(as_prompts([{"prompt": [{"role": "user", "content": "w3"}]}]), loaded, max_new_tokens=4)
