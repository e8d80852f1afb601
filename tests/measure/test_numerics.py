"""Sampling numerics against training numerics."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.measure.numerics import measure_drift, require_small, spread
from srlm.records.responses import Complete, Response, Rollout
from srlm.records.run_directory import RunDirectory
from srlm.training.trainer import SelfRewardingTrainer

SAMPLED = [Rollout(0, (Response(Complete((1,), -1.0, True)), Response(Complete((2,), -2.0, True))))]


def test_drift_is_the_difference_in_nats() -> None:
    drift = measure_drift(SAMPLED, [[-1.5, -1.9]], rescored=False)
    assert (drift.responses, drift.max) == (2, pytest.approx(0.5))
    assert drift.mean == pytest.approx(0.3)
    assert drift.bias == pytest.approx(-0.2)
    require_small(drift, 0.6, 3)
    require_small(drift, None, 3)
    with pytest.raises(InputError, match=r"round 3: .* up to 0\.5 nats .* --rescore"):
        require_small(drift, 0.4, 3)
    with pytest.raises(InputError, match="not numbers"):
        measure_drift(SAMPLED, [[float("nan"), 0.0]], rescored=False)


@pytest.mark.parametrize("count", [1, 4, 5, 100])
def test_compared_prompts_are_few_and_spread(count: int) -> None:
    assert spread(count, count) == list(range(count))
    few = spread(count, 4)
    assert len(few) == min(count, 4)
    assert (few[0], few[-1]) == (0, count - 1)


def test_sampling_and_training_agree_on_the_tiny_model(start: Callable[..., Any], tmp_path: Path) -> None:
    directory = start(tmp_path / "run", rounds=1)
    for number in (0, 1):
        drift = directory.round(number).metrics()["drift"]
        assert drift["responses"] == 8
        assert 0 <= drift["max"] < 1e-4


@pytest.fixture
def shifted_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training forward that sees every response 0.75 nats less likely than sampling did."""
    score = SelfRewardingTrainer.score

    def shifted(self: SelfRewardingTrainer, groups: Sequence[Any]) -> list[list[float]]:
        return [[value - 0.75 for value in values] for values in score(self, groups)]

    monkeypatch.setattr(SelfRewardingTrainer, "score", shifted)


@pytest.mark.usefixtures("shifted_numerics")
def test_a_run_whose_numerics_disagree_is_refused_before_it_trains(start: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(InputError, match=r"round 0: sampling and training disagree by up to 0\.75 nats"):
        start(out)
    record = RunDirectory.open(out).record()
    assert record["status"] == "failed"
    assert "disagree" in record["reason"]
    # Told to accept it, the same run goes on.
    assert start(out, resume=True, rounds=1, max_drift=1.0).record()["status"] == "done"


@pytest.mark.usefixtures("shifted_numerics")
def test_rescoring_takes_the_training_forwards_values(start: Callable[..., Any], tmp_path: Path) -> None:
    plain = start(tmp_path / "plain", rounds=1, max_drift=None)
    rescored = start(tmp_path / "rescored", rounds=1, rescore=True)
    before, after = (one.round(0).read_table("samples").column("logprob").to_pylist() for one in (plain, rescored))
    assert after == pytest.approx([value - 0.75 for value in before], abs=1e-4)
    drift = rescored.round(0).metrics()["drift"]
    assert drift["rescored"]
    assert drift["max"] == pytest.approx(0.75, abs=1e-4)
