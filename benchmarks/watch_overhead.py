"""What `srlm.watch` adds to a step of trl's GRPOTrainer on a tiny model (2 layers, 32 wide; 64 completions a step).

Usage: python benchmarks/watch_overhead.py      Prints Markdown, which ends benchmarks/results/alarms.md.
CPU seconds of one thread inside the watcher's hooks beside those of whole steps, medians; a larger model lowers it.
"""

import tempfile
import time
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any

from tests.watching import real_runs
from transformers import TrainerCallback

import srlm

spent: list[float] = []


def timed(function: Any) -> Any:
    """The same, its seconds noted."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent.append(time.process_time() - began)

    return run


class Clock(TrainerCallback):
    """CPU seconds from the beginning of a step to its end."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.began = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append(time.process_time() - self.began)


def main() -> None:
    print("\n## What it costs\n\n| tokens a completion | step of GRPO (CPU s) | in the watcher (CPU s) | share |")
    print("|---|---|---|---|")
    for tokens, more in (("2", {}), ("32", {"max_completion_length": 32, "generation_kwargs": {"min_new_tokens": 32}})):
        watcher, clock = srlm.watch(answers="number"), Clock()
        watcher.reward, watcher.on_step_end = timed(watcher.reward), timed(watcher.on_step_end)
        spent.clear()
        with tempfile.TemporaryDirectory() as folder:
            real_runs.train(Path(folder), real_runs.right, steps=30, rate=1e-3, watcher=watcher, beside=[clock], **more)
        step = median(clock.steps[5:])
        mine = median(a + b for a, b in zip(spent[10::2], spent[11::2], strict=True))
        print(f"| {tokens} | {step:.4f} | {mine:.5f} | {mine / step:.1%} |")


if __name__ == "__main__":
    main()
