"""The frozen base model as the judge: log pi_0, not log pi_t. Refuses to know: the policy as training changes it."""

from collections.abc import Sequence
from typing import Any


def base_log_probability(
    prompts: Sequence[Any], completions: Sequence[Any], *, base_logps: Sequence[float], **_: Any
) -> Any:
    """log pi_0(y|x), summed over tokens, in nats: a control, or an anchor; every round tilts towards the same judge.

    Departs from the theory: after t rounds the policy is pi_0^(1 + t/beta), not pi_0^(s^t).
    """
    return list(base_logps)
