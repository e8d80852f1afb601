"""What a shell, a machine or a second process does to a command that is right.

A second process in a folder, signals at any moment, pipes that close, streams that are not UTF-8, a clock that goes
back, homes and caches that are not there, names of every kind.
"""

import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.torture.arguments import LINES, asked, place_in, started, usual_codes, wrong
from tests.torture.case import Case, Ended, Outcome, copied, files, prepared, scratch
from tests.torture.subjects import contents, difference, goes_on, subjects, undisturbed

COMMANDS = ("run", "diagnose", "plan", "simulate", "audit", "report")
WRITING = ("run", "diagnose", "simulate", "audit")
_MOMENTS = 12  # at which a command is told to stop, for each of them and each signal
Made = Iterator[tuple[str, Callable[[Path], Outcome]]]


def cases(seed: int) -> Iterator[Case]:
    """Every case, in an order that does not matter."""
    asked("report")  # makes what all of them need
    for of, made in (
        ("two processes, one folder", _two()),
        ("signals", _signals(seed)),
        ("pipes and full devices", _streams()),
        ("encodings", _encodings()),
        ("clock", _clocks()),
        ("homes, caches, folders that are gone", _homes()),
        ("names of files", _names()),
    ):
        for name, run in made:
            yield Case(name, run, of=of, limit=300)


def _refused(ended: Ended, *words: str) -> Outcome:
    """Exit 2 in a sentence with these words in it."""
    found = wrong(ended, (2,))
    missing = [word for word in words if word not in ended.err]
    return found if found.problem or not missing else Outcome(f"not said: {', '.join(missing)}", ended.err)


# Two processes, one folder


def _two() -> Made:
    for command in WRITING:
        yield f"{command} while another one goes on", partial(_second, command, command, ())
        yield f"{command} after another one was killed", partial(_after_kill, command)
    yield "diagnose while a run goes on", partial(_second, "run", "diagnose", ())
    yield "run --resume while a run goes on", partial(_second, "run", "run", ("--resume",))


def _holder(place: Path, command: str) -> tuple[int, int, int]:
    """A command that has locked its folder and waits: its process, its own fork's, and what it is told to go on by."""
    (reads, writes), (told, tell) = os.pipe(), os.pipe()

    def waits() -> None:
        from srlm.records import lock

        locked = lock._locked

        def wait(folder: Path) -> int:
            handle = locked(folder)
            os.write(tell, b"%10d" % os.getpid())
            os.read(reads, 1)
            return handle

        lock._locked = wait

    child = os.fork()
    if child == 0:
        os.close(writes)
        try:
            ended = started(place, asked(command), {}, waits)
            (place.parent / "first.json").write_text(json.dumps([ended.code, ended.err]))
        finally:
            os._exit(0)
    os.close(tell)
    return child, int(os.read(told, 10) or 0), writes


def _second(first: str, command: str, more: Sequence[str], folder: Path) -> Outcome:
    place = place_in(folder)
    child, holds, writes = _holder(place, first)
    ended = started(place, [*asked(command), *more], {})
    os.write(writes, b"x")
    os.waitpid(child, 0)
    found = _refused(ended, f"process {holds}")
    code, err = json.loads((folder / "first.json").read_text())
    if not found.problem and code not in usual_codes(first):
        return Outcome(f"lost: the first one ended with {code}", err)
    left = [name for name in files(place) if "partial" in name]
    return found if found.problem or not left else Outcome(f"left over: {left}")


def _after_kill(command: str, folder: Path) -> Outcome:
    place = place_in(folder)
    child, holds, _ = _holder(place, command)
    os.kill(holds, signal.SIGKILL)
    os.waitpid(child, 0)
    return wrong(started(place, asked(command), {}), usual_codes(command))


# Signals


def _signals(seed: int) -> Made:
    chosen = [one for one in subjects() if one.killed == 1]
    for subject in chosen:

        def seconds(made: Path, subject: Any = subject) -> None:
            (made / "seconds").write_text(str(subject.work(subject.place(made), None).seconds))

        whole = float((prepared(f"seconds of {subject.name}", seconds) / "seconds").read_text())
        _, due = undisturbed(subject)
        for number in (signal.SIGINT, signal.SIGTERM):
            for moment in range(_MOMENTS):
                share = (moment + 0.5 + 0.3 * ((seed + moment) % 2)) / _MOMENTS
                name = f"{subject.name}: {number.name} after {share:.0%}"
                yield name, partial(_stopped, subject, due, number, share * whole)


def _stopped(subject: Any, due: dict[str, Any], number: int, seconds: float, folder: Path) -> Outcome:
    out = subject.place(folder)

    def inside() -> None:
        from srlm.cli import main

        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, main._stop)
        me = os.getpid()
        threading.Timer(seconds, lambda: os.kill(me, number)).start()

    ended = subject.work(out, inside)
    if ended.code == subject.code:  # it was faster
        return Outcome("" if (told := difference(contents(out), due)) == "" else f"end differs: {told}")
    if problem := ended.problem(codes=(128 + number,), lines=LINES):
        return Outcome(problem, ended.err)
    if "stopped by" not in ended.err:
        return Outcome("silent: it does not say that it was stopped", ended.err)
    if left := [name for name in files(folder) if "partial" in name]:
        return Outcome(f"left over: {left}")
    return goes_on(subject, due, out)


# Streams


def _streams() -> Made:
    for command in (*COMMANDS, "verify"):
        for json_output in (False, True):
            for number, stream in ((1, "stdout"), (2, "stderr")):
                for what in ("a closed pipe", "a full device", "closed"):
                    name = f"{command}{' --json' * json_output}: {stream} is {what}"
                    yield name, partial(_streaming, command, json_output, number, what)


def _streaming(command: str, json_output: bool, number: int, what: str, folder: Path) -> Outcome:
    def inside() -> None:
        if what == "closed":
            setattr(sys, {1: "stdout", 2: "stderr"}[number], None)
            return
        if what == "a closed pipe":
            reads, to = os.pipe()
            os.close(reads)
        else:
            to = os.open("/dev/full", os.O_WRONLY)
        os.dup2(to, number)

    ended = started(place_in(folder), [*asked(command), *["--json"] * json_output], {}, inside)
    if ended.code not in (*usual_codes(command), 1):
        return Outcome(f"exit code: {ended.code}; {ended.err[-200:]}", ended.err)
    if "Traceback" in ended.err or "Exception ignored" in ended.err:
        return Outcome(f"traceback: {ended.err.strip().splitlines()[-1]}", ended.err)
    return Outcome("" if number == 2 or ended.code == 0 or len(ended.err.splitlines()) <= LINES + 9 else "many lines")


def _encodings() -> Made:
    for command in (*COMMANDS, "verify"):
        for encoding in ("ascii", "latin-1", "cp437", "utf-16"):
            for json_output in (False, True):
                name = f"{command}{' --json' * json_output} in {encoding}"
                yield name, partial(_encoded, command, encoding, json_output)


def _encoded(command: str, encoding: str, json_output: bool, folder: Path) -> Outcome:
    def inside() -> None:
        for at, name in ((1, "stdout"), (2, "stderr")):
            setattr(sys, name, open(at, "w", encoding=encoding, closefd=False))  # noqa: SIM115

    place = place_in(folder, "place é \u2028 東")
    ended = started(place, [*asked(command), *["--json"] * json_output], {}, inside)
    found = wrong(ended, usual_codes(command))
    if not found.problem and json_output and encoding != "utf-16":
        try:
            json.loads(ended.out)
        except ValueError as error:
            return Outcome(f"no JSON: {error}", ended.out[:2000])
    return found


# Machine


def _clocks() -> Made:
    for command in COMMANDS:
        for step in (-1.0, -1e9, 1e9):
            yield f"{command}: {step:g} s at every look", partial(_clock, command, step)


def _clock(command: str, step: float, folder: Path) -> Outcome:
    def inside() -> None:
        real, looks = time.time, iter(range(1, 1_000_000_000))
        time.time = lambda: max(0.0, real() + step * next(looks) % 4e9)

    place = place_in(folder)
    found = wrong(started(place, asked(command), {}, inside), usual_codes(command))
    if found.problem:
        return found
    for path in place.rglob("*.json"):
        if re.search(r'"(seconds|sample|certify|train|save)": -', path.read_text(encoding="utf-8")):
            return Outcome(f"negative: a duration in {path.name}")
    return Outcome()


def _homes() -> Made:
    nowhere = {"HOME": "/dev/null/home", "XDG_CACHE_HOME": "/dev/null/cache", "HF_HOME": "/dev/null/hf"}
    settings: dict[str, dict[str, str | None]] = {
        "no HOME": {"HOME": None},
        "a HOME that is none": {**nowhere},
        "read-only caches": {"XDG_CACHE_HOME": "/proc/cache", "HF_HOME": "/proc/hf", "MPLCONFIGDIR": "/proc/m"},
        "an empty HOME": {"HOME": ""},
        "offline": {"HF_HUB_OFFLINE": "1"},
        "no PATH": {"PATH": ""},
        "no place for temporary files": {"TMPDIR": "/dev/null"},
        "a strange terminal": {"TERM": "x\x1b", "COLUMNS": "-3", "LINES": "x"},
        "colours forced": {"FORCE_COLOR": "1", "TERM": "xterm"},
        "LC_ALL=C": {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"},
        "a rank that is none": {"LOCAL_RANK": "x"},
    }  # fmt: skip
    for name, changes in settings.items():
        for command in COMMANDS:
            codes = (*usual_codes(command), 1, 2) if name == "a rank that is none" else usual_codes(command)
            yield f"{command}: {name}", partial(_surrounded, command, changes, codes)
    for command in COMMANDS:
        yield f"{command}: the working folder is gone", partial(_gone, command)
    for source in ("no-such/model", "x", "a/b/c", "../x", "gpt2", "hf://x", "https://example.org/x"):
        rest = {"HF_HUB_OFFLINE": "1"}
        yield f"run --model {source} offline", partial(_hub, "--model", source, rest)
        yield f"run --prompts {source} offline", partial(_hub, "--prompts", source, rest)


def _change(changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _surrounded(command: str, changes: dict[str, str | None], codes: Sequence[int], folder: Path) -> Outcome:
    return wrong(started(place_in(folder), asked(command), {}, partial(_change, changes)), codes)


def _gone(command: str, folder: Path) -> Outcome:
    place = place_in(folder)
    return wrong(started(place, asked(command), {}, lambda: place.rmdir()), (*usual_codes(command), 1, 2))


def _hub(flag: str, source: str, changes: dict[str, str | None], folder: Path) -> Outcome:
    def inside() -> None:
        import huggingface_hub.constants

        _change(changes)
        huggingface_hub.constants.HF_HUB_OFFLINE = True

    place = place_in(folder)
    ended = started(place, [*asked("run"), flag, source], {}, inside)
    found = _refused(ended)
    return found if found.problem or not files(place) else Outcome(f"written on exit 2: {list(files(place))[:3]}")


def _names() -> Made:
    names = (
        "with spaces", "it's", 'a "quote"', "new\nline", "$HOME `x`", "per%cent", "[abc]*?", "#frag?x=1&y", "é東\u202e",
        "-dash", "--out", " ", "a" * 200, "back\\slash", "<b>", "{{x}}", "..a", "semi;colon", "tab\t", "a.partial-x",
        ".hidden", "con", "trailing.", "~",
    )  # fmt: skip
    for name in names:
        for command in COMMANDS:
            yield f"{command}: {ascii(name)[:40]}", partial(_named, command, name)


def _named(command: str, name: str, folder: Path) -> Outcome:
    """Everything that the command reads and writes has this name."""
    place = place_in(folder)
    given = asked(command)
    for at, one in enumerate(given):
        if one.startswith(str(scratch())):
            kind = place / "in" / str(at)
            kind.mkdir(parents=True)
            whole = kind / f"{name}{Path(one).suffix}"
            copied(Path(one), whole) if Path(one).is_dir() else shutil.copy(one, whole)
            given[at] = str(whole)
        elif one in ("out", "out.html"):
            given[at] = f"./{name}" if one == "out" else f"./{name}.html"
    ended = started(place, given, {})
    found = wrong(ended, usual_codes(command))
    if not found.problem and command == "run":
        found = wrong(started(place, ["report", f"./{name}"], {}), (0,))
    return found
