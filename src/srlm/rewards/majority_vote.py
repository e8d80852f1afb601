"""Majority vote (TTRL, arXiv 2504.16084): share of responses with the same answer. Refuses to know: which is right."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from srlm.tasks.answers import ANSWER_RULES


def majority_vote(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    *,
    searched: Sequence[bool] | None = None,
    given_answers: Sequence[str | None] = (),
    **_: Any,
) -> Any:
    """The share of a prompt's samples that give the same answer, so a tie pays both sides the same.

    `given_answers` are those that the run's rule read; where it read none, rule `auto` of `srlm.tasks.answers` does.
    A response without one gets 0. What was `searched`, not drawn, is paid like the samples with its answer, and has
    no vote.
    """
    keys, answers = [json.dumps(prompt, sort_keys=True) for prompt in prompts], given_answers
    if not any(answers):
        texts = [one if isinstance(one, str) else one[-1]["content"] for one in completions]
        answers = ANSWER_RULES["auto"].keys(texts)
    drawn = [True] * len(keys) if searched is None else [not one for one in searched]
    votes = Counter(pair for pair, votes in zip(zip(keys, answers, strict=True), drawn, strict=True) if votes)
    sizes = Counter(key for key, votes in zip(keys, drawn, strict=True) if votes)
    return [votes[key, answer] / sizes[key] if answer else 0.0 for key, answer in zip(keys, answers, strict=True)]
