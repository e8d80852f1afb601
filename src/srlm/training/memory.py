"""Out of memory: how it is recognised, and what to lower.

Knows: what torch raises on a GPU and on a CPU, and which settings change the memory a stage needs but not what a run
computes, so that a run can go on with them. Refuses to know: how much a setting saves.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from transformers import TrainingArguments

from srlm.training.processes import Processes, is_lost_process
from srlm.training.settings import RunSettings

# transformers 5 renamed it on the way; the old name warns where the new one is known.
_NAMES = ("activation_checkpointing", "gradient_checkpointing")
RECOMPUTE = next(name for name in _NAMES if name in {f.name for f in fields(TrainingArguments)})
RECOMPUTE_SETTINGS = frozenset({*_NAMES, *(f"{name}_kwargs" for name in _NAMES)})
_STEP = ("per_device_train_batch_size", "gradient_accumulation_steps")
_SIGNS = ("not enough memory", "can't allocate memory", "out of memory")


def explanation(args: Any, processes: Processes, error: BaseException, number: int, stage: str) -> str | None:
    """What an error in a stage of a round means to the user; None for one that says itself what it is.

    Args:
        args: the run's `SelfRewardingConfig`.
        processes: that share the work.
        error, number, stage: what was raised, in which round's which stage.
    """
    if is_out_of_memory(error):
        return what_to_lower(stage, number, args)
    if processes.count > 1 and is_lost_process(error):
        return (
            f"another process of this run ended in round {number} ({stage}); what it said last tells why; go on with "
            "--resume: what was finished is kept"
        )
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the exception says that there was no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def what_to_lower(stage: str, number: int, args: Any) -> str:
    """One sentence for the user: where memory ran out, and what to set before going on.

    Args:
        stage: "sample", "certify", "train" or "save".
        number: of the round.
        args: the run's `SelfRewardingConfig`.
    """
    if stage == "train":
        batch, steps = args.per_device_train_batch_size, args.gradient_accumulation_steps
        advice = f"lower per_device_train_batch_size ({batch}) and raise gradient_accumulation_steps ({steps}) as much"
        if not getattr(args, RECOMPUTE):
            advice += f", or set {RECOMPUTE}"
    elif stage == "sample":
        advice = f"lower rows_per_pass ({args.rows_per_pass})"
    else:
        advice = "use a machine with more memory, or a dtype that takes less"
    return (
        f"memory ran out in round {number} ({stage}); {advice}, and go on with --resume: what was finished is kept, "
        "and the result stays the same up to rounding"
    )


def same_step(before: Mapping[str, Any], now: Mapping[str, Any]) -> frozenset[str]:
    """The settings that cut an optimiser step into passes, where both configurations give it as many prompts: no
    difference.
    """

    def prompts(configuration: Mapping[str, Any]) -> int:
        return configuration.get(_STEP[0], RunSettings.per_device_train_batch_size) * configuration.get(_STEP[1], 1)

    return frozenset(_STEP) if prompts(before) == prompts(now) else frozenset()
