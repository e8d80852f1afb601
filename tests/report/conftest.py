"""Run folders made from exact policies, so that what a page must say is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srlm.records.responses import Complete, ModeBracket, Response, Rollout
from srlm.records.rounds import SPLITS, Drift, Split
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import modes_to_table, samples_to_table
from srlm.tasks.prompts import Prompt

BETA = 2.0
SAMPLES = 4
DRIFT = Drift(responses=SAMPLES, max=0.0, mean=0.0, bias=0.0)


def _bracket(value: float, slack: float = 0.0) -> dict[str, float]:
    return {"lower": value * (1 - slack), "upper": value * (1 + slack)}


def _split_metrics(policy: np.ndarray, base: np.ndarray, slack: float) -> dict[str, Any]:
    """The numbers of section 1 for `policy`, shape (prompts, responses); response 0 is the right one."""
    top = np.sort(policy, axis=1)[:, ::-1]
    margins = np.log(top[:, 0] / top[:, 1])
    modes = policy.argmax(axis=1)
    return {
        "prompts": len(policy),
        "kappa": _bracket(float(np.mean(1 / top[:, 0])), slack),
        "log_kappa": {key: float(np.log(v)) for key, v in _bracket(float(np.mean(1 / top[:, 0])), slack).items()},
        "failure_rate": _bracket(float(np.mean(top[:, 0] <= 0.5))),
        "min_confidence": _bracket(float(top[:, 0].min())),
        "margin": float(margins.min()),
        "median_margin": float(np.median(margins)),
        "certified_share": 1.0 if slack == 0 else 0.5,
        "informative_pairs": float(np.mean(1 - (policy**2).sum(axis=1))),
        "mode_drift": float(np.mean(modes != base.argmax(axis=1))),
        "mean_response_tokens": 5.0,
        "cut_share": 0.25,
        "self_reward_mean": float(np.mean((policy * np.log(policy)).sum(axis=1))),
        "accuracy": {
            "sample": float(policy[:, 0].mean()),
            "greedy": float(np.mean(modes == 0)),
            "mode": float(np.mean(modes == 0)),
        },
        "population": {
            "kappa_bound": float(1 + np.mean(np.exp(-margins / BETA) * (1 / top[:, 0] - 1))),
            "kappa_estimate": float(np.mean(((policy / top[:, :1]) ** (1 + 1 / BETA)).sum(axis=1))),
        },
    }


def _answers(
    policy: np.ndarray, split: Split, start: int, word: str, number: int
) -> tuple[list[Prompt], list[Rollout], list[ModeBracket]]:
    """What `policy` says: its mode in every sample, and a greedy answer that is the mode in other words."""
    prompts, rollouts, modes = [], [], []
    for at, row in enumerate(policy):
        best, logprob = int(row.argmax()), float(np.log(row.max()))
        complete, right = Complete((best, 0), logprob, True), best == 0
        reply = Response(complete, f"response {best} {word}", right, 1.0, 1.0)
        greedy = Response(complete, f"{reply.text} round {number}", right)
        prompts.append(Prompt(f"question {start + at} {word}", split, ("response 0",)))
        rollouts.append(Rollout(start + at, (reply,) * SAMPLES))
        modes.append(ModeBracket((reply,), logprob, logprob, True, greedy))
    return prompts, rollouts, modes


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """Writes a run of exact rounds (pi to the power 1 + 1/beta) into a folder; keyword arguments spoil it."""

    def make(
        folder: Path,
        rounds: int = 3,
        planned: int | None = None,
        held_out: bool = True,
        slack: float = 0.0,
        word: str = "",
        flatten: bool = False,
        move_modes: bool = False,
        status: str = "done",
        reason: str | None = None,
        configuration: dict[str, Any] | None = None,
        more: Callable[[int], dict[str, Any]] | None = None,
    ) -> Path:
        generator = np.random.default_rng(7)
        base = {
            "train": generator.dirichlet(np.full(8, 0.6), size=12) + 1e-9,
            "held_out": generator.dirichlet(np.full(8, 0.6), size=6) + 1e-9,
        }
        settings = {"model": f"toy {word}", "beta": BETA, "rounds": rounds if planned is None else planned}
        about = {
            "seed": 7,
            "prompts": {"train": 12, "held_out": 6},
            "versions": {"srlm": "0.1.0", "torch": "2.13.0+cpu"},
        }
        run = RunDirectory.create(folder, settings | (configuration or {}), about)
        for number in range(rounds + 1):
            power = 1.0 if flatten else (1 + 1 / BETA) ** number
            now = {name: policy**power for name, policy in base.items()}
            if flatten and number:
                now = {name: np.full_like(policy, 1.0) + 0.01 * policy for name, policy in base.items()}
            if move_modes and number:
                now = {name: np.roll(policy, 1, axis=1) for name, policy in now.items()}
            now = {name: policy / policy.sum(axis=1, keepdims=True) for name, policy in now.items()}
            parts = [
                _answers(now[name], name, 100 * at, word, number)
                for at, name in enumerate(SPLITS[: 2 if held_out else 1])
            ]
            prompts, rollouts, modes = ([one for part in parts for one in part[at]] for at in range(3))
            place = run.round(number)
            place.write_table("modes", modes_to_table(prompts, modes, 2.0))
            place.write_table("samples", samples_to_table(prompts, rollouts, 3.0, DRIFT))
            place.write_metrics(
                {"round": number}
                | _split_metrics(now["train"], base["train"], slack)
                | {"held_out": _split_metrics(now["held_out"], base["held_out"], slack) if held_out else None}
                | {"seconds": {"sample": 3.0, "certify": 2.0, "train": 5.0 if number else 0.0}}
                | {"tokens": {"sampled": 240, "trained": 240 if number else 0}, "loss": 0.5 if number else None}
                | (more(number) if more else {})
            )
        run.update(status=status, reason=reason)
        return folder

    return make
