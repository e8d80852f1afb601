"""Run folders made from exact policies, so that what a page must say is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srlm.measure.answer_forecast import forecast_answers
from srlm.measure.majorities import majorities
from srlm.measure.round import measure_answer_round
from srlm.records.numerics import Drift
from srlm.records.responses import Complete, ModeBracket, Response, Rollout
from srlm.records.rounds import SPLITS, RoundRecord, Split
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import modes_to_table, samples_to_table
from srlm.tasks.prompts import Prompt

BETA = 2.0
SAMPLES = 4
DRIFT = Drift(responses=SAMPLES, max=0.0, mean=0.0, bias=0.0)


def _bracket(value: float, slack: float = 0.0) -> dict[str, float]:
    return {"lower": value * (1 - slack), "upper": value * (1 + slack)}


def _known(policy: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Z/l^S and T+/l^S of P8 at every prompt: the three likeliest responses are known, one prefix holds all others."""
    top = np.sort(policy, axis=1)[:, ::-1]
    return ((top[:, :3] / top[:, :1]) ** power).sum(axis=1), (top[:, 3:].sum(axis=1) / top[:, 0]) ** power


def _exact(policy: np.ndarray, power: float) -> dict[str, Any]:
    """P8's bracket of the exact round to this power."""
    inside, outside = _known(policy, power)
    ends = {"lower": float(inside.mean()), "upper": float((inside + outside).mean())}
    return {
        "kappa": ends,
        "log_kappa": {name: float(np.log(value)) for name, value in ends.items()},
        "failure": {"lower": float(np.mean(inside >= 2)), "upper": float(np.mean(inside + outside >= 2))},
        "tau": float(np.mean(outside / (inside + outside))),
    }


def _forecast(base: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    """P8 iterated; the point is the truth."""
    told = []
    for number in range(rounds + 1):
        power = (1 + 1 / BETA) ** number
        exact, (inside, outside) = _exact(base, power), _known(base, power)
        top = np.sort(base, axis=1)[:, ::-1][:, :3]
        right = np.where(base[:, 0] >= top[:, 2], (base[:, 0] / top[:, 0]) ** power, 0.0)
        truth = float(((base / top[:, :1]) ** power).sum(axis=1).mean())
        told.append(
            {
                "round": number,
                "power": power,
                "kappa": exact["kappa"],
                "log_kappa": exact["log_kappa"],
                "failure_rate": exact["failure"],
                "kappa_point": truth,
                "log_kappa_point": float(np.log(truth)),
                "projection_kappa": float(inside.mean()),
                "sample_accuracy": {
                    "lower": float(np.mean(right / (inside + outside))),
                    "upper": float(np.mean((right + outside) / (inside + outside))),
                },
            }
        )
    return told


def _projection(before: np.ndarray, now: np.ndarray) -> dict[str, Any]:
    """The projection onto the three likeliest responses of `before`, held against `now`."""
    inside, outside = _known(before, 1 + 1 / BETA)
    order = np.argsort(before, axis=1)[:, :-4:-1]
    q = np.take_along_axis(before, order, axis=1) ** (1 + 1 / BETA)
    q /= q.sum(axis=1, keepdims=True)
    distance = (q * np.log(q / np.take_along_axis(now, order, axis=1))).sum(axis=1)
    return {
        "responses": 3.0,
        "tau": float(np.mean(outside / (inside + outside))),
        "tau_max": float(np.max(outside / (inside + outside))),
        "target_kappa": float(inside.mean()),
        "distance": float(np.median(distance)),
        "distance_max": float(distance.max()),
        "distance_worst_prompt": int(distance.argmax()),
    }


def _recent(policy: np.ndarray, base: np.ndarray, previous: np.ndarray | None) -> dict[str, Any]:
    """What records gained with the projection: the exact round's bracket, fates, what is kept, intervals."""
    modes, first, right = policy.argmax(axis=1), base.argmax(axis=1), policy.argmax(axis=1) == 0
    exact, was = _exact(policy, 1 + 1 / BETA), first == 0
    kept = np.where(modes == first, policy.max(axis=1), 0.0)
    counts = (was & right, ~was & right, was & ~right, ~was & ~right)
    fates = dict(zip(("kept", "learned", "corrupted", "still_wrong"), (int(one.sum()) for one in counts), strict=True))
    shares = {
        "sample_accuracy": policy[:, 0].mean(), "greedy_accuracy": right.mean(), "mode_accuracy": right.mean(),
        "failure_rate": np.mean(policy.max(axis=1) <= 0.5), "mode_drift": np.mean(modes != first),
        "kept_confidence": kept.mean(),
    }  # fmt: skip
    return {
        "population": {
            "exact_round": exact["kappa"],
            "log_exact_round": exact["log_kappa"],
            "exact_round_failure": exact["failure"],
            "tau": exact["tau"],
        },
        "kept_confidence": float(kept.mean()),
        "fates": {"mode": fates, "majority": fates},
        "flips": None if previous is None else float(np.mean(modes != previous.argmax(axis=1))),
        "distinct": float(np.mean((1 - (1 - policy) ** SAMPLES).sum(axis=1)) / SAMPLES),
        "entropy": float(np.mean(-(policy * np.log(policy)).sum(axis=1))),
        "intervals": {
            name: {"lower": max(0.0, float(at) - 0.125), "upper": min(1.0, float(at) + 0.125), "level": 0.95}
            for name, at in shares.items()
        },
    }


def _retention(base: np.ndarray, now: np.ndarray, number: int) -> dict[str, Any]:
    apart = (base * np.log(base / now)).sum(axis=1)
    kl = {"kl_base": float(apart.mean()), "kl_base_se": float(apart.std(ddof=1) / np.sqrt(len(apart)))}
    return kl | {"responses": SAMPLES * len(base), "text": -3.125 - number, "text_base": -3.125, "tokens": 100}


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
        exported: int | None = None,
    ) -> Path:
        generator = np.random.default_rng(7)
        base: dict[Split, np.ndarray] = {
            "train": generator.dirichlet(np.full(8, 0.6), size=12) + 1e-9,
            "held_out": generator.dirichlet(np.full(8, 0.6), size=6) + 1e-9,
        }
        settings = {
            "loss_type": "projection",
            "model": f"toy {word}",
            "beta": BETA,
            "rounds": rounds if planned is None else planned,
        }
        about = {
            "seed": 7,
            "prompts": {"train": 12, "held_out": 6},
            "versions": {"srlm": "0.1.0", "torch": "2.13.0+cpu"},
        }
        run = RunDirectory.create(folder, settings | (configuration or {}), about)
        past: list[dict[Split, np.ndarray]] = []
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
            measured = {name: _split_metrics(now[name], base[name], slack) for name in SPLITS}
            fresh: dict[str, Any] = {}
            for name in SPLITS:
                measured[name] |= _recent(now[name], base[name], past[-1][name] if past else None)
            fresh["retention"] = _retention(base["held_out"], now["held_out"], number)
            fresh["projection"] = _projection(past[-1]["train"], now["train"]) if past else None
            if number == 0:
                fresh["forecast"] = _forecast(now["train"], rounds if planned is None else planned)
                fresh["forecast_held_out"] = _forecast(now["held_out"], rounds) if held_out else None
            past.append(now)
            place = run.round(number)
            place.write_table("modes", modes_to_table(prompts, modes, 2.0))
            place.write_table("samples", samples_to_table(prompts, rollouts, 3.0, DRIFT))
            place.write_metrics(
                {"round": number}
                | measured["train"]
                | {"held_out": measured["held_out"] if held_out else None}
                | fresh
                | {"seconds": {"sample": 3.0, "certify": 2.0, "train": 5.0 if number else 0.0}}
                | {"tokens": {"sampled": 240, "trained": 240 if number else 0}, "loss": 0.5 if number else None}
                | (more(number) if more else {})
            )
        run.update(status=status, reason=reason)
        if exported is not None:
            run.update(choice={"round": exported, "by": "held_out", "reason": f"round {exported} is kept {word}"})
        return folder

    return make


@pytest.fixture(scope="session")
def make_answer_run() -> Callable[..., Path]:
    """Writes a run at the level of answers: draws from laws of answers that P10 sharpens, measured as a run does."""

    def make(
        folder: Path,
        rounds: int = 2,
        held_out: bool = True,
        word: str = "",
        known: bool = True,
        until_certain: bool = False,
        unread: float = 0.0,
        configuration: dict[str, Any] | None = None,
    ) -> Path:
        generator, draws = np.random.default_rng(7), 12
        splits: list[Split] = [
            name for name, count in zip(SPLITS, (16, 8 * held_out), strict=True) for _ in range(count)
        ]
        laws = generator.dirichlet((3.0, 1.5, 0.8, 0.4), size=len(splits))
        settings = {
            "model": f"toy {word}", "level": "answer", "beta": None, "rounds": rounds, "rewards": ["answer"],
            "loss_type": "weighted", "num_generations": draws, "confidence": 0.9,
        }  # fmt: skip
        about = {"seed": 7, "prompts": {"train": 16, "held_out": 8}, "versions": {"srlm": "0.1.0"}}
        run = RunDirectory.create(folder, settings | (configuration or {}), about)
        prompts = [Prompt(f"question {at} {word}", split, ("0",)) for at, split in enumerate(splits)]
        drawn: list[list[Rollout]] = []
        history: list[RoundRecord] = []
        for number in range(rounds + 1):
            sharp = laws ** (2.0**number)
            sharp /= sharp.sum(axis=1, keepdims=True)
            drawn.append([])
            for at, law in enumerate(sharp):
                some = []
                for answer in generator.choice(4, draws - (8 if until_certain and at % 2 else 0), p=law):
                    way, lost = int(generator.integers(0, 90)), bool(generator.random() < unread)
                    complete = Complete((int(answer), way, 0), float(np.log(law[answer] / 90)), True)
                    text = f"because {way}, so {answer} {word}"
                    right = bool(answer == 0 and not lost) if known else None
                    some.append(Response(complete, text, right, 1.0, 1.0, None if lost else f"{answer}{word}"))
                drawn[number].append(Rollout(at, tuple(some), some[0]))
            told: dict[str, Any] = {"beta": 1.0}
            if number == 0:
                for field, split in (("forecast", "train"), ("forecast_held_out", "held_out")):
                    of = [one for one, name in zip(drawn[0], splits, strict=True) if name == split]
                    now = majorities(of, None, 0.9) if of else []
                    told[field] = forecast_answers(now, of, 1.0, rounds, 0.9, draws=draws) or None
            record = measure_answer_round(
                number, splits, drawn[number], base=drawn[0], previous=drawn[number - 1] if number else None,
                confidence=0.9, budget=draws if until_certain else None, history=history,
                seconds={"sample": 3.0, "train": 5.0 if number else 0.0}, **told,
            )  # fmt: skip
            history.append(record)
            place = run.round(number)
            place.write_table("samples", samples_to_table(prompts, drawn[number], 3.0, DRIFT))
            place.write_metrics(record.to_document())
        run.update(status="done")
        return folder

    return make
