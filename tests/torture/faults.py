"""The disk fails: no space, no quota, errors, read-only, too many files, at every call that may be told so.

A command says it in one sentence and ends with 1, keeps what was finished, and goes on to the same end once the disk is
well again. What no disk can take away (a page's old file that could not be removed) may also just be left.
"""

import errno
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tests.torture.case import Case, Outcome
from tests.torture.subjects import Subject, goes_on, lost, subjects, undisturbed
from tests.torture.trap import CHANGES, CREATE, MKDIR, OPEN, READ, RENAME, SYNC, WRITE, fail_at, loaded

_ROOM = CREATE | WRITE | RENAME | MKDIR | SYNC
# What fails with which error, and whether all that follows does, too.
_FAULTS = {
    errno.ENOSPC: (_ROOM, True),
    errno.EDQUOT: (_ROOM, True),
    errno.EROFS: (CHANGES & ~(WRITE | SYNC), True),
    errno.EIO: (WRITE | SYNC | READ | RENAME, False),
    errno.EMFILE: (CREATE | OPEN, False),
}
_READS = 6  # of so many calls that only read one fails


def cases(seed: int) -> Iterable[Case]:
    """One error for each call that changes something, by turns, so that every error meets every kind of call; and for
    some of those that read.
    """
    if not loaded():
        print("faults: no C compiler here (cc), so no call can fail; not tried")
        return
    for subject in subjects():
        made, due = undisturbed(subject)
        numbers = dict.fromkeys(_FAULTS, 0)
        for turn, call in enumerate(made):
            possible = [code for code, (kinds, _) in _FAULTS.items() if kinds & call.kind]
            for code in possible:
                numbers[code] += 1
            if not possible or (call.kind in (OPEN, READ) and (turn + seed) % _READS) or (turn + seed) % subject.failed:
                continue
            code = possible[(turn // subject.failed + seed) % len(possible)]
            name = f"{errno.errorcode[code]} at {call.name} of {call.path} (call {numbers[code]})"
            yield Case(name, partial(_failed, subject, due, code, numbers[code]), of=subject.name, limit=240)


def _failed(subject: Subject, due: dict[str, Any], code: int, number: int, folder: Path) -> Outcome:
    out = subject.place(folder)
    kinds, persists = _FAULTS[code]
    ended = subject.work(out, fail_at(out, number, kinds, code, persists))
    if ended.code == subject.code:  # it could do without
        return Outcome(lost(subject, out))
    if problem := ended.problem(codes=(1,), lines=4):
        return Outcome(problem, ended.err)
    if os.strerror(code) not in ended.err:
        return Outcome(f"not said: {ended.err.strip()[-200:]}", ended.err)
    if why := lost(subject, out):
        return Outcome(f"lost: {why}")
    return goes_on(subject, due, out)
