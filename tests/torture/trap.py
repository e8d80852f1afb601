"""The trap of `trap.c` from Python: at which call a process dies, or is told that the disk is full.

It must be loaded before Python is (`with_trap`), and is compiled with the machine's `cc`; without one (`loaded` says
so) nothing native can be caught, and cases that need it are not tried.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.torture.case import Ended

# Kinds of calls.
CREATE, WRITE, RENAME, REMOVE, MKDIR, SYNC, CHANGE, OPEN, READ = (1 << at for at in range(9))
CHANGES = CREATE | WRITE | RENAME | REMOVE | MKDIR | SYNC | CHANGE
_COUNT, _KILL, _TEAR, _FAIL = range(4)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that a command made: its kind, its name and, below the folder watched, the path."""

    kind: int
    name: str
    path: str


def loaded() -> bool:
    """Whether this process runs with the trap."""
    return hasattr(ctypes.CDLL(None), "trap_arm")


def with_trap() -> None:
    """Start this Python anew with the trap before everything, where it is not there and a compiler is."""
    if loaded() or shutil.which("cc") is None or os.environ.get("SRLM_TORTURE_TRAP"):
        return
    library = Path(tempfile.mkdtemp(prefix="trap-")) / "trap.so"
    source = Path(__file__).with_name("trap.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl"], check=True)
    preload = " ".join(filter(None, [str(library), os.environ.get("LD_PRELOAD")]))
    os.environ |= {"LD_PRELOAD": preload, "SRLM_TORTURE_TRAP": str(library.parent)}
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def calls(folder: Path, work: Callable[[Callable[[], None]], Ended], code: int = 0) -> list[Call]:
    """What `work(inside)` did in `folder`, when it ran undisturbed with `inside` called in its process.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryFile() as log:
        ended = work(lambda: _arm(folder, _COUNT, 0, 0, log=log.fileno()))
        if ended.code != code:
            raise RuntimeError(f"undisturbed it fails ({ended.code}): {ended.err}")
        log.seek(0)
        found = []
        for line in log.read().decode("utf-8", "replace").splitlines():
            kind, name, path = line.split(" ", 2)
            found.append(Call(int(kind), name, re.sub(r"\.partial-\w+", ".partial", path)))
        return found


def kill_at(folder: Path, number: int, torn: bool = False) -> Callable[[], None]:
    """What to call in a process to have it killed before its `number`-th change in `folder`, or within it, if that is a
    write that is to be `torn`.
    """
    return lambda: _arm(folder, _TEAR if torn else _KILL, CHANGES, number)


def fail_at(folder: Path, number: int, kinds: int, error: int, persists: bool) -> Callable[[], None]:
    """What to call in a process to have its `number`-th call of these kinds in `folder` fail, and where it `persists`
    all that follow.
    """
    return lambda: _arm(folder, _FAIL, kinds, number, error, persists)


def _arm(folder: Path, how: int, kinds: int, number: int, error: int = 0, persists: bool = False, log: int = -1) -> Any:
    arm = ctypes.CDLL(None).trap_arm
    arm.argtypes = [ctypes.c_char_p, *[ctypes.c_int] * 2, ctypes.c_long, *[ctypes.c_int] * 3]
    arm.restype = None
    arm(os.fsencode(folder), how, kinds, number, error, int(persists), log)
