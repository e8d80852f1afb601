"""Majority vote (TTRL, arXiv 2504.16084): 1 for an answer that most responses to its prompt share."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")


def majority_vote(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> Any:
    """The share of a prompt's responses that give the same answer, so a tie pays both sides the same.

    The answer is the last number of a response where it has one, else its words in lower case without punctuation; an
    empty response has no answer, and its reward is 0.
    """
    keys = [json.dumps(prompt, sort_keys=True) for prompt in prompts]
    answers = [extract_answer(completion) for completion in completions]
    votes, sizes = Counter(zip(keys, answers, strict=True)), Counter(keys)
    return [votes[key, answer] / sizes[key] if answer else 0.0 for key, answer in zip(keys, answers, strict=True)]


def extract_answer(completion: Any) -> str:
    """The answer in a completion (a string, or messages)."""
    text = completion if isinstance(completion, str) else completion[-1]["content"]
    numbers = _NUMBER.findall(text)
    return numbers[-1].replace(",", "") if numbers else " ".join(re.findall(r"\w+", text.lower()))
