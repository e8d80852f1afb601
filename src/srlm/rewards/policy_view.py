"""What a reward may ask of the policy being trained: the log-probability of any continuation of any text.

Knows: tokens in, nats out. A reward receives one by naming the parameter `policy`; functions written for trl do not
name it and never see it. Refuses to know: which model it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from srlm.records.responses import TokenGroup


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The policy that drew the responses, for scoring only.

    Attributes:
        tokenizer: its tokenizer.
        logprobs: (prompt, continuations) groups of token ids -> the summed log-probability of every continuation
            (nats); what prompts share is computed once.
        context_length: most tokens of prompt and continuation together, or None where the model states no limit.
    """

    tokenizer: Any
    logprobs: Callable[[Sequence[TokenGroup]], list[list[float]]]
    context_length: int | None = None
