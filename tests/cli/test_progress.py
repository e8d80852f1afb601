"""Progress on stderr says which of how many rounds, as the run itself counts them."""

import pytest

from srlm.cli._progress import RoundProgress


@pytest.mark.parametrize("rounds", [1, 10])
def test_the_number_of_rounds_is_the_runs(rounds: int) -> None:
    progress = RoundProgress(lambda path: None)
    progress.begin(rounds)
    progress.stage(1, "sample", 4)
    assert progress._bar.tasks[0].description == f"round 1 of {rounds}: sampling"


def test_the_time_left_covers_the_rounds_still_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 10.0, 20.0, 20.0, 20.0])  # round 0 spends 10 s sampling and 10 s on modes
    monkeypatch.setattr("srlm.cli._progress.time.monotonic", lambda: next(clock, 20.0))
    progress = RoundProgress(lambda path: None)
    progress.begin(5)
    for number, stage in ((0, "sample"), (0, "certify"), (1, "sample")):
        progress.stage(number, stage, 4)
    # Four rounds after this one, and this one whole: 5 * (10 + 10) s; no update was timed yet.
    assert progress._left() == "about 2 min and training left"
