"""Negative entropy: prefers responses along which the model was sure. Refuses to know: what they say."""

from collections.abc import Sequence
from typing import Any


def entropy(prompts: Sequence[Any], completions: Sequence[Any], *, entropies: Sequence[float], **_: Any) -> Any:
    """Minus the mean next-token entropy along the response, in nats, recorded while sampling."""
    return [-value for value in entropies]
