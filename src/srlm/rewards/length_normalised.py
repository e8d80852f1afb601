"""Mean log-probability a token: long answers are not punished for being long. Refuses to know: what they say."""

from collections.abc import Sequence
from typing import Any


def length_normalised(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    *,
    logps: Sequence[float],
    completion_ids: Sequence[Sequence[int]],
    **_: Any,
) -> Any:
    """log pi_t(y|x) / |y| in nats a token. Departs from the theory: its optimum is not a power of pi_t."""
    return [value / max(1, len(tokens)) for value, tokens in zip(logps, completion_ids, strict=True)]
