"""Failure against n where statistics bind: noisy rewards, and the start's modes to be kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, curve, slope
from srlm.simulation.experiments._softmax import simulated, start_of
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell

QUESTION = "Does the failure rate fall like n^(-1/2)?"


def _cell(cell: Cell, stream: np.random.SeedSequence) -> np.ndarray:
    """Share of prompts that fail after T rounds, by seed."""
    start = start_of(cell, np.random.default_rng(cell["seed"]))
    found = simulated(start, cell, int(stream.generate_state(1)[0]), reward=Noisy(cell["noise"]))
    return found.unfaithful[:, -1]


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    sizes = sorted(int(n) for n in values["pairs"])
    cells = [{**values, "pairs": n, "seed": workers.seed} for n in sizes]
    fails = np.stack(workers.sweep(_cell, cells), axis=1)
    exponent = slope(sizes, fails, np.random.default_rng(workers.seed))
    mean = fails.mean(axis=0)
    guide = mean[-1] * (np.array(sizes) / sizes[-1]) ** -0.5
    chart = Chart(
        "failure rate against pairs a round",
        "pairs n",
        "failure rate (of the start's modes)",
        (
            band("measured", sizes, fails),
            curve("n^(-1/2)", sizes, guide, 1, "dashed"),
        ),
        x_log=True,
        y_log=True,
    )
    inside = exponent.low <= -0.5 <= exponent.high
    return ExperimentResult(
        "sample-size",
        QUESTION,
        dict(values),
        {
            "pairs": sizes,
            "failure": mean.tolist(),
            "standard_error": (fails.std(axis=0, ddof=1) / len(fails) ** 0.5).tolist(),
        },
        (chart,),
        f"After {values['rounds']} rounds the failure rate falls like n^{exponent} (95 % bootstrap interval), which "
        + ("contains" if inside else "does not contain")
        + " the exponent -1/2 of theorem 5.3.",
        {"exponent": exponent.mean, "low": exponent.low, "high": exponent.high},
        (
            "Without noise self-rewards are fitted exactly as soon as the pairs span the features: then n does "
            "not matter, and "
            "the 1/sqrt(n) of the theory is a worst case that does not occur.",
        ),
    )


EXPERIMENT = Experiment(
    "sample-size",
    QUESTION,
    {
        "prompts": Setting(300, 2, help="P"),
        "responses": Setting(20, 2, help="M"),
        "dimensions": Setting(16, 1, help="d"),
        "norm": Setting(10.0, 0.1, 1e4, "norm of the start"),
        "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
        "noise": Setting(1.0, 0.0, 1e3, "of a reward, nats"),
        "pairs": Setting((500, 1000, 2000, 4000, 8000, 16000), 1, help="n a round, several"),
        "rounds": Setting(4, 1, 200, "T"),
        "seeds": Setting(24, 2, help="independent runs"),
    },
    run,
)
