"""The frame of the torture finds what it is there to find; and some of its cases, the rest being in `make torture`."""

import os
import sys
import time
from pathlib import Path

import pytest
from tests.torture.case import Case, Ended, Outcome, forked
from tests.torture.running import run_cases

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def _ended(work: object) -> Ended:
    return forked(work)  # type: ignore[arg-type]


def _fails() -> None:
    raise ValueError("the reason")


def _says(code: int, text: str) -> int:
    print(text, file=sys.stderr)
    return code


@pytest.mark.parametrize(
    ("work", "problem"),
    [
        (lambda: 0, ""),
        (lambda: _says(2, "srlm: no"), ""),
        (_fails, "traceback: ValueError: the reason"),
        (lambda: 2, "silent: exit code 2"),
        (lambda: _says(2, "x\n" * 50), "many lines: 50"),
        (lambda: 7, "exit code: 7"),
        (lambda: os.kill(os.getpid(), 9), "exit code: -9"),
    ],
)
def test_an_end_that_is_none_of_those_due_is_a_problem(work: object, problem: str) -> None:
    assert _ended(work).problem().startswith(problem)
    assert bool(_ended(work).problem()) == bool(problem)


def test_cases_end_clean_or_with_what_went_wrong() -> None:
    def writes(folder: Path) -> Outcome:
        (folder / "x").write_text("x")
        return Outcome()

    cases = [
        Case("clean", writes),
        Case("unclean", lambda folder: Outcome("lost: everything")),
        Case("fails", lambda folder: Outcome(str(1 // len(os.listdir(folder))))),
        Case("hangs", lambda folder: time.sleep(60) or Outcome(), limit=0.5),
        Case("dies", lambda folder: os._exit(3)),
    ]
    found = {one.case.name: one.outcome.problem.split(":")[0] for one in run_cases((("f", one) for one in cases), 2)}
    assert found == {"clean": "", "unclean": "lost", "fails": "case failed", "hangs": "hang", "dies": "case failed"}
