"""What a case of the torture is, and how a case runs `srlm`.

A family is a module with

    def cases(seed: int) -> Iterable[Case]

and one line in `tests.torture.FAMILIES`. A `Case` has a `name` (unique in its family), `run`, what it attacks (`of`:
one line of the table) and a limit in seconds, past which it counts as a hang. `run(folder)` gets a new empty folder,
works in a process of its own that was forked from one with torch and srlm imported, and returns an `Outcome`: clean, or
what went wrong. An exception out of `run` is an outcome too ("case failed"); the folder is removed afterwards.

Inside, `srlm(*arguments)` runs a command line in one more fork and gives its exit code, stdout and stderr; what it is
given as `inside` is called there first, to set a trap, close a pipe or change the surroundings. `Ended.problem` says
what is wrong with an end that should be one sentence. `files(folder)` is what stands in a folder, to compare.

What a family needs before (a model, a finished run) it gets from `prepared(name, make)`: made once, in a fork, in a
folder that every case can read and none may change (`copied` gives a case its own). `cases` asks for it, not `run`:
cases run side by side.

    def cases(seed: int) -> Iterable[Case]:
        for value in ("-1", "1e9", "nan"):
            def run(folder: Path, value: str = value) -> Outcome:
                ended = srlm("plan", "--rounds", value)
                return Outcome(ended.problem(codes=(0, 2)))
            yield Case(f"plan --rounds {value}", run, of="plan")
"""

import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case ended.

    Attributes:
        problem: empty where it is clean; else what went wrong, beginning with its kind ("traceback: ...", "lost: ...",
            "exit code: ...", "written on exit 2: ...", "end differs: ...", "many lines: ...").
        detail: what helps to understand it, such as the whole stderr.
    """

    problem: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One attack. Its attributes are those of the module's docstring."""

    name: str
    run: Callable[[Path], Outcome]
    of: str = ""
    limit: float = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended.

    Attributes:
        code: its exit code; of one that a signal ended, minus the signal's number, as `subprocess` has it.
        out, err: what it wrote.
        seconds: how long it took.
    """

    code: int
    out: str
    err: str
    seconds: float

    def problem(self, *, codes: Sequence[int] = (0, 1, 2), lines: int = 6) -> str:
        """What is wrong with this end, or nothing: a traceback, a code that is none of `codes`, an error (1, 2) that
        says nothing or writes more than `lines` lines on stderr beside those that tell of finished rounds.
        """
        said = "\n".join(line for line in self.err.splitlines() if line.strip() and not line.startswith("round "))
        if "Traceback (most recent call last)" in self.err:
            return f"traceback: {said.splitlines()[-1]}"
        if self.code not in codes:
            return f"exit code: {self.code}, not {' or '.join(map(str, codes))}; {said[-300:]}"
        if self.code in (1, 2) and not said:
            return f"silent: exit code {self.code} and nothing on stderr"
        if self.code in (1, 2) and len(said.splitlines()) > lines:
            return f"many lines: {len(said.splitlines())} on stderr"
        return ""


def srlm(*arguments: str | Path, inside: Callable[[], Any] | None = None, stdin: bytes = b"") -> Ended:
    """`srlm ARGUMENTS` in a fork of this process, with exit codes and tracebacks as a shell would see them.

    Args:
        arguments: the command line.
        inside: called in the fork before the command.
        stdin: what the command may read.
    """

    def work() -> int:
        from srlm.cli.main import run

        return run([str(one) for one in arguments])

    return forked(work, inside=inside, stdin=stdin)


@contextmanager
def in_this_process() -> Iterator[None]:
    """Within the block commands run in the process that asks for them, so that it has imported what they import."""
    global _forks
    _forks = False
    try:
        yield
    finally:
        _forks = True


_forks = True


def forked(work: Callable[[], Any], *, inside: Callable[[], Any] | None = None, stdin: bytes = b"") -> Ended:
    """Any Python call as `srlm` runs a command: an int it returns is the exit code."""
    began = time.perf_counter()
    if not _forks:
        return Ended(work(), "", "", 0.0)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for number, file in enumerate((given, out, err)):
                    os.dup2(file.fileno(), number)
                sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
                sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
                sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
                if inside is not None:
                    inside()
                ended = work()
                code = ended if isinstance(ended, int) else 0
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
            except BaseException:
                os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException as error:  # as the interpreter says it when it ends
                os.write(2, f"Exception ignored while flushing: {error!r}\n".encode())
                code = 120
            os._exit(code)
        _, status = os.waitpid(child, 0)
        for file in (out, err):
            file.seek(0)
        return Ended(
            os.waitstatus_to_exitcode(status),
            out.read().decode("utf-8", "replace"),
            err.read().decode("utf-8", "replace"),
            time.perf_counter() - began,
        )


def scratch() -> Path:
    """The folder of this whole torture, in memory where the machine has such a place."""
    global _scratch
    if _scratch is None:
        _scratch = Path(tempfile.mkdtemp(prefix="torture-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    return _scratch


_scratch: Path | None = None


def prepared(name: str, make: Callable[[Path], Any]) -> Path:
    """The folder `name` of what cases need, filled by `make(folder)` (in a fork) the first time.

    Raises:
        RuntimeError: it could not be made.
    """
    folder = scratch() / "prepared" / name
    if not folder.exists():
        making = Path(tempfile.mkdtemp(prefix="making-", dir=scratch()))
        ended = forked(lambda: make(making))
        if ended.code:
            raise RuntimeError(f"{name} could not be prepared: {ended.err or ended.code}")
        folder.parent.mkdir(exist_ok=True)
        making.rename(folder)
    return folder


def copied(source: Path, to: Path) -> Path:
    """`to`, a copy of `source` with its links kept as links."""
    shutil.copytree(source, to, symlinks=True)
    return to


def files(folder: Path) -> dict[str, str]:
    """What stands in `folder`, by name: the hash of a file, where a link points, "/" for a folder."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_dir():
            found[name] = "/"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "special"
    return found


def kill_group(child: int) -> None:
    """End a case and everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
