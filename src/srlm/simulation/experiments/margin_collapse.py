"""Two responses nearly tied: what noise does where the margin is small."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.engine import Trajectory, simulate
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, Series, band, interval
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell

QUESTION = "What happens at prompts where two responses are nearly tied?"


def _cell(cell: Cell, stream: np.random.SeedSequence) -> Trajectory:
    """Prompts with a parameter of their own and two responses `margin` nats apart."""
    count = cell["prompts"]
    features = np.zeros((count, 2, count))
    features[np.arange(count), 0, np.arange(count)] = 0.5
    features[np.arange(count), 1, np.arange(count)] = -0.5
    return simulate(
        features,
        np.full(count, cell["margin"]),
        beta=cell["beta"],
        pairs=cell["pairs_per_prompt"] * count,
        rounds=cell["rounds"],
        seeds=cell["seeds"],
        seed=int(stream.generate_state(1)[0]),
        reward=Noisy(cell["noise"]),
    )


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    margins, scales = sorted(values["margins"]), sorted(values["noises"])
    cells = [{**values, "margin": m, "noise": s} for s in scales for m in margins]
    found = workers.sweep(_cell, cells)
    flips = [interval(one.mode_drift[:, -1]) for one in found]
    rounds = list(range(values["rounds"] + 1))
    series, worst = [], []
    for k, scale in enumerate(scales):
        at = range(k * len(margins), (k + 1) * len(margins))
        series.append(
            Series(
                f"noise {scale:g} nats",
                tuple(margins),
                tuple(flips[i].mean for i in at),
                tuple(max(flips[i].low, 0.0) for i in at),
                tuple(flips[i].high for i in at),
                "line",
                k,
            )
        )
        below = [margins[j] for j, i in enumerate(at) if flips[i].mean > 0.05]
        worst.append(max(below) if below else 0.0)
    first = len(margins) * (len(scales) - 1)  # the noisiest
    charts = (
        Chart(
            "modes flip where the margin is small",
            "margin, nats",
            "share of modes that moved",
            tuple(series),
            x_log=True,
        ),
        Chart(
            f"kappa falls all the same (noise {scales[-1]:g})",
            "round",
            "kappa",
            tuple(band(f"margin {m:g}", rounds, found[first + j].kappa, j) for j, m in enumerate(margins)),
        ),
    )
    smallest = flips[first]
    return ExperimentResult(
        "margin-collapse",
        QUESTION,
        dict(values),
        {
            "noise": [c["noise"] for c in cells],
            "margin": [c["margin"] for c in cells],
            "mode_drift": [f.mean for f in flips],
            "low": [f.low for f in flips],
            "high": [f.high for f in flips],
            "kappa": [float(one.kappa[:, -1].mean()) for one in found],
        },
        charts,
        f"With noise of {scales[-1]:g} nats and {values['pairs_per_prompt']} pairs a prompt {smallest.mean:.0%} "
        f"({smallest.low:.0%} to "
        f"{smallest.high:.0%}) of the modes {margins[0]:g} nats ahead move, while kappa still falls to "
        f"{found[first].kappa[:, -1].mean():.3g}. More than 5 % move up to a margin of "
        + ", ".join(f"{m:g} nats at noise {s:g}" for m, s in zip(worst, scales, strict=True))
        + ".",
        {"flipped_at_smallest_margin": smallest.mean, "unsafe_margin": dict(zip(map(str, scales), worst, strict=True))},
        (
            "The theory assumes a positive margin and is silent here: near a tie the policy becomes sure of "
            "either answer.",
        ),
    )


EXPERIMENT = Experiment(
    "margin-collapse",
    QUESTION,
    {
        "prompts": Setting(30, 1, 500, "P"),
        "margins": Setting((0.01, 0.03, 0.1, 0.3, 1.0, 2.0), 0.0, 50, "nats, several"),
        "noises": Setting((0.1, 1.0), 0.0, 1e3, "of a reward, nats, several"),
        "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
        "pairs_per_prompt": Setting(20, 1, help="n / P"),
        "rounds": Setting(6, 1, 100, "T"),
        "seeds": Setting(30, 2, help="independent runs"),
    },
    run,
)
