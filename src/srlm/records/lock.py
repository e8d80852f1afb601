"""One process at a time writes into a folder.

Knows: a lock that the kernel releases when its process dies, however it dies. Refuses to know: what is written.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from srlm.errors import InputError

LOCK = ".partial-lock"  # the mark of `srlm.records.atomic`: a folder with nothing else in it counts as empty
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)
_TAKEN = (errno.EAGAIN, errno.EACCES)
_held: dict[Path, list[Path]] = {}  # folders that are locked, or about to be, with the folders made for them


@contextmanager
def holding(folder: Path | None) -> Iterator[None]:
    """Keep other processes out of `folder` within the block; who holds it may enter again.

    Args:
        folder: is made where there is none, and goes again if nothing came into it; None: nothing is written.

    Raises:
        InputError: another process holds it; or there can be no folder of this name.
        OSError: the disk does not let us.
    """
    name = str(folder)
    if "\0" in name or name != name.encode("utf-8", "replace").decode():
        raise InputError(f"output folder {name!r} has a name that not every library can write to; give another")
    where = Path(os.path.realpath(name))
    if folder is None or where in _held:
        yield
        return
    handle = -1
    try:
        try:
            _held[where] = [one for one in (where, *where.parents) if not one.exists()]
            handle = _locked(where)
        except OSError as error:
            if error.errno in _NO_FOLDER:
                why = "is a file" if error.errno == errno.EEXIST else f"can be none ({error.strerror})"
                raise InputError(f"output folder {name!r} {why}; give a folder that can be made") from error
            raise
        yield
    finally:
        release(where)
        if handle >= 0:
            os.close(handle)


def release(*folders: Path) -> None:
    """Give folders back, or all that this process holds: at the end of `holding`, and once more where Ctrl-C came in
    the middle of that.
    """
    for where in folders or tuple(_held):
        _remove_lock(where)
        _remove_empty(_held.get(where, []))
        _held.pop(where, None)


def _remove_lock(folder: Path) -> None:
    """Its file goes before it is released: see `_locked`."""
    import fcntl  # not on every system

    with suppress(OSError), open(folder / LOCK, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it was ours, or nobody's
        except OSError as error:
            if error.errno in _TAKEN:
                return
        if os.path.samestat(os.fstat(file.fileno()), os.stat(folder / LOCK)):
            (folder / LOCK).unlink()


def _locked(folder: Path) -> int:
    """The open lock of the folder.

    It is one of POSIX, not of BSD: children that are forked do not inherit it, and file servers know it.
    """
    import fcntl  # not on every system

    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _TAKEN:
                    holder = os.pread(handle, 200, 0).decode("utf-8", "replace") or "another process"
                    raise InputError(
                        f"{folder} is being written by {holder}; wait until it ends, or give another --out"
                    ) from error
                # else a file system without locks: nobody is kept out there
            # Who ends takes its file away: only what the folder still has is its lock.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(folder / LOCK)):
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _remove_empty(folders: list[Path]) -> None:
    """Remove the folders, innermost first, as far as they are empty."""
    with suppress(OSError):
        for one in folders:
            one.rmdir()
