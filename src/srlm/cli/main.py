"""The `srlm` command: turns exceptions and signals into exit codes and one sentence each.

Knows: exit codes, what a shell does to a command (signals, closed pipes, streams that are not UTF-8). Imports nothing
slow, so that it is there before anybody can be impatient. Refuses to know: the commands.
"""

import errno
import os
import shlex
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from srlm.errors import InputError, fault_of_the_system, what_to_install

_PATIENCE = 20  # seconds in which a command that was told to stop tidies up; then it ends as it is
_WORD, _MESSAGE = 300, 2000  # longest in what is said of a mistake, in characters
# Of a name that was given: no disk is to blame.
_BAD_PATH = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
_signal: int | None = None  # that told us to stop


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 the input is wrong, 130 Ctrl-C, 143 SIGTERM, 1 anything else; `srlm
    audit` has 3 for alarms.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # of a stream that somebody put there
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _stop)
    code = run(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # nothing is left to tidy up
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """The exit code of one command line (`arguments` default to `sys.argv[1:]`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _carried_out(given)
    except BaseException as error:
        if _signal is None and not isinstance(error, KeyboardInterrupt):
            raise
        # Whatever became of the signal on its way through libraries, and whatever it broke off.
        number = _signal or signal.SIGINT
        _release()
        return _complain(_stopped(number, given), 128 + number)


def _carried_out(given: list[str]) -> int:
    try:
        from srlm.cli._app import call

        code = call(given)
        sys.stdout.flush()
    except InputError as error:
        return _complain(str(error), 2)
    except ModuleNotFoundError as error:
        sentence = what_to_install(error)
        if sentence is None:
            raise
        return _complain(sentence, 2)
    except BrokenPipeError:
        _silence()
        return 1
    except MemoryError:
        return _complain("there is not enough memory for this; nothing already written is damaged", 1)
    except Exception as error:
        if (fault := fault_of_the_system(error)) is None:
            raise
        said = f"{fault.strerror or fault}: {fault.filename or 'output'}"
        code = 2 if fault.errno in _BAD_PATH else 1
        complained = _complain(said if code == 2 else f"{said}; nothing already written is damaged", code)
        _silence()
        return complained
    return code


def _stop(number: int, frame: Any) -> None:
    """A signal to stop: files are whole at any moment, and what tidies up gets the time for it."""
    global _signal
    if _signal is not None:  # a second time: at once
        os._exit(128 + number)
    _signal = number
    sys.unraisablehook = lambda _: None  # where no exception can go; the timer ends it
    end = threading.Timer(_PATIENCE, os._exit, (128 + number,))
    end.daemon = True
    end.start()
    raise KeyboardInterrupt


def _stopped(number: int, given: list[str]) -> str:
    how = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    if given[:1] != ["run"] or "--dry-run" in given:
        return f"stopped by {how}; nothing that was finished is lost; for the rest give the same command again"
    again = shlex.join(["srlm", *given, *([] if "--resume" in given else ["--resume"])])
    return f"stopped by {how}; what was finished is kept; go on with: {again}"


def _complain(message: str, code: int) -> int:
    from srlm.records.text import visible

    told = "srlm: " + " ".join(visible(word, _WORD) for word in message.split())
    if len(told) > _MESSAGE:
        told = f"{told[: _MESSAGE * 3 // 4]} … {told[-_MESSAGE // 5 :]}"
    try:
        print(told, file=sys.stderr, flush=True)
    except OSError:
        _silence()
    return code


def _release() -> None:
    if lock := sys.modules.get("srlm.records.lock"):
        lock.release()


def _silence() -> None:
    """Nobody listens any more; the interpreter is not to complain of it when it ends."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
