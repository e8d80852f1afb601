"""Control: what a run does about its signatures, and that planted collapses end where they should."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm.errors import InputError
from srlm.measure.decision import (
    DEFAULT_ACTIONS,
    GATES,
    Gate,
    best_round,
    checked_actions,
    decide,
    diverged,
    round_to_return_to,
)
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
    ("action", "keep", "says"), [("note", None, ""), ("stop", 1, "stopped there"), ("rollback", 1, "back to round 1")]
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


def test_stopping_keeps_what_the_gate_keeps_and_going_back_leaves_the_round_of_the_signature() -> None:
    history = [scored(0.1), scored(0.3), scored(0.4, names=("kappa_rises",))]
    cases: list[tuple[str, Gate, int]] = [("stop", "held_out", 2), ("rollback", "held_out", 1), ("stop", "off", 2)]
    for action, gate, keep in cases:
        decision = decide(history, checked_actions({"kappa_rises": action}), gate)
        assert decision is not None
        assert decision.keep == keep
    # A gate that is off does not say which round was best: going back asks the held-out prompts all the same.
    history = [scored(0.1), scored(0.4), scored(0.3), scored(0.2, names=("kappa_rises",))]
    decision = decide(history, checked_actions(None), "off")
    assert decision is not None
    assert (decision.keep, diverged(3, history[:3], "nan", "off").keep) == (1, 1)
    assert round_to_return_to(history, "off").round == best_round(history).round == 1
    assert best_round(history, "off").round == 3


def scored(
    held_out: float | None, train: float | None = None, third: float | None = None, names: tuple[str, ...] = ()
) -> RoundRecord:
    """A round with these scores; its held-out answers say the opposite of them."""
    record = round_with(None if held_out is None else 1 - held_out, *names)
    splits = {"train": record.train, "held_out": record.held_out, "gate": record.train}
    scores = {"train": train, "held_out": held_out}
    changes: dict[str, Any] = {
        name: split.model_copy(update={"kept_confidence": scores[name]})
        for name, split in splits.items()
        if split is not None and name in scores
    }
    assert record.train is not None
    changes["gate"] = record.train.model_copy(update={"accuracy": Accuracy(sample=third)})
    return record.model_copy(update=changes)


def test_the_gate_keeps_the_round_that_holds_most_of_the_first_modes_whatever_held_out_answers_say() -> None:
    choice = best_round([scored(0.1, 0.1), scored(0.6, 0.3), scored(0.5, 0.9)])
    assert (choice.round, choice.by) == (1, "held_out")
    assert choice.reason == (
        "round 1 is kept for the largest mean confidence in round 00's modes (held-out prompts): 0.600, against "
        "0.500 at round 2"
    )
    assert best_round([scored(0.2), scored(0.2)]).round == 0  # of equals the one that changed the model least


def test_trained_prompts_decide_where_no_held_out_prompt_was_certified() -> None:
    choice = best_round([scored(None, 0.1), scored(None, 0.7), scored(None, 0.6)])
    assert (choice.round, choice.by) == (1, "train")
    assert "(train prompts)" in choice.reason
    without = [one.model_copy(update={"held_out": None}) for one in (scored(None, 0.1), scored(None, 0.7))]
    assert best_round(without).by == "train"


def test_rounds_are_compared_by_what_every_round_has() -> None:
    # Round 0 was measured by an older srlm: answers decide as they did then, and the reason says what that costs.
    choice = best_round(
        [scored(0.9).model_copy(update={"held_out": round_with(0.4).held_out}), scored(0.9), scored(0.7)]
    )
    assert (choice.round, choice.by) == (0, "accuracy")
    assert "flatters" in choice.reason


def test_answers_of_the_third_split_decide_on_request_only() -> None:
    history = [scored(0.1, third=0.5), scored(0.6, third=0.4), scored(0.5, third=0.8)]
    assert best_round(history).round == 1
    choice = best_round(history, "answers")
    assert (choice.round, choice.by) == (2, "answers")
    assert "third split: 0.800" in choice.reason
    history[1] = scored(0.6)
    choice = best_round(history, "answers")
    assert (choice.round, choice.by) == (1, "held_out")
    assert choice.reason.startswith("the third split's answers are not known in every round; round 1 is kept")


def test_a_gate_that_is_off_keeps_the_last_round() -> None:
    assert (best_round([scored(0.9), scored(0.1)], "off").round, best_round([scored(0.9)], "off").by) == (1, "last")


def test_without_certified_modes_the_best_held_out_accuracy_decides_then_the_lowest_kappa_then_signatures() -> None:
    assert best_round([round_with(0.3), round_with(0.5), round_with(0.4)]).round == 1
    assert best_round([round_with(0.5, log_kappa=3.0), round_with(0.5, log_kappa=2.0)]).round == 1
    # Without answers: the last round before anything that is not merely noted.
    history = [round_with(None), round_with(None, "modes_drift"), round_with(None, "kappa_rises")]
    assert (best_round(history).round, best_round(history).by) == (1, "signatures")
    assert (best_round([round_with(None), round_with(None)]).round, best_round([round_with(None)]).by) == (1, "last")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_a_gate_watched_round_by_round_never_returns_to_a_round_whose_weights_were_let_go(
    scores: list[tuple[float, float]],
) -> None:
    """After every round only the best one's weights and the last one's stay (`keep_checkpoints`)."""
    for gate in GATES:
        history: list[RoundRecord] = []
        kept: set[int] = set()
        for number, (held_out, third) in enumerate(scores):
            history.append(scored(held_out, third=third))
            kept = (kept | {number}) & {round_to_return_to(history, gate).round, number}
            assert {best_round(history, gate).round, round_to_return_to(history, gate).round} <= kept


COLLAPSE: dict[str, Any] = {"rounds": 3, "rewards": ["noise"], "learning_rate": 1.0, "lr_scheduler_type": "constant"}
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
    assert control["round"] == len(directory.completed_rounds()) - 1 < COLLAPSE["rounds"]
    assert control["model_of_round"] < control["round"]
    assert all(DEFAULT_ACTIONS[name] == "rollback" for name in control["signatures"])
    assert f"went back to round {control['model_of_round']}" in record["reason"]


@pytest.mark.usefixtures("noise")
def test_the_model_of_a_rolled_back_run_is_the_best_rounds(start: Callable[..., Any], tmp_path: Path) -> None:
    directory = start(tmp_path / "run", **COLLAPSE)
    history = [directory.round(number).metrics() for number in directory.completed_rounds()]
    keep = directory.record()["control"]["model_of_round"]
    assert keep == best_round([directory.round(number).read() for number in directory.completed_rounds()][:-1]).round
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
    assert on.completed_rounds() == list(range(COLLAPSE["rounds"] + 1))


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
