"""How work tells whoever waits for it how far it is.

Knows: stages, steps and rounds. Refuses to know: how that is shown.
"""

from collections.abc import Callable

from srlm.records.rounds import RoundRecord
from srlm.records.run_directory import RunDirectory

Progress = Callable[[int, int], None]  # (steps done, steps in all) of the stage that is under way


class Observer:
    """Is told what a run or a diagnosis is doing; this one does nothing. The command line draws progress, tests count
    and kill.
    """

    def begin(self, rounds: int) -> None:
        """A run of so many rounds begins."""

    def stage(self, round_number: int, name: str, total: int) -> None:
        """A stage ("sample", "certify", "train", "save", "spectra") of a round begins, with `total` steps before it."""

    def note(self, text: str) -> None:
        """Something, on one line, that whoever waits should know."""

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` steps of the stage are done."""

    def round_done(self, directory: RunDirectory, record: RoundRecord) -> None:
        """The round's record is on disk."""
