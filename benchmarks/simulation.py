"""The simulation engine beside a straightforward PyTorch loop, its scaling, and its largest problem.

Usage: python benchmarks/simulation.py [--no-large]

Setting: linear softmax, 200 prompts x 50 responses, d = 32, n = 1000 pairs, 10 rounds, beta = 1. The loop samples with
torch and minimises eq. 3 by Adam on the same pairs until its loss is within 1e-6 of where it began, relative (the least
squares solution of the engine reaches 0 up to rounding). Prints Markdown; the committed output is
benchmarks/results/simulation.md. Memory is each child process's own peak.
"""

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from srlm.policies.instances import random_softmax
from srlm.simulation.engine import simulate

_BASE = {"prompts": 200, "responses": 50, "dimensions": 32, "pairs": 1000, "rounds": 10, "seeds": 1000}
_BETA, _NORM = 1.0, 12.0


def ours(**changes: int) -> tuple[float, float]:
    """Seconds of one call (CPU and wall)."""
    said = _BASE | changes
    start = random_softmax(np.random.default_rng(0), said["prompts"], said["responses"], said["dimensions"], _NORM)
    cpu, wall = time.process_time(), time.perf_counter()
    simulate(start.features, start.theta, beta=_BETA, pairs=said["pairs"], rounds=said["rounds"], seeds=said["seeds"])
    return time.process_time() - cpu, time.perf_counter() - wall


def torch_loop(seeds: int) -> tuple[float, float]:
    """Seconds of the plain loop."""
    import torch

    start = random_softmax(np.random.default_rng(0), 200, 50, 32, _NORM)
    phi = torch.tensor(start.features)
    cpu, wall = time.process_time(), time.perf_counter()
    for seed in range(seeds):
        torch.manual_seed(seed)
        theta = torch.tensor(start.theta)
        for _ in range(_BASE["rounds"]):
            logps = torch.log_softmax(phi @ theta, dim=1)
            prompts = torch.randint(len(phi), (_BASE["pairs"],))
            drawn = torch.multinomial(logps[prompts].exp(), 2, replacement=True)
            delta = logps[prompts, drawn[:, 0]] - logps[prompts, drawn[:, 1]]
            policy = theta.clone().requires_grad_()
            optimizer = torch.optim.Adam([policy], lr=0.1)
            first = None
            for _ in range(5000):
                now = torch.log_softmax(phi @ policy, dim=1)
                ratio = now[prompts, drawn[:, 0]] - now[prompts, drawn[:, 1]] - delta
                loss = ((_BETA * ratio - delta) ** 2).mean()
                value = float(loss.detach())
                first = value if first is None else first
                if value <= 1e-6 * first:
                    break
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            theta = policy.detach()
    return time.process_time() - cpu, time.perf_counter() - wall


def large() -> tuple[float, float]:
    """10,000 prompts x 1,000 responses x d = 256, one seed, one round, features in float32."""
    rng = np.random.default_rng(0)
    features = np.empty((10_000, 1000, 256), dtype=np.float32)
    for block in features.reshape(100, -1, 256):
        rng.standard_normal(dtype=np.float32, out=block)
        block /= 16
    theta = rng.standard_normal(256) * 0.5
    cpu, wall = time.process_time(), time.perf_counter()
    simulate(features, theta, beta=_BETA, pairs=10_000, rounds=1)
    return time.process_time() - cpu, time.perf_counter() - wall


def _child(function: Callable[..., Any], arguments: dict[str, Any], sink: Any) -> None:
    sink.send((*function(**arguments), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6))


def measured(function: Callable[..., Any], **arguments: Any) -> tuple[float, float, float]:
    """(CPU seconds, wall seconds, peak GB) of a call in a process of its own."""
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=_child, args=(function, arguments, send))
    child.start()
    found = receive.recv()
    child.join()
    return found


def main() -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when begun\n")
    engine, loop = measured(ours), measured(torch_loop, seeds=1)
    print("| | seeds | CPU s | wall s | CPU s a seed | peak GB |\n|---|---|---|---|---|---|")
    print(f"| engine | 1000 | {engine[0]:.1f} | {engine[1]:.1f} | {engine[0] / 1000:.4f} | {engine[2]:.2f} |")
    print(f"| PyTorch loop | 1 | {loop[0]:.1f} | {loop[1]:.1f} | {loop[0]:.2f} | {loop[2]:.2f} |")
    print(f"\n**{loop[0] / (engine[0] / 1000):.0f} times** faster per seed in CPU time, "
          f"{loop[1] / (engine[1] / 1000):.0f} times in wall time.\n")  # fmt: skip
    print("| growing | values | CPU s | exponent |\n|---|---|---|---|")
    small = {"seeds": 64, "rounds": 3}
    for name, values in (
        ("seeds", (64, 128, 256, 512)), ("pairs", (4000, 8000, 16000, 32000)),
        ("prompts", (1600, 3200, 6400, 12800)), ("responses", (400, 800, 1600, 3200)),
    ):  # fmt: skip
        spent = [min(measured(ours, **(small | {name: value}))[0] for _ in range(2)) for value in values]
        exponent = np.polyfit(np.log(values), np.log(spent), 1)[0]
        print(f"| {name} | {', '.join(map(str, values))} | {', '.join(f'{s:.2f}' for s in spent)} | {exponent:.2f} |")
    if "--no-large" not in sys.argv:
        cpu, wall, memory = measured(large)
        print(
            f"\n10,000 prompts x 1,000 responses x d = 256, one round: {wall:.0f} s ({cpu:.0f} s CPU), peak "
            f"{memory:.1f} GB."
        )


if __name__ == "__main__":
    main()
