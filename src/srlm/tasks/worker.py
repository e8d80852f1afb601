"""Work that may never end, done in a process that can be killed: patterns that run away, hostile mathematics.

Knows: a function by name, plain values, a limit on processor time, which the kernel enforces inside C, too, and which a
busy machine does not use up. Refuses to know: SIGALRM, which works in the main thread only and waits for C to return.
"""

import atexit
import math
import os
import subprocess
import sys
import threading
import time
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

# What no start and no call exceeds on a machine that is merely busy; then the process is killed from outside.
_PATIENCE = 300.0
_MEMORY = 4 << 30


class TooSlow(Exception):
    """No result within the limit on time or memory; the process is gone."""


class Worker:
    """One process, started when it is first needed, again after its death, and anew after a fork.

    Not a `multiprocessing.Process`: that would run the user's main module a second time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._owner = 0

    def call(self, function: str, argument: Any, seconds: float, *, needs: str | None = None) -> Any:
        """`function(argument)`, computed in the process.

        Args:
            function: "module:name", importable there.
            argument: anything that pickles.
            seconds: limit on processor time, rounded up to whole seconds; imports are not counted.
            needs: a module to import beforehand.

        Raises:
            TooSlow: no result within the limit, or the process died.
            ValueError: the function raised; says what.
        """
        with self._lock:
            try:
                pipe = self._started()
                pipe.send((function, argument, seconds, needs))
                if not pipe.poll(_PATIENCE):
                    raise TooSlow
                error, value = pipe.recv()
            except (TooSlow, EOFError, OSError) as failure:
                self._kill()
                raise TooSlow(f"no result within {seconds:g} s") from failure
        if error is not None:
            raise ValueError(error)
        return value

    def close(self) -> None:
        """Stop the process; a later call starts another."""
        with self._lock:
            self._kill()

    def _started(self) -> Connection:
        if self._pipe is not None and self._owner == os.getpid():
            return self._pipe
        ours, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from srlm.tasks.worker import serve; serve({theirs.fileno()})"],
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self._pipe, self._owner = ours, os.getpid()
        return ours

    def _kill(self) -> None:
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


WORKER = Worker()
atexit.register(WORKER.close)


def serve(descriptor: int) -> None:
    """The process: answer calls until the other end closes."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    pipe = Connection(descriptor)
    while True:
        try:
            function, argument, seconds, needs = pipe.recv()
        except EOFError:
            return
        try:
            module, _, name = function.partition(":")
            work = getattr(import_module(module), name)
            if needs is not None:
                import_module(needs)
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), most))
            result = None, work(argument)
        except Exception as error:
            result = f"{type(error).__name__}: {error}", None
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        pipe.send(result)
