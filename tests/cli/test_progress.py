"""Progress on stderr says which of how many rounds, as the run itself counts them."""

import pytest

from srlm.cli._progress import RoundProgress, _summary
from srlm.records.rounds import RoundRecord


def test_a_round_in_a_line_has_intervals_and_tau_where_they_were_recorded() -> None:
    plain = {
        "round": 1, "kappa": {"lower": 2.0, "upper": 2.0}, "failure_rate": {"lower": 0.5, "upper": 0.5},
        "accuracy": {"sample": 0.25}, "mean_response_tokens": 3.0, "mode_drift": 0.125, "seconds": {"sample": 2.0},
    }  # fmt: skip
    line = "round 1: kappa 2 | failure rate 0.5 | accuracy sample 0.25 | modes moved 0.12 | 3.0 tokens | 2 s"
    assert _summary(RoundRecord.model_validate(plain)) == line
    intervals = {"sample_accuracy": {"lower": 0.125, "upper": 0.375, "level": 0.95}}
    update = {
        "responses": 2, "tau": 0.03125, "target_kappa": 1.5, "distance": 0.1, "distance_max": 1.0,
        "distance_worst_prompt": 0,
    }  # fmt: skip
    line = _summary(RoundRecord.model_validate(plain | {"intervals": intervals, "projection": update}))
    assert "kappa 2 (tau 0.0312) |" in line
    assert "sample 0.25 (0.12 to 0.38)" in line


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
