"""How long P8's bracket, the forecast and P11 take for a thousand prompts.

Usage: python benchmarks/results.py      Prints Markdown; the committed output is benchmarks/results/results.md.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from srlm import theory

PROMPTS, KNOWN, PREFIXES, SAMPLES, DRAWS = 1000, 256, 256, 64, 64


def least(function: Callable[[], Any], repeats: int = 5) -> float:
    """Seconds of the fastest call."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((PROMPTS, KNOWN + PREFIXES))
    table = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    known, prefixes = table[:, :KNOWN], table[:, KNOWN:]
    samples = np.sort(table, axis=1)[:, -SAMPLES:]
    seen = rng.random(samples.shape) < 0.5
    prompts = [
        theory.KnownPrompt(*row, right=rng.random(KNOWN) < 0.3)
        for row in zip(known, prefixes, samples, seen, strict=True)
    ]
    few = [rng.choice(5, DRAWS, p=[0.5, 0.2, 0.1, 0.1, 0.1]).tolist() for _ in range(PROMPTS)]
    many = [np.floor(1 / rng.random(DRAWS)).tolist() for _ in range(PROMPTS)]
    counts = [np.bincount(one, minlength=5) / DRAWS for one in few]
    rows = (
        (
            "P8: brackets of 1,000 prompts x 256 known, 256 open",
            lambda: theory.exact_round_bracket(known, prefixes, 1.0),
            1,
        ),
        ("forecast of the same to T = 10, 64 samples each", lambda: theory.forecast(prompts, 1.0, 10), 1),
        ("the same with its bootstrap", lambda: theory.forecast(prompts, 1.0, 10, rng=np.random.default_rng(0)), 2),
        ("P11: 1,000 prompts x 64 draws of 5 answers", lambda: theory.simultaneous_bracket(few, 0.05), 1),
        ("P11: the same, answers without end", lambda: theory.simultaneous_bracket(many, 0.05), 1),
        ("forecast of 1,000 answer tables to T = 10", lambda: theory.answer_forecast(counts, 1.0, 10), 1),
        ("one plug-in target, 5 answers, K = 64", lambda: theory.plugin_target(counts[0], 1.0, 64), 1),
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when begun; the fastest of five\n")
    print("| what | seconds | bar |\n|---|---|---|")
    for name, function, bar in rows:
        print(f"| {name} | {least(function):.3f} | {bar:g} |", flush=True)


if __name__ == "__main__":
    main()
