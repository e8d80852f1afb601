"""Self-certainty (Kang et al., arXiv 2502.18581): KL from uniform to the model's next-token distribution, averaged."""

from collections.abc import Sequence
from typing import Any


def self_certainty(
    prompts: Sequence[Any], completions: Sequence[Any], *, self_certainties: Sequence[float], **_: Any
) -> Any:
    """Mean over tokens of KL(uniform || pi_t(.|prefix)), in nats, recorded while sampling."""
    return list(self_certainties)
