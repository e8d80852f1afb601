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
    entropies: Sequence[float | None] | None = None,
    answers: Sequence[str | None] | None = None,
    **_: Any,
) -> Any:
    """The share of a prompt's samples that give the same answer, so a tie pays both sides the same.

    `answers` are those that the run's rule read, else the rule `auto` of `srlm.tasks.answers` reads them; a response
    without one gets 0. What was searched, not drawn (it has no entropy), is paid like the samples with its answer, and
    has no vote.
    """
    keys = [json.dumps(prompt, sort_keys=True) for prompt in prompts]
    if answers is None:
        answers = ANSWER_RULES["auto"].keys(
            [one if isinstance(one, str) else one[-1]["content"] for one in completions]
        )
    drawn = [True] * len(keys) if entropies is None else [value is not None for value in entropies]
    votes = Counter(pair for pair, votes in zip(zip(keys, answers, strict=True), drawn, strict=True) if votes)
    sizes = Counter(key for key, votes in zip(keys, drawn, strict=True) if votes)
    return [votes[key, answer] / sizes[key] if answer else 0.0 for key, answer in zip(keys, answers, strict=True)]
