"""Several processes, one run: who does which prompts, who writes, and how an error reaches everyone.

Knows: accelerate's collectives. Prompts are dealt out round robin; what is computed of them is gathered in order, so
that every process holds what a single one would. Only the main process writes; the others wait for it, and an error
there is raised everywhere, because a process that waits for one that has given up waits for ever. Refuses to know:
what is computed.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

# What gloo says; NCCL's complaints have a type of their own.
_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Timed out waiting")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def is_main_process() -> bool:
    """Whether this is the process that writes, before accelerate has been asked (its launcher sets RANK)."""
    return os.environ.get("RANK", "0") == "0"


def is_lost_process(error: BaseException) -> bool:
    """Whether the exception says that another process did not answer any more."""
    import torch.distributed as dist  # here and below: one process alone needs no torch

    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in _LOST)
    )


class Processes:
    """The processes of this run.

    Args:
        rank, count: which one this is, of how many.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count

    @property
    def main(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, items: Sequence[_Item]) -> list[_Item]:
        """This process's part of the items."""
        return list(items[self.rank :: self.count])

    def gather(self, work: Callable[[], Sequence[_Item]]) -> list[_Item]:
        """What all processes make of their shares, in the order of the items, on every process.

        Raises:
            Exception: what `work` raised on any of them.
        """
        if self.count == 1:
            return list(work())
        import torch.distributed as dist

        own: list[Any] = [None, None]
        try:
            own[0] = list(work())
        except Exception as error:
            own[1] = error
        parts: list[Any] = [None] * self.count
        dist.all_gather_object(parts, own)
        for _, error in parts:
            if error is not None:
                raise error
        total = sum(len(values) for values, _ in parts)
        return [parts[at % self.count][0][at // self.count] for at in range(total)]

    def on_main(self, work: Callable[[], _Result]) -> _Result:
        """Do something once, on the main process; the others wait and receive its result.

        Raises:
            Exception: what `work` raised, on every process.
        """
        if self.count == 1:
            return work()
        import torch.distributed as dist

        told: list[Any] = [None, None]
        if self.main:
            try:
                told[0] = work()
            except Exception as error:
                told[1] = error
        dist.broadcast_object_list(told, src=0)
        if told[1] is not None:
            raise told[1]
        return told[0]
