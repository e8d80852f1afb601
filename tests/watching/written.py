"""Runs as other trainers write them, from documented fields, and the rows that they were written from."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]


def rows(steps: int = 6, prompts: int = 4, draws: int = 5, right: float = 0.6, seed: int = 0, first: int = 1) -> Rows:
    """What was drawn: prompt p is answered by 10 p + 1, or by something else near it, or not at all."""
    rng = random.Random(seed)
    drawn = []
    for step in range(first, first + steps):
        for prompt in range(prompts):
            for _ in range(draws):
                truth = 10 * prompt + 1
                answer = rng.choices([truth, truth + rng.randint(1, 2), None], [right, 0.95 - right, 0.05])[0]
                text = "I wonder!?" if answer is None else f"{'so ' * rng.randint(1, 9)}the answer is {answer}."
                text = "?!" * rng.randint(1, 3) if answer is None else text
                drawn.append(
                    {
                        "step": step,
                        "prompt": f"What is {prompt} times ten plus one?",
                        "text": text,
                        "answer": None if answer is None else str(answer),
                        "gold": str(truth),
                        "reward": float(answer == truth),
                    }
                )
    return drawn


def by_step(drawn: Rows) -> dict[int, Rows]:
    steps: dict[int, Rows] = {}
    for one in drawn:
        steps.setdefault(one["step"], []).append(one)
    return steps


def trl(folder: Path, drawn: Rows, chat: bool = False, history: bool = True) -> Path:
    """`output_dir` with completions/completions_{step:05d}.parquet and a checkpoint's trainer_state.json."""
    (folder / "completions").mkdir(parents=True)
    for step, some in by_step(drawn).items():
        told = {
            "step": [step] * len(some),
            "prompt": [[{"role": "user", "content": one["prompt"]}] if chat else one["prompt"] for one in some],
            "completion": [[{"role": "assistant", "content": one["text"]}] if chat else one["text"] for one in some],
            "accuracy_reward": [one["reward"] for one in some],
            "format_reward": [0.5] * len(some),
            "srlm_watch": [float("nan")] * len(some),
            "tokens_seen": [7.25] * len(some),
            "solution": [f"It is \\boxed{{{one['gold']}}}" for one in some],
            "advantage": [0.0] * len(some),
        }
        pq.write_table(pa.table(told), folder / "completions" / f"completions_{step:05d}.parquet")
    if history:
        entries = [
            {
                "step": step,
                "entropy": 1.0 / step,
                "rewards/accuracy_reward/mean": 0.5,
                "rewards/format_reward/mean": 0.5,
                "sampling/sampling_logp_difference/mean": 0.01 * step,
            }
            for step in by_step(drawn)
        ]
        (folder / "checkpoint-9").mkdir()
        (folder / "checkpoint-9" / "trainer_state.json").write_text(json.dumps({"log_history": entries}), "utf-8")
    return folder


def verl_record(one: dict[str, Any]) -> dict[str, Any]:
    told = {"input": one["prompt"], "output": one["text"], "gts": one["gold"], "score": one["reward"]}
    return told | {"step": one["step"], "acc": one["reward"] == 1.0, "request_id": "r"}


def lines(path: Path, records: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    return path


def verl(folder: Path, drawn: Rows) -> Path:
    for step, some in by_step(drawn).items():
        lines(folder / f"{step}.jsonl", [verl_record(one) for one in some])
    return folder


def table_record(one: dict[str, Any]) -> dict[str, Any]:
    told = {"prompt": one["prompt"], "completion": one["text"], "answer": int(one["gold"]), "step": one["step"]}
    return told | {"reward": one["reward"], "logprob": -2.5}


def prime(folder: Path, steps: int = 3) -> tuple[Path, dict[int, list[dict[str, Any]]]]:
    """token_exports/step_N/rank_R.jsonl with a STABLE marker, two ranks; and the records."""
    rng = random.Random(1)
    told: dict[int, list[dict[str, Any]]] = {}
    for step in range(steps):
        for rank in range(2):
            records = []
            for at in range(4):
                own, tail = [5, 6, at % 2], rng.randint(2, 6)
                ours = [rng.uniform(-3, 0) for _ in range(3 + tail)]
                records.append(
                    {
                        "schema_version": 1,
                        "step": step,
                        "token_ids": own + [rng.randint(10, 99) for _ in range(tail)],
                        "loss_mask": [False] * 3 + [True] * tail,
                        "trainer_logprobs": ours,
                        "inference_logprobs": [one + rng.choice([-0.25, 0.25]) for one in ours],
                        "entropy": [0.5] * (3 + tail),
                        "advantages": [0.0] * (3 + tail),
                    }
                )
            lines(folder / "token_exports" / f"step_{step}" / f"rank_{rank}.jsonl", records)
            told.setdefault(step, []).extend(records)
        (folder / "token_exports" / f"step_{step}" / "STABLE").touch()
    return folder, told
