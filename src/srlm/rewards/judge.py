"""The model as its own judge (Yuan et al., arXiv 2401.10020): an additive 5-point rubric, scored in expectation.

Knows: the rubric and the six scores. Nothing is generated and nothing is parsed: the score is the expectation over
the probabilities of the continuations "0" to "5", so it always exists, and it moves when the judge's mind moves, not
only when its most likely digit does. Refuses to know: how a policy continues a text.
"""

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from srlm.errors import InputError
from srlm.records.responses import TokenGroup
from srlm.rewards.policy_view import PolicyView

# The rubric comes first, so that in the packed prefix tree it is computed once for all responses.
RUBRIC = """Review the user's question and the response to it with an additive 5-point scoring system:
- Add 1 point if the response is relevant and gives some information related to the question.
- Add another point if it addresses a substantial part of the question.
- Add a third point if it answers the basic elements of the question in a useful way.
- Add a fourth point if it is correct, clearly written and to the point.
- Add a fifth point if it is exactly what was asked for, without anything wrong or superfluous.

Question: {question}

Response: {response}

Give the total score, one number from 0 to 5."""
SCORES = range(6)
_ANSWER = "Score: "


def judge(
    prompts: Sequence[Any], completions: Sequence[Any], *, policy: PolicyView, log_metric: Any = None, **_: Any
) -> list[float]:
    """E[score] in [0, 5] under the policy's own probabilities of the six scores, normalised over them.

    Args:
        prompts, completions: strings or chat messages.
        policy: the policy that drew the responses, here as the judge.
        log_metric: is told `judge/score_mass`, the mean probability that the judge gives to the six scores together
            (near 0 it does not understand the task, and the expectation says little).

    Raises:
        InputError: the tokenizer cannot tell the scores apart, or a judged response does not fit the context.
    """
    opening, scores = _score_tokens(policy.tokenizer)
    asked = [
        RUBRIC.format(question=_text(prompt), response=_text(completion))
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    # The same response to the same prompt is judged once.
    distinct = list(dict.fromkeys(asked))
    groups: list[TokenGroup] = [(_encode(policy.tokenizer, text) + opening, scores) for text in distinct]
    longest = max(len(prompt) for prompt, _ in groups) + max(map(len, scores))
    if policy.context_length is not None and longest > policy.context_length:
        raise InputError(
            f"judging needs {longest} tokens, more than the model's context of {policy.context_length}; "
            "use shorter prompts or another reward"
        )
    found, masses = {}, []
    for text, logprobs in zip(distinct, policy.logprobs(groups), strict=True):
        top = max(logprobs)
        weights = [math.exp(value - top) for value in logprobs]
        found[text] = sum(k * weight for k, weight in zip(SCORES, weights, strict=True)) / sum(weights)
        masses.append(math.exp(top) * sum(weights))
    if log_metric is not None:
        log_metric("judge/score_mass", sum(masses) / len(masses))
    return [found[text] for text in asked]


def _score_tokens(tokenizer: Any) -> tuple[list[int], list[list[int]]]:
    """How the answer opens, and the tokens of each score after that; tokenised together, because some tokenizers join
    a digit with the space before it.
    """
    whole = [tokenizer.encode(f"{_ANSWER}{score}", add_special_tokens=False) for score in SCORES]
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*whole, strict=False)))
    opening, scores = list(whole[0][:shared]), [list(ids[shared:]) for ids in whole]
    if not all(scores) or len({tuple(ids) for ids in scores}) < len(SCORES):
        raise InputError("the reward judge needs a tokenizer that tells the digits 0 to 5 apart; use another reward")
    return opening, scores


def _encode(tokenizer: Any, text: str) -> list[int]:
    if not tokenizer.chat_template:
        return list(tokenizer(text + "\n")["input_ids"])
    messages = [{"role": "user", "content": text}]
    return list(
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)[
            "input_ids"
        ]
    )


def _text(given: Any) -> str:
    return given if isinstance(given, str) else "\n".join(str(message["content"]) for message in given)
