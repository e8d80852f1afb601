"""A process killed at every change of the disk: between any two, and within a write.

What was finished stands there at every moment, the old or the new; and the same command again (a run with `--resume`)
ends as it would have ended undisturbed, byte for byte but for seconds and dates.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tests.torture.case import Case, Outcome
from tests.torture.subjects import Subject, goes_on, lost, subjects, undisturbed
from tests.torture.trap import CHANGES, WRITE, kill_at, loaded


def cases(seed: int) -> Iterable[Case]:
    """One for each change of each subject, the writes among them torn by turns."""
    if not loaded():
        print("kills: no C compiler here (cc), so nothing can be killed at a call; not tried")
        return
    for subject in subjects():
        made, due = undisturbed(subject)
        changes = [one for one in made if one.kind & CHANGES]
        for number, call in enumerate(changes, 1):
            if (number + seed) % subject.killed:
                continue
            torn = call.kind == WRITE and (number + seed) % 2 == 0
            name = f"{'within' if torn else 'before'} change {number}, {call.name} of {call.path}"

            yield Case(name, partial(_killed, subject, due, number, torn), of=subject.name, limit=240)


def _killed(subject: Subject, due: dict[str, Any], number: int, torn: bool, folder: Path) -> Outcome:
    out = subject.place(folder)
    ended = subject.work(out, kill_at(out, number, torn))
    if ended.code != -9:
        return Outcome(f"case failed: it was not killed, but ended with {ended.code}", ended.err)
    if why := lost(subject, out):
        return Outcome(f"lost: {why}")
    return goes_on(subject, due, out)
