"""Self-certainty (Kang et al., arXiv 2502.18581): mean KL(uniform || next token). Refuses to know: what was said."""

from collections.abc import Sequence
from typing import Any


def self_certainty(
    prompts: Sequence[Any], completions: Sequence[Any], *, self_certainties: Sequence[float | None], **_: Any
) -> Any:
    """Mean over tokens of KL(uniform || pi_t(.|prefix)), in nats, recorded while sampling; None where nothing was."""
    return list(self_certainties)
