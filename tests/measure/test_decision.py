"""Control: what a run does about its signatures, and that planted collapses end where they should."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.measure.decision import DEFAULT_ACTIONS, best_round, checked_actions, decide
from srlm.measure.signatures import SIGNATURES
from srlm.records.bracket import Bracket
from srlm.records.rounds import Accuracy, RoundRecord, Signature, SplitRecord
from srlm.training.weights import save_policy


def round_with(sample: float | None, *names: str, log_kappa: float = 1.0) -> RoundRecord:
    split = SplitRecord(
        kappa=Bracket.of(math.exp(log_kappa), math.exp(log_kappa)),
        log_kappa=Bracket.of(log_kappa, log_kappa),
        failure_rate=Bracket.of(0.5, 0.5),
    )
    return RoundRecord(
        round=0,
        train=split,
        held_out=split.model_copy(update={"accuracy": Accuracy(sample=sample)}),
        signatures=tuple(Signature(name=name, evidence="seen") for name in names),
    )


def test_every_signature_has_a_default_action() -> None:
    assert set(DEFAULT_ACTIONS) == set(SIGNATURES)


def test_actions_are_chosen_by_name_or_for_all() -> None:
    chosen = checked_actions({"all": "note", "kappa_rises": "stop"})
    assert chosen["kappa_rises"] == "stop"
    assert {action for name, action in chosen.items() if name != "kappa_rises"} == {"note"}
    assert checked_actions(None) == DEFAULT_ACTIONS
    with pytest.raises(InputError, match=r"kappa_rises='panic'.*names 'doom'"):
        checked_actions({"kappa_rises": "panic", "doom": "stop"})


@pytest.mark.parametrize(
    ("action", "keep", "says"), [("note", None, ""), ("stop", 2, "stopped there"), ("rollback", 1, "back to round 1")]
)
def test_a_decision_follows_the_action(action: str, keep: int | None, says: str) -> None:
    history = [round_with(0.3), round_with(0.5), round_with(0.2, "kappa_rises")]
    decision = decide(history, checked_actions({"kappa_rises": action}))
    if keep is None:
        assert decision is None
    else:
        assert decision is not None
        assert decision.keep == keep
        assert says in decision.reason
        assert decision.signatures == ("kappa_rises",)


def test_going_back_wins_over_stopping() -> None:
    history = [round_with(0.5), round_with(0.2, "kappa_rises", "modes_drift")]
    decision = decide(history, checked_actions({"modes_drift": "stop"}))
    assert decision is not None
    assert (decision.action, decision.keep) == ("rollback", 0)


def test_the_best_round_has_the_best_held_out_accuracy_then_the_lowest_kappa() -> None:
    assert best_round([round_with(0.3), round_with(0.5), round_with(0.4)]) == 1
    assert best_round([round_with(0.5, log_kappa=3.0), round_with(0.5, log_kappa=2.0)]) == 1
    # Without answers: the last round before anything that is not merely noted.
    assert best_round([round_with(None), round_with(None, "modes_drift"), round_with(None, "kappa_rises")]) == 1
    assert best_round([round_with(None), round_with(None)]) == 1


COLLAPSE: dict[str, Any] = {"rounds": 4, "rewards": ["noise"], "learning_rate": 0.3, "lr_scheduler_type": "constant"}
COLLAPSE |= {"loss_type": "regression"}


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward that has nothing to do with the responses (the same for the same ones, as a broken judge's)."""
    import zlib

    from srlm.rewards import REWARDS

    def noise(prompts: Any, completions: Any, *, completion_ids: Any, **_: Any) -> list[float]:
        return [zlib.crc32(repr(list(ids)).encode()) % 1000 / 50 for ids in completion_ids]

    monkeypatch.setitem(REWARDS, "noise", noise)


@pytest.mark.usefixtures("noise")
def test_a_planted_collapse_is_caught_stopped_and_rolled_back(start: Callable[..., Any], tmp_path: Path) -> None:
    directory = start(tmp_path / "run", **COLLAPSE)
    record = directory.record()
    control = record["control"]
    assert record["status"] == "stopped"
    assert control["action"] == "rollback"
    assert control["round"] == len(directory.completed_rounds()) - 1 < 4
    assert control["model_of_round"] < control["round"]
    assert all(DEFAULT_ACTIONS[name] == "rollback" for name in control["signatures"])
    assert f"went back to round {control['model_of_round']}" in record["reason"]


@pytest.mark.usefixtures("noise")
def test_the_model_of_a_rolled_back_run_is_the_best_rounds(start: Callable[..., Any], tmp_path: Path) -> None:
    directory = start(tmp_path / "run", **COLLAPSE)
    history = [directory.round(number).metrics() for number in directory.completed_rounds()]
    keep = directory.record()["control"]["model_of_round"]
    assert keep == best_round([directory.round(number).read() for number in directory.completed_rounds()][:-1])
    again = start(tmp_path / "again", model=str(directory.path / "model"), rounds=1).round(0).metrics()
    for key in ("log_kappa", "failure_rate", "min_confidence"):
        assert again[key] == pytest.approx(history[keep][key], rel=1e-4), key
    assert again["log_kappa"] != pytest.approx(history[-1]["log_kappa"], rel=1e-4)


@pytest.mark.usefixtures("noise")
def test_a_stopped_run_stays_stopped_when_resumed_and_goes_on_when_told_so(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    first = start(tmp_path / "run", **COLLAPSE).record()
    again = start(tmp_path / "run", resume=True, **COLLAPSE).record()
    assert {key: again[key] for key in ("status", "reason", "control")} == {
        key: first[key] for key in ("status", "reason", "control")
    }
    on = start(tmp_path / "run", resume=True, on_signature={"all": "note"}, **COLLAPSE)
    assert (on.record()["status"], on.record()["control"]) == ("done", None)
    assert on.completed_rounds() == [0, 1, 2, 3, 4]


def test_an_update_that_diverges_ends_the_run_with_the_best_round(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from srlm.training import trainer

    def save(policy: Any, state: Any, folder: Path) -> None:
        if folder.parent.name == "02":  # the second update blew up
            with torch.no_grad():
                for value in policy.parameters():
                    value.fill_(float("nan"))
        save_policy(policy, state, folder)

    monkeypatch.setattr(trainer, "save_policy", save)
    directory = start(tmp_path / "run", rounds=3)
    record = directory.record()
    assert record["status"] == "stopped"
    assert record["control"]["signatures"] == ["update_diverged"]
    assert record["control"]["model_of_round"] in (0, 1)
    assert directory.completed_rounds() == [0, 1]
