"""Log-probability of the answer (P10), from counts. Refuses to know: which answer is right, how answers are read."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any


def answer(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    *,
    given_answers: Sequence[str | None],
    searched: Sequence[bool] | None = None,
    **_: Any,
) -> list[float | None]:
    """log(c_a/K): a the answer of a response, c_a its count among the K samples of the prompt that have one.

    A response without an answer gets None. What was `searched`, not drawn, has no vote, and no reward where nothing
    drawn has its answer.
    """
    keys = [json.dumps(prompt, sort_keys=True) for prompt in prompts]
    drawn = [True] * len(keys) if searched is None else [not one for one in searched]
    pairs = list(zip(keys, given_answers, strict=True))
    votes = Counter(pair for pair, counts in zip(pairs, drawn, strict=True) if counts and pair[1] is not None)
    sizes: Counter[str] = Counter()
    for (key, _answer), count in votes.items():
        sizes[key] += count
    return [math.log(votes[pair] / sizes[pair[0]]) if votes[pair] else None for pair in pairs]
