"""Rewards: what each one is, and that a function which misbehaves is named."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.records.responses import Complete, Response, Rollout
from srlm.rewards import REWARDS
from srlm.rewards.mixture import reward_mixture
from srlm.tasks.prompts import Prompt

PROMPTS = [Prompt("one", answers=("1",), columns={"weight": 2.0}), Prompt(({"role": "user", "content": "two"},))]


def response(tokens: tuple[int, ...], logprob: float, text: str, entropy: float, certainty: float) -> Response:
    return Response(Complete(tokens, logprob, bool(tokens)), text, entropy=entropy, self_certainty=certainty)


SAMPLES = [
    Rollout(0, (response((1, 2), -1.0, "It is 7.", 0.5, 3.0), response((1, 2, 3, 4), -2.0, "7", 0.25, 4.0))),
    Rollout(1, (response((5,), -0.5, "Yes!", 0.1, 5.0), response((), 0.0, "", 0.0, 0.0))),
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_probability", [[-1.0, -2.0], [-0.5, 0.0]]),
        ("length_normalised", [[-0.5, -0.5], [-0.5, 0.0]]),
        ("self_certainty", [[3.0, 4.0], [5.0, 0.0]]),
        ("entropy", [[-0.5, -0.25], [-0.1, 0.0]]),
        ("majority_vote", [[1.0, 1.0], [0.5, 0.0]]),
    ],
)
def test_a_named_reward_is_its_formula(name: str, expected: list[list[float]]) -> None:
    assert name in REWARDS
    assert reward_mixture(name)(PROMPTS, SAMPLES) == expected


def test_a_function_sees_what_trl_would_show_it_and_more() -> None:
    seen: dict[str, Any] = {}

    def spy(prompts: Any, completions: Any, **kwargs: Any) -> list[float]:
        seen.update(kwargs, prompts=prompts, completions=completions)
        return [0.0] * len(prompts)

    reward_mixture(spy)(PROMPTS, SAMPLES)
    assert seen["prompts"] == ["one", "one", [{"role": "user", "content": "two"}], [{"role": "user", "content": "two"}]]
    assert seen["completions"][2] == [{"role": "assistant", "content": "Yes!"}]
    assert seen["logps"] == [-1.0, -2.0, -0.5, 0.0]
    assert seen["weight"] == [2.0, 2.0, None, None]
    assert seen["answer"][0] == ["1"]


def test_mixtures_are_weighted_sums_and_none_means_not_applicable() -> None:
    async def only_long(prompts: Any, completion_ids: Any, **_: Any) -> list[float | None]:
        return [10.0 if len(tokens) > 1 else None for tokens in completion_ids]

    both = reward_mixture(["log_probability", only_long], [2.0, 0.5])
    assert both(PROMPTS, SAMPLES) == [[3.0, 1.0], [-1.0, 0.0]]
    assert reward_mixture(only_long)(PROMPTS, SAMPLES)[1] == [None, None]


def test_a_data_set_and_a_function_written_for_trl_work_unchanged(tiny_model_folder: Path, tmp_path: Path) -> None:
    from datasets import Dataset

    from srlm.training.config import SelfRewardingConfig
    from srlm.training.trainer import SelfRewardingTrainer

    # As in trl's documentation: columns by name, trainer state, logging; the answer is the column's own value.
    def reward(
        prompts: Any,
        completions: Any,
        completion_ids: Any,
        answer: Any,
        trainer_state: Any,
        log_extra: Any,
        log_metric: Any,
        **kwargs: Any,
    ) -> list[float]:
        log_extra("golden", answer)
        log_metric("step", trainer_state.global_step)
        log_metric("exact", sum(c[0]["content"] == a for c, a in zip(completions, answer, strict=True)) / len(answer))
        return [float(a in c[0]["content"]) for c, a in zip(completions, answer, strict=True)]

    rows = [
        {"prompt": [{"role": "user", "content": f"w{n} w{n + 1}"}], "answer": f"w{n}", "level": n} for n in range(4)
    ]
    config = SelfRewardingConfig(
        output_dir=str(tmp_path / "run"), rounds=1, max_completion_length=3, logging_strategy="no"
    )
    trainer = SelfRewardingTrainer(str(tiny_model_folder), config, Dataset.from_list(rows), reward_funcs=reward)
    metrics = trainer.train().round(1).metrics()
    assert set(metrics["reward"]["metrics"]) == {"step", "exact"}
    assert {metrics["reward"]["min"], metrics["reward"]["max"]} <= {0.0, 1.0}


def raises(**_: Any) -> list[float]:
    raise RuntimeError("no judge today")


@pytest.mark.parametrize(
    ("given", "weights", "message"),
    [
        ("fame", None, "reward 'fame' is unknown; use one of log_probability"),
        ([], None, "empty"),
        (3, None, "reward 3 is unknown"),
        (["entropy"], [1.0, 2.0], "one finite number for each of 1"),
        (["entropy"], [math.nan], "finite"),
    ],
)
def test_rewards_that_cannot_be_used_are_refused(given: Any, weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reward_mixture(given, weights)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raises, "raised RuntimeError: no judge today"),
        (lambda **_: [1.0], "returned 1 values for 4"),
        (lambda **_: [1.0, math.nan, 1.0, 1.0], "returned nan for the prompt 'one'"),
        (lambda **_: ["a"] * 4, "list of numbers"),
        (lambda **_: None, "list of numbers"),
    ],
)
def test_a_misbehaving_function_is_named_with_prompt_and_value(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        reward_mixture(function)(PROMPTS, SAMPLES)


def test_a_run_takes_another_reward_and_refuses_to_resume_with_a_third(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    directory = start(out, rounds=1, rewards=["majority_vote"])
    assert directory.record()["configuration"]["rewards"] == ["majority_vote"]
    with pytest.raises(InputError, match="rewards was"):
        start(out, rounds=1, rewards=["entropy"], resume=True)


def test_a_run_that_fails_says_so_and_goes_on_when_resumed(start: Callable[..., Any], tmp_path: Path) -> None:
    from srlm.records.progress import Observer

    class Fails(Observer):
        def stage(self, round_number: int, name: str, total: int) -> None:
            if (round_number, name) == (1, "train"):
                raise RuntimeError("the lights went out")

    out = tmp_path / "run"
    with pytest.raises(RuntimeError, match="lights"):
        start(out, rounds=1, observer=Fails())
    from srlm.records.run_directory import RunDirectory

    record = RunDirectory.open(out).record()
    assert (record["status"], record["reason"]) == ("failed", "RuntimeError: the lights went out")
    assert start(out, rounds=1, resume=True).record()["status"] == "done"
