"""Answers of whole rollouts: marks, the rule of a prompt, what its rule cannot read; and the vote over answers."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from srlm.errors import InputError
from srlm.records.responses import Response, Rollout
from srlm.rewards.majority_vote import majority_vote
from srlm.tasks.answers import answer_rule
from srlm.tasks.prompts import Prompt, load_prompts
from srlm.tasks.readable import require_answers, require_readable, unreadable_share

AUTO = answer_rule("auto")


def rollout(*texts: str | None, greedy: str | None = None) -> Rollout:
    return Rollout(0, tuple(Response(None, text) for text in texts), None if greedy is None else Response(None, greedy))


def seen(one: Rollout) -> list[tuple[str | None, bool | None]]:
    responses: Sequence[Response] = [*one.responses, *([one.greedy] if one.greedy else [])]
    return [(response.answer, response.correct) for response in responses]


def test_a_response_is_right_where_its_answer_is_an_accepted_one() -> None:
    prompt = Prompt("2+2?", answers=("4.0", "four"))
    drawn = rollout("it is 4", "four", "5", "", None, greedy="4/1")
    assert seen(prompt.answered_rollout(drawn, AUTO)) == [
        ("4", True), ("four", True), ("5", False), (None, False), (None, None), ("4", True),
    ]  # fmt: skip


def test_where_no_answer_is_known_the_judge_decides_or_nobody() -> None:
    drawn = rollout("yes", "no")
    assert seen(Prompt("x").answered_rollout(drawn, AUTO)) == [("yes", None), ("no", None)]
    judged = Prompt("x", judge=lambda text: text == "no")
    assert seen(judged.answered_rollout(drawn, AUTO)) == [("yes", False), ("no", True)]


def test_a_prompt_is_read_by_its_own_rule(tmp_path: Path) -> None:
    source = tmp_path / "p.jsonl"
    rows = [{"prompt": "a", "answer": "b", "answer_type": "choice"}, {"prompt": "c", "answer": "5"}]
    source.write_text("\n".join(map(json.dumps, rows)))
    first, second = load_prompts(str(source), held_out=0)
    assert (first.rule, second.rule) == (answer_rule("choice"), None)
    assert seen(first.answered_rollout(rollout("The answer is (B) 5"), AUTO)) == [("B", True)]
    assert seen(second.answered_rollout(rollout("The answer is (B) 5"), answer_rule("number"))) == [("5", True)]
    source.write_text(json.dumps(rows[0]) + "\n" + json.dumps(rows[1] | {"answer_type": "code"}))
    with pytest.raises(InputError, match=r"line 2: answer rule 'code': programs"):
        load_prompts(str(source))


def test_equal_mathematics_earns_the_mark_of_the_accepted_answer() -> None:
    prompt = Prompt("?", answers=("1+x",))
    read = prompt.answered_rollout(rollout("\\boxed{x+1}", "\\boxed{x+1}", "\\boxed{x-1}"), answer_rule("math"))
    assert seen(read) == [("1+x", True), ("1+x", True), ("x-1", False)]


def test_answers_that_no_rule_can_read_are_named_before_work_starts() -> None:
    prompts = [Prompt("What is 2+2?", answers=("four", "4")), Prompt("Capital of France?", answers=("Paris",))]
    require_readable(prompts, AUTO)
    with pytest.raises(InputError, match=r"'Paris' of the prompt 'Capital of France\?'.*'number'; so it is at 1 of 2"):
        require_readable(prompts, answer_rule("number"))


def test_a_rule_that_reads_less_than_half_stops_with_three_examples() -> None:
    rule, prompt = answer_rule("number"), Prompt("x")
    half = [prompt.answered_rollout(rollout("one", "2"), rule)]
    assert unreadable_share(half) == 0.5
    require_answers(half, rule)
    most = [prompt.answered_rollout(rollout("one", "two", "3", "four", "x" * 200), rule)]
    with pytest.raises(InputError, match=r"no answer in 80% of the responses, such as 'one', 'two', 'four'; give") as e:
        require_answers(most, rule)
    assert "xxx" not in str(e.value)
    require_answers(most, rule, go_on=True)
    assert unreadable_share([]) == 0.0


def test_the_vote_counts_the_answers_that_were_read_else_reads_them() -> None:
    prompts, texts = ["p"] * 4, ["5", "it is 5.0", "6", ""]
    assert majority_vote(prompts, texts) == [0.5, 0.5, 0.25, 0.0]
    assert majority_vote(prompts, texts, answers=["A", "B", "B", None]) == [0.25, 0.5, 0.5, 0.0]
