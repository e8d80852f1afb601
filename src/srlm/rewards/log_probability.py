"""The self-reward of the theory: r(x, y) = log pi_t(y|x), summed over tokens (eq. 1). Refuses to know: texts."""

from collections.abc import Sequence
from typing import Any


def log_probability(prompts: Sequence[Any], completions: Sequence[Any], *, logps: Sequence[float], **_: Any) -> Any:
    """The log-probability recorded while sampling, in nats; free (P1)."""
    return list(logps)
