"""Rewards that were recorded while sampling: probabilities of a response, and how sure the model was along it.

Each is a list with one entry a response, in nats. Refuses to know: texts.
"""

from collections.abc import Sequence
from typing import Any


def log_probability(prompts: Sequence[Any], completions: Sequence[Any], *, logps: Sequence[float], **_: Any) -> Any:
    """The self-reward of the theory, r(x, y) = log pi_t(y|x), summed over tokens (eq. 1), in nats; free (P1)."""
    return list(logps)


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


def base_log_probability(
    prompts: Sequence[Any], completions: Sequence[Any], *, base_logps: Sequence[float], **_: Any
) -> Any:
    """log pi_0(y|x), summed over tokens, in nats: a control, or an anchor; every round tilts towards the same judge.

    Departs from the theory: after t rounds the policy is pi_0^(1 + t/beta), not pi_0^(s^t).
    """
    return list(base_logps)


def entropy(prompts: Sequence[Any], completions: Sequence[Any], *, entropies: Sequence[float | None], **_: Any) -> Any:
    """Minus the mean next-token entropy along the response, in nats, recorded while sampling; None for a response that
    was searched, not drawn.
    """
    return [None if value is None else -value for value in entropies]


def self_certainty(
    prompts: Sequence[Any], completions: Sequence[Any], *, self_certainties: Sequence[float | None], **_: Any
) -> Any:
    """Mean over tokens of KL(uniform || pi_t(.|prefix)), in nats, recorded while sampling; None where nothing was."""
    return list(self_certainties)
