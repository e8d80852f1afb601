"""The one exception that means "what you gave us cannot be used".

Knows: how a wrong input is described. Every floor raises it; the command line turns it into one line and exit code 2.
"""

from collections.abc import Sequence


class InputError(ValueError):
    """The user's input is wrong: each problem names the field, the value given, the range and the fix.

    Args:
        problems: one sentence, or several when more than one field is wrong (all are reported at once).
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems))
