"""Every reward and every update, run for real on a tiny model, moves what it should."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.report.reading import read_run
from srlm.rewards import REWARDS
from srlm.training.updates import UPDATES

SETTING: dict[str, Any] = {
    "num_generations": 16,
    "learning_rate": 3e-3,
    "num_train_epochs": 8.0,
    "on_signature": {"all": "note"},
}
# Rewards have units of their own; beta is of the size of their spread on this model, so that an update is felt. The
# judge's scores move with the policy that gives them; it has a run of its own in test_judge.py.
BETA = {
    "log_probability": 1.0,
    "length_normalised": 0.5,
    "self_certainty": 0.05,
    "entropy": 0.05,
    "majority_vote": 0.03,
    "answer": 0.3,
    "base_log_probability": 1.0,
    "random": 0.3,
}


# Answers of a model that writes at random: the first visible character.
ANSWERS: dict[str, Any] = {"level": "answer", "answers": r"regex:\A\s*(\S)", "accept_unreadable": True}


def test_no_reward_is_left_out() -> None:
    assert set(BETA) | {"judge"} == set(REWARDS)


@pytest.mark.parametrize("reward", BETA)
def test_a_round_raises_the_reward_it_was_given(reward: str, start: Callable[..., Any], tmp_path: Path) -> None:
    level = ANSWERS if reward == "answer" else {}
    run = start(tmp_path / "run", rewards=[reward], **(SETTING | level | {"beta": BETA[reward], "rounds": 2}))
    # Recorded with an update are the rewards of the round before, so round 2 tells what round 1's update earned.
    before, after = (run.round(number).metrics()["reward"]["mean"] for number in (1, 2))
    assert after > before


@pytest.mark.parametrize(
    "loss", [name for name in UPDATES if name != "likelihood" and "answers" not in UPDATES[name].needs]
)
def test_a_round_of_every_update_but_the_control_lowers_kappa(
    loss: str, start: Callable[..., Any], tmp_path: Path
) -> None:
    run = start(tmp_path / "run", loss_type=loss, **(SETTING | {"rounds": 1}))
    before, after = (run.round(number).metrics()["kappa"]["upper"] for number in (0, 1))
    assert after < before


@pytest.mark.parametrize("loss", ["weighted", "leave_one_out", "majority"])
def test_a_round_of_answers_makes_the_majority_surer(loss: str, start: Callable[..., Any], tmp_path: Path) -> None:
    run = start(tmp_path / "run", loss_type=loss, **(SETTING | ANSWERS | {"rounds": 1, "beta": 1.0}))
    before, after = (run.round(number).metrics()["answers"] for number in (0, 1))
    assert after["kappa_estimate"] < before["kappa_estimate"]
    assert run.round(1).metrics()["projection"] is None


@pytest.mark.parametrize("loss", ["dpo", "ipo"])
def test_an_anchor_keeps_likelihoods_from_sinking(loss: str, start: Callable[..., Any], tmp_path: Path) -> None:
    means = []
    for weight in (0.0, 2.0):
        run = start(tmp_path / str(weight), loss_type=loss, anchor_weight=weight, **(SETTING | {"rounds": 1}))
        means.append(run.round(1).metrics()["self_reward_mean"])
    assert means[1] > means[0] + 0.1
    assert read_run(run.path).off_theory == f"the update {loss} and a likelihood anchor"
