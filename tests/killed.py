"""A process that is killed just before its n-th change of a folder: forked, so that a case costs no imports."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Python announces these before it does them; an open counts where it may change something.
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.link", "os.symlink")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def killed_before(number: int, folder: Path, work: Callable[[], Any]) -> bool:
    """Whether `work()`, in a forked process, came to a `number`-th change of something in `folder`, at which it was
    killed.

    Raises:
        AssertionError: it failed of itself.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            _kill_at(number, str(folder))
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed of itself; its traceback is above"
    return False


def _kill_at(number: int, folder: str) -> None:
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "open":
            path, mode, flags = arguments
            changes = isinstance(path, str | bytes | os.PathLike) and (
                bool(flags & _WRITES)
                if isinstance(flags, int) and mode is None
                else any(x in str(mode) for x in "wax+")
            )
        elif event in _CHANGES:
            path, changes = arguments[0], True
        else:
            return
        if changes and os.fsdecode(path).startswith(folder):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
