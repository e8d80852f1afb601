"""The one exception that means "what you gave us cannot be used"; what to install where an extra is missing; what is
the disk's fault.

Knows: how a wrong input is described, what srlm's own metadata says of its extras, and how libraries put errors of the
system. Every floor raises the exception; the command line turns all three into one line.
"""

import os
import re
from collections.abc import Sequence


class InputError(ValueError):
    """The user's input is wrong: each problem names the field, the value given, the range and the fix.

    Args:
        problems: one sentence, or several when more than one field is wrong (all are reported at once).
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems))


def what_to_install(error: ModuleNotFoundError) -> str | None:
    """One sentence with the command that installs a missing package; None where none of srlm's extras brings it: that
    is a mistake of ours or a damaged installation, and its traceback is worth more.
    """
    from importlib.metadata import PackageNotFoundError, requires

    try:
        requirements = requires("srlm") or []
    except PackageNotFoundError:  # the sources, never installed
        return None
    for requirement in requirements:
        parts = re.match(r"""([\w.-]+).*\bextra == ['"]([\w-]+)""", requirement)
        if parts is not None and parts[1].replace("-", "_") == error.name:
            return f"this needs {error.name}, which is not installed; run: pip install 'srlm[{parts[2]}]'"
    return None


def fault_of_the_system(error: BaseException) -> OSError | None:
    """The error of the system that an exception is, or that a library put in words of its own (safetensors and
    tokenizers: "(os error 28)", "Too many open files (24)"); None for any other.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        for rust, plain in re.findall(r"\((?:os error (\d{1,4})|(\d{1,4}))\)", str(seen)):
            said = os.strerror(int(rust or plain))
            if rust or f"{said} ({plain})" in str(seen):
                return OSError(int(rust or plain), said)
        seen = seen.__cause__
    return None
