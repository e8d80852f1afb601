"""Runs cases: each in a fork of this process, some at once, each within its limit."""

import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.case import Case, Outcome, kill_group, scratch

_ROOM = 6 << 30  # bytes a case may take beyond what this process has: a huge value is refused, not swapped for


@dataclass(frozen=True, slots=True)
class Tried:
    """A case that was run."""

    family: str
    case: Case
    outcome: Outcome
    seconds: float


@dataclass(slots=True)
class _Running:
    family: str
    case: Case
    folder: Path
    child: int
    result: Path
    began: float = field(default_factory=time.monotonic)


def warm() -> None:
    """Import what every case would import."""
    import matplotlib.figure
    import plotly.graph_objects
    import torch
    import transformers

    import srlm.cli.audit
    import srlm.cli.diagnose
    import srlm.cli.report
    import srlm.cli.run
    import srlm.cli.simulate
    import srlm.training.start

    torch.set_num_threads(1)
    for module in (matplotlib.figure, plotly.graph_objects, transformers, srlm.training.start):
        assert module


def run_cases(cases: Iterable[tuple[str, Case]], workers: int) -> Iterator[Tried]:
    """Every case of (family, case) with how it ended, in the order in which they end."""
    waiting = iter(cases)
    running: list[_Running] = []
    more = True
    try:
        while more or running:
            while more and len(running) < workers:
                following = next(waiting, None)
                if following is None:
                    more = False
                else:
                    running.append(_start(*following))
            time.sleep(0.005)
            for one in list(running):
                if (tried := _ended(one)) is not None:
                    running.remove(one)
                    yield tried
    finally:
        for one in running:
            kill_group(one.child)


def _start(family: str, case: Case) -> _Running:
    folder = Path(tempfile.mkdtemp(prefix="case-", dir=scratch()))
    result = folder.with_suffix(".json")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            _limit_memory()
            outcome = case.run(folder)
        except BaseException:
            outcome = Outcome(f"case failed: {traceback.format_exc().splitlines()[-1]}", traceback.format_exc())
        try:
            text = json.dumps([outcome.problem, outcome.detail])
            result.write_text(text, encoding="utf-8")
        finally:
            os._exit(0)
    return _Running(family, case, folder, child, result)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if os.path.exists("/proc/self/statm") else 0
    if pages:
        most = pages * resource.getpagesize() + _ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _ended(one: _Running) -> Tried | None:
    child, _ = os.waitpid(one.child, os.WNOHANG)
    seconds = time.monotonic() - one.began
    outcome = None
    if child == 0:
        if seconds < one.case.limit:
            return None
        outcome = Outcome(f"hang: still running after {one.case.limit:.0f} s")
    kill_group(one.child)
    if child == 0:
        os.waitpid(one.child, 0)
    if outcome is None:
        if one.result.exists():
            outcome = Outcome(*json.loads(one.result.read_text(encoding="utf-8")))
        else:
            outcome = Outcome("case failed: its process died")
    one.result.unlink(missing_ok=True)
    shutil.rmtree(one.folder, ignore_errors=True)
    return Tried(one.family, one.case, outcome, seconds)
