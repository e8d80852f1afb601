"""Work that may never end, done in a process that can be killed: patterns that run away, hostile mathematics.

Knows: a function of ours by name, plain values, a time limit. Refuses to know: signals. (SIGALRM works in the main
thread only and does not stop a computation inside C.)
"""

import atexit
import faulthandler
import os
import subprocess
import sys
import threading
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

# A start imports srlm and, for mathematics, sympy, on a machine that may be busy.
_START_SECONDS = 120.0
_MEMORY = 4 << 30


class TooSlow(Exception):
    """No result within the time limit; the process was killed."""


class Worker:
    """One process, started when it is first needed, again after it was killed, and anew after a fork.

    Not `multiprocessing.Process`: it would run the user's main module again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._owner = 0

    def call(self, function: str, argument: Any, seconds: float) -> Any:
        """`function(argument)`, computed in the process.

        Args:
            function: "module:name", importable there.
            argument: anything that pickles.
            seconds: time limit, the start of the process not counted.

        Raises:
            TooSlow: no result in time, or the process died (of memory, say).
            ValueError: the function raised; says what.
        """
        with self._lock:
            pipe = self._started()
            try:
                pipe.send(("srlm.tasks.worker:_ready", function, _START_SECONDS))
                self._received(pipe, _START_SECONDS)
                pipe.send((function, argument, seconds))
                ok, value = self._received(pipe, seconds)
            except (TooSlow, EOFError, OSError) as error:
                self._kill()
                raise TooSlow(f"no result within {seconds:g} s") from error
        if not ok:
            raise ValueError(value)
        return value

    def close(self) -> None:
        """Stop the process; a later call starts another."""
        with self._lock:
            self._kill()

    def _started(self) -> Connection:
        if self._pipe is not None and self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return self._pipe
            self._kill()
        ours, theirs = Pipe()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        code = f"from srlm.tasks.worker import serve; serve({theirs.fileno()})"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._pipe, self._owner = ours, os.getpid()
        return ours

    @staticmethod
    def _received(pipe: Connection, seconds: float) -> tuple[bool, Any]:
        if not pipe.poll(seconds):
            raise TooSlow
        return pipe.recv()

    def _kill(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


WORKER = Worker()
atexit.register(WORKER.close)


def _ready(function: str) -> None:
    """Import what a call needs, so that its time limit is spent on the call."""
    import_module(function.partition(":")[0])


def serve(descriptor: int) -> None:
    """The process: answer calls until the other end closes."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if hard == resource.RLIM_INFINITY else min(hard, _MEMORY), hard))
    pipe = Connection(descriptor)
    while True:
        try:
            function, argument, seconds = pipe.recv()
        except EOFError:
            return
        # Should the other end be killed meanwhile, nobody else would end a computation inside C.
        faulthandler.dump_traceback_later(2 * seconds + 10, exit=True)
        module, _, name = function.partition(":")
        try:
            result = True, getattr(import_module(module), name)(argument)
        except (Exception, MemoryError, RecursionError) as error:
            result = False, f"{type(error).__name__}: {error}"
        faulthandler.cancel_dump_traceback_later()
        pipe.send(result)
