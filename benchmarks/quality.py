"""What self-rewarding makes of a model at equal wall time: ours, its controls, best of N and trl's trainers.

Usage: python benchmarks/quality.py METHOD... [--seeds 0 1]    METHOD: a name in METHODS, or "all"
       python benchmarks/quality.py [--table]                  the Markdown tables, and the picture docs/quality.svg

Embedded model, bundled questions, LoRA r = 16, K = 4 responses of at most 12 tokens, 8 questions a step: the defaults
of `srlm run`. Each (method, seed) runs in a process of its own, one at a time, and leaves one file in
benchmarks/results/quality/. What is there is not done again; a run of srlm that was killed goes on where it stopped.

Evaluation is one and the same for all: 4 samples a prompt from the same uniform numbers and the proved mode of every
trained and held-out prompt, at the base model, after every round of ours, and where trl's training time passes MARKS.
Seconds never count loading and never count this evaluation. Of ours they count everything that the run itself did until
the policy was on disk: drawing from and searching trained and held-out prompts in every round before, updates,
diagnostics, records, checkpoints. The run measures that policy, too; the seconds with that stand beside. Greedy answers
and best of N need neither certification nor held-out prompts, so their runs have none; likelihood of the mode alone
needs no second response, so that its search stops at the first. Trl's seconds are its `train()`.
trl's constant learning rate (two values) makes no policy wait for the end of a schedule. OnlineDPOTrainer's reward is
the log-probability that it computes itself; GRPOTrainer has none before its rewards, and gets one from a forward pass
that shares prompts.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quality_contenders import Method, run_srlm, run_trl
from quality_tables import draw, print_tables, read_results
from srlm.records.atomic import write_text

ROOT = Path(__file__).resolve().parent.parent
RATES = (2e-4, 1e-3)
BUDGET = 480.0  # about twice what ours takes for its three rounds


def control(title: str, seeds: int = 1, **options: Any) -> Method:
    """A run that differs from ours in one thing; nothing stops it, so that its whole course is seen."""
    return Method(title, seeds, options | {"on_signature": {"all": "note"}})


def best_of(count: int) -> Method:
    options = {"num_generations": count, "on_signature": {"all": "note"}}
    return Method(f"best of {count}", 1, options, lambda drawn, mode: max(drawn.responses, key=lambda one: one.logprob))


METHODS = {
    "ours": Method("ours", 5),
    "mode_likelihood": control("likelihood of the certified mode", 3, loss_type="mode_likelihood", k_best=1),
    **{f"grpo_{rate:g}": Method(f"GRPOTrainer, {rate:g}", trl=("grpo", rate)) for rate in RATES},
    **{f"online_dpo_{rate:g}": Method(f"OnlineDPOTrainer, {rate:g}", trl=("online_dpo", rate)) for rate in RATES},
    "regression": control("regression (the old default)", loss_type="regression"),
    "likelihood": control("likelihood of its own samples", loss_type="likelihood"),
    "random": control("random reward", rewards=["random"]),
    "base_judge": control("the base model as judge", rewards=["base_log_probability"]),
    "greedy": Method(
        "likelihood of greedy answers",
        1,
        {"num_generations": 2, "on_signature": {"all": "note"}},
        lambda drawn, mode: mode.greedy,
    ),
    **{f"best_of_{count}": best_of(count) for count in (4, 16, 64)},
}


def child(asked: Any, seed: int) -> None:
    """One (method, seed) in this process."""
    import torch

    warnings.simplefilter("ignore")
    method, began = METHODS[asked.method], os.getloadavg()[0]
    setup = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "trl": version("trl") if method.trl else None,
        "options": method.options,
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
        ).stdout.strip(),
    }

    def save(points: Any, checksum: str, done: bool = False, **more: Any) -> None:
        load = [round(began, 1), round(os.getloadavg()[0], 1)]
        about = {
            "method": asked.method,
            "title": method.title,
            "seed": seed,
            "done": done,
            "checksum": checksum,
            **setup,
            "load": load,
        }
        text = json.dumps(about | more | {"points": points}, allow_nan=False, separators=(",", ":"))
        write_text(asked.folder / f"{asked.method}-{seed}.json", text + "\n")

    (run_trl if method.trl else run_srlm)(method, seed, asked, save)


def main() -> None:
    parser = argparse.ArgumentParser(description="Quality at equal wall time; see the head of this file.")
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=f"all, {', '.join(METHODS)}")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: those of the method")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of training for trl's trainers")
    parser.add_argument("--table", action="store_true", help="print the tables and draw the picture")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--prompts", default="bundled")
    parser.add_argument("--folder", type=Path, default=ROOT / "benchmarks" / "results" / "quality")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "quality", help="folders of runs")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "quality.svg")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    chosen = list(METHODS) if asked.methods == ["all"] else asked.methods
    if unknown := [name for name in chosen if name not in METHODS]:
        parser.error(f"no method {', '.join(unknown)}; there are all, {', '.join(METHODS)}")
    if asked.child:
        asked.method = chosen[0]
        child(asked, asked.seeds[0])
        return
    failed = [
        f"{name}-{seed}"
        for name in chosen
        for seed in (range(METHODS[name].seeds) if asked.seeds is None else asked.seeds)
        if not run_part(asked, name, seed)
    ]
    if asked.table or not chosen:
        found = read_results(asked.folder, METHODS)
        if not found:
            print(f"{asked.folder} holds no finished result yet; measure with: python benchmarks/quality.py all")
            return
        print_tables(found)
        draw(found, asked.picture)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def run_part(asked: Any, name: str, seed: int) -> bool:
    """One (method, seed) in a process of its own, unless it is done; False where it failed. One at a time, or the two
    would slow each other down.
    """
    from filelock import FileLock

    asked.runs.mkdir(parents=True, exist_ok=True)
    with FileLock(asked.runs / ".lock"):
        file = asked.folder / f"{name}-{seed}.json"
        if file.is_file() and json.loads(file.read_text(encoding="utf-8"))["done"]:
            print(f"{name}-{seed}: done before", flush=True)
            return True
        began = time.perf_counter()
        same = [f"--{key}={getattr(asked, key)}" for key in ("budget", "model", "prompts", "folder", "runs")]
        code = subprocess.run([sys.executable, __file__, name, f"--seeds={seed}", *same, "--child"]).returncode
        print(f"{name}-{seed}: {'done' if code == 0 else 'failed'} in {time.perf_counter() - began:.0f} s", flush=True)
        return code == 0


if __name__ == "__main__":
    main()
