"""Majority vote (TTRL, arXiv 2504.16084): share of responses with the same answer. Refuses to know: which is right."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from srlm.tasks.answers import answer_of


def majority_vote(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> Any:
    """The share of a prompt's responses that give the same answer, so a tie pays both sides the same.

    Answers are read by `srlm.tasks.answers`; a response without one gets 0.
    """
    keys = [json.dumps(prompt, sort_keys=True) for prompt in prompts]
    answers = [answer_of(one if isinstance(one, str) else one[-1]["content"]) for one in completions]
    votes, sizes = Counter(zip(keys, answers, strict=True)), Counter(keys)
    return [votes[key, answer] / sizes[key] if answer else 0.0 for key, answer in zip(keys, answers, strict=True)]
