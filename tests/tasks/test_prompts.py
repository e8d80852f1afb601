"""Reading prompts: every format, every mistake named with its line."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import load_model
from srlm.tasks.prompts import as_prompts, load_prompts


def write(path: Path, *records: Any) -> str:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records), encoding="utf-8")
    return str(path)


def test_bundled_questions_are_many_varied_and_a_third_held_out() -> None:
    prompts = load_prompts()
    assert len(prompts) >= 64
    assert len({p.text for p in prompts}) == len(prompts)
    kinds = Counter(p.columns["kind"] for p in prompts)
    assert len(kinds) >= 6
    assert sum(p.split == "held_out" for p in prompts) == len(prompts) // 3
    assert {p.columns["kind"] for p in prompts if p.split == "held_out"} == set(kinds)
    assert all(p.grade(p.answers[0]) for p in prompts)
    assert not any(p.grade("zzz") for p in prompts)


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
        ([""], "holds no prompts"),
    ],
)
def test_malformed_files_name_the_line(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_prompts(write(tmp_path / "p.jsonl", *lines))


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
