"""Updates kept near the base model take its log-probabilities as reference, whatever rounds lie between."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from srlm.lm.loading import load_model
from srlm.lm.scoring import score_responses
from srlm.report.reading import read_run
from srlm.training.trainer import SelfRewardingTrainer
from srlm.training.update import Group


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Group]]:
    """The groups of every update, as they come."""
    seen: list[Sequence[Group]] = []
    fit = SelfRewardingTrainer.fit

    def spy(self: Any, groups: Sequence[Group], *args: Any, **rest: Any) -> Any:
        seen.append(groups)
        return fit(self, groups, *args, **rest)

    monkeypatch.setattr(SelfRewardingTrainer, "fit", spy)
    return seen


@pytest.mark.parametrize("use_peft", [True, False])
def test_the_reference_is_the_base_model_in_every_round(
    start: Callable[..., Any], updates: list[Any], tiny_model_folder: Path, tmp_path: Path, use_peft: bool
) -> None:
    run = start(tmp_path / "run", reference="base", use_peft=use_peft, keep_checkpoints="best_and_last")
    base = load_model(str(tiny_model_folder), device="cpu").model
    for groups in updates:
        near = score_responses(base, [(one.prompt, one.responses) for one in groups], tree_attention=False)
        for group, values in zip(groups, near, strict=True):
            assert group.reference_logps == pytest.approx(values, abs=1e-4)
    # The reward stays the log-probability of the policy that drew the responses, which is the base only at first.
    first, second = updates
    assert [g.rewards for g in first] == [pytest.approx(g.reference_logps, abs=1e-4) for g in first]
    assert any(abs(r - b) > 1e-2 for g in second for r, b in zip(g.rewards, g.reference_logps, strict=True))
    assert run.round(2).metrics()["certificate"] is None
    assert read_run(run.path).off_theory == "the base model as reference"


def test_by_default_the_reference_is_what_was_recorded(
    start: Callable[..., Any], updates: list[Any], tmp_path: Path
) -> None:
    run = start(tmp_path / "run")
    assert updates
    assert all(group.reference_logps == group.rewards for groups in updates for group in groups)
    assert run.round(2).metrics()["certificate"] is not None
    assert read_run(run.path).off_theory is None
