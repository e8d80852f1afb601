"""One prompt of a diagnosis from plain values: what is said of it follows from rollout and bracket alone."""

import math
from typing import Any

import pytest

from srlm.measure.prompt import diagnose_prompt, sample_facts
from srlm.records.diagnosis import PromptDiagnosis
from srlm.records.responses import Complete, ModeBracket, Response, Rollout
from srlm.tasks.prompts import Prompt


def response(token: int, logprob: float, correct: bool | None = None, ended: bool = True) -> Response:
    return Response(Complete((token, 0) if ended else (token,), logprob, ended), f"w{token}", correct, 2.0, 0.0)


def diagnosed(*samples: Response, greedy: Response, answers: tuple[str, ...] = (), **bracket: Any) -> PromptDiagnosis:
    known = {"logprob_lower": -1.0, "logprob_upper": -1.0, "certified": True, "margin_lower": 0.5} | bracket
    best = (response(1, -1.0, True),)
    prompt = Prompt("Why?", answers=answers, columns={"kind": 7})
    return diagnose_prompt(prompt, Rollout(0, samples), ModeBracket(best, greedy=greedy, **known))


def test_every_way_of_answering_is_judged_by_its_own_response() -> None:
    one = diagnosed(
        response(1, -1.0, True), response(2, -2.0, False), response(2, -2.0, False), response(3, -3.0, False),
        greedy=response(2, -2.0, False), answers=("w1",),
    )  # fmt: skip
    assert (one.mode_correct, one.greedy_correct, one.best_of_n_correct, one.majority_correct) == (
        True, False, True, False
    )  # fmt: skip
    assert one.sample_accuracy == 0.25
    assert (one.answer, one.group) == ("w1", "7")
    assert (one.samples.count, one.samples.distinct, one.samples.self_reward_mean) == (4, 3, -2.0)


def test_answers_keep_their_form_and_an_infinite_margin_is_none_with_its_reason() -> None:
    sample = response(1, -1.0)
    assert diagnosed(sample, greedy=sample).answer is None
    one = diagnosed(sample, greedy=sample, answers=("a", "b"), margin_lower=math.inf)
    assert one.answer == ("a", "b")
    assert one.margin_lower is None
    assert "no other response" in (one.margin_note or "")


@pytest.mark.parametrize(
    ("token", "logprob", "bracket", "expected"),
    [
        (1, -1.0, {}, True),
        (2, -2.0, {}, False),
        (2, -1.0, {}, True),  # as likely as the mode
        (2, -1.0, {"certified": False, "logprob_upper": 0.0}, None),
        # A response 0.3 nats below may be the mode where each may be off by 0.2, and is not where each may by 0.1.
        (2, -1.3, {"logprob_lower": -1.2, "widening": 0.2, "certified": False}, None),
        (2, -1.3, {"logprob_lower": -1.1, "widening": 0.1}, False),
    ],
)
def test_greedy_is_the_mode_where_nothing_can_be_likelier(
    token: int, logprob: float, bracket: dict[str, Any], expected: bool | None
) -> None:
    assert diagnosed(response(1, -1.0), greedy=response(token, logprob), **bracket).greedy_is_mode is expected


def test_facts_of_several_prompts_are_those_of_all_their_samples() -> None:
    facts = sample_facts([
        Rollout(0, (response(1, -1.0), response(1, -1.0))), Rollout(1, (response(1, -4.0, ended=False),))
    ])  # fmt: skip
    assert facts.count == 3
    assert facts.distinct == 2  # the same text to another prompt is another response
    assert (facts.mean_tokens, facts.cut_share) == (pytest.approx(5 / 3), pytest.approx(1 / 3))
    assert facts.self_reward_mean == -2.0
