"""How long a plan takes from the shell, start included, and a million evaluations of the bounds.

Usage: python benchmarks/theory.py      Prints Markdown; the committed output is benchmarks/results/theory.md.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from srlm import theory

_PLAN = ["plan", "--kappa0", "130", "--pairs", "192", "--dim", "64", "--radius", "10", "--rounds", "3"]


def least(function: Callable[[], Any], repeats: int = 7) -> float:
    """Seconds of the fastest call."""
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - began)
    return best


def main() -> None:
    srlm = str(Path(sys.executable).with_name("srlm"))
    rng = np.random.default_rng(0)
    kappa, pairs = 1 + 1e4 * rng.random(10**6), 1 + 1e6 * rng.random(10**6)
    rows = (
        ("srlm plan, start included", lambda: subprocess.run([srlm, *_PLAN], check=True, capture_output=True), 0.5),
        ("srlm verify, start included", lambda: subprocess.run([srlm, "verify"], check=True, capture_output=True), 60),
        ("1e6 lower bounds (theorem 4.1)", lambda: theory.failure_lower_bound(kappa, pairs, 50.0), 1),
        ("1e6 of theorem 5.3", lambda: theory.failure_bound(kappa, pairs, 50.0, rounds=3), 1),
        ("1e6 tail integrals", lambda: theory.tail_integral_bound(1 / pairs, 1 / kappa), 1),
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when begun; the fastest of seven\n")
    print("| what | seconds | bar |\n|---|---|---|")
    for name, function, bar in rows:
        print(f"| {name} | {least(function):.2f} | {bar:g} |", flush=True)


if __name__ == "__main__":
    main()
