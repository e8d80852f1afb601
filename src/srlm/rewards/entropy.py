"""Negative entropy: prefers responses along which the model was sure. Refuses to know: what they say."""

from collections.abc import Sequence
from typing import Any


def entropy(prompts: Sequence[Any], completions: Sequence[Any], *, entropies: Sequence[float | None], **_: Any) -> Any:
    """Minus the mean next-token entropy along the response, in nats, recorded while sampling; None for a response that
    was searched, not drawn.
    """
    return [None if value is None else -value for value in entropies]
