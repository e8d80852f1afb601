"""Runs cases: each in a fork of this process, some at once, each within its limit."""

import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.torture.case import Case, Outcome, forked, in_this_process, kill_group, scratch

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
    import torch
    import transformers

    import srlm.cli.audit
    import srlm.cli.diagnose
    import srlm.cli.report
    import srlm.cli.run
    import srlm.cli.simulate
    import srlm.training.start

    torch.set_num_threads(1)
    _import_what_commands_import()
    _keep_templates()
    gc.collect()
    gc.freeze()  # a collection in a fork would copy what it looks at
    for module in (matplotlib.figure, transformers, srlm.training.start):
        assert module


def _import_what_commands_import() -> None:
    """What is imported only when a command is run: one fork runs them, and tells what it has imported."""
    from tests.torture.subjects import (
        audit_command,
        base,
        diagnose_command,
        run_command,
        simulate_command,
        watched,
    )

    folder = scratch() / "warm"
    folder.mkdir(parents=True)

    def work() -> None:
        with in_this_process():
            for of in ("response", "answer"):
                run_command(of, page=True)(folder / f"run-{of}", None)
                diagnose_command(of)(folder / f"diagnosis-{of}", None)
            audit_command(folder / "audit", None)
            simulate_command(folder / "experiment", None)
        (folder / "modules").write_text("\n".join(sys.modules), encoding="utf-8")

    base()
    watched()
    if (ended := forked(work)).code:
        raise RuntimeError(ended.err)
    for name in (folder / "modules").read_text(encoding="utf-8").split("\n"):
        with suppress(Exception):
            import_module(name)


def _keep_templates() -> None:
    """Templates are compiled once for all processes."""
    import jinja2

    folder = scratch() / "templates"
    folder.mkdir()
    init, cache = jinja2.Environment.__init__, jinja2.FileSystemBytecodeCache(str(folder))

    def with_cache(self: jinja2.Environment, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        self.bytecode_cache = self.bytecode_cache or cache

    jinja2.Environment.__init__ = with_cache


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
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
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
