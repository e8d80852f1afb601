"""The one exception that means "what you gave us cannot be used", and what to install where an extra is missing.

Knows: how a wrong input is described, and what srlm's own metadata says of its extras. Every floor raises the
exception; the command line turns both into one line and exit code 2.
"""

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
