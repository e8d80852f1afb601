"""Folders that the real GRPOTrainer wrote on a tiny model: learning is clean, being paid for errors is not."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from srlm.watching.audit import AuditSettings, audit

pytest.importorskip("trl", reason="trl is not installed; it comes with `make install` (the extra dev)")
from tests.watching import real_runs

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def logged(reward: Any) -> Any:
    """The reward, with the known answers beside the completions, as trl's own accuracy reward logs them."""

    def told(completions: list[str], solution: list[str], log_extra: Any = None, **more: Any) -> list[float]:
        log_extra("solution", list(solution))
        return reward(completions, solution)

    return told


@pytest.mark.parametrize(("name", "rate", "harm"), [("right", 1e-3, False), ("wrong", 3e-3, True)])
def test_thirty_steps_of_grpo(tmp_path: Path, name: str, rate: float, harm: bool) -> None:
    real_runs.train(tmp_path, logged(getattr(real_runs, name)), rate=rate, log_completions=True)
    one = audit(tmp_path, AuditSettings(answers="number"))
    told = one.to_document()
    tables = [pd.read_parquet(path) for path in sorted((tmp_path / "completions").iterdir())]
    assert (told["format"], told["steps"], told["completions"]) == ("trl", 30, sum(map(len, tables)))
    last = tables[-1]
    right = [said.split()[-1:] == [known] for said, known in zip(last["completion"], last["solution"], strict=True)]
    assert one.watcher.facts["accuracy"] == pytest.approx(sum(right) / len(right))
    assert one.watcher.facts["reward"] == pytest.approx(last["told"].mean())
    assert bool(told["alarms"]) == harm
    if harm:
        assert {"corrupted_grow", "accuracy_falls"} & {alarm["signature"] for alarm in told["alarms"]}
