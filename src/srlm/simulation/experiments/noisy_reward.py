"""Rewards with noise: internal consistency is not faithfulness."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.engine import Trajectory
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, interval
from srlm.simulation.experiments._softmax import simulated, start_of
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell

QUESTION = "What does noise in the reward do: to kappa, and to which answers the policy becomes sure of?"


def _cell(cell: Cell, stream: np.random.SeedSequence) -> Trajectory:
    start = start_of(cell, np.random.default_rng(cell["seed"]))
    return simulated(start, cell, int(stream.generate_state(1)[0]), reward=Noisy(cell["scale"], cell["tail"]))


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    cells = [{**values, "scale": float(scale), "tail": "gaussian", "seed": workers.seed} for scale in values["noise"]]
    cells.append({**values, "scale": float(max(values["noise"])), "tail": "heavy", "seed": workers.seed})
    names = [f"{'Gaussian' if c['tail'] == 'gaussian' else 'heavy-tailed'}, {c['scale']:g} nats" for c in cells]
    found = workers.sweep(_cell, cells)
    rounds = list(range(values["rounds"] + 1))
    charts = (
        Chart(
            "kappa falls whatever the noise",
            "round",
            "kappa",
            tuple(band(name, rounds, one.kappa, k) for k, (name, one) in enumerate(zip(names, found, strict=True))),
            y_log=True,
        ),
        Chart(
            "but towards other answers",
            "round",
            "share of modes that moved",
            tuple(
                band(name, rounds, one.mode_drift, k) for k, (name, one) in enumerate(zip(names, found, strict=True))
            ),
        ),
    )
    ends = [(interval(one.kappa[:, -1]), interval(one.mode_drift[:, -1])) for one in found]
    columns: dict[str, list[Any]] = {"noise": [], "round": [], "kappa": [], "mode_drift": [], "unfaithful": []}
    for name, one in zip(names, found, strict=True):
        columns["noise"] += [name] * len(rounds)
        columns["round"] += rounds
        for key in ("kappa", "mode_drift", "unfaithful"):
            columns[key] += getattr(one, key).mean(axis=0).tolist()
    return ExperimentResult(
        "noisy-reward",
        QUESTION,
        dict(values),
        columns,
        charts,
        f"From kappa {found[0].kappa[0, 0]:.3g}: without noise it ends at {ends[0][0]} with "
        f"{ends[0][1].mean:.1%} of the modes moved; with "
        f"{names[-2]} at {ends[-2][0]} with {ends[-2][1].mean:.1%} moved (95 % {ends[-2][1].low:.1%} to "
        f"{ends[-2][1].high:.1%}), "
        f"{names[-1]}: {ends[-1][0]} with {ends[-1][1].mean:.1%}. Certainty says nothing about being right.",
        {"kappa": [one[0].mean for one in ends], "mode_drift": [one[1].mean for one in ends], "noise": names},
        ("Even without noise some modes move once few pairs differ: eq. 3 then leaves directions where they were.",),
    )


EXPERIMENT = Experiment(
    "noisy-reward",
    QUESTION,
    {
        "prompts": Setting(200, 2, help="P"),
        "responses": Setting(50, 2, help="M"),
        "dimensions": Setting(32, 1, help="d"),
        "norm": Setting(12.0, 0.1, 1e4, "norm of the start"),
        "beta": Setting(2.0, 1e-3, 1e3, "KL strength"),
        "noise": Setting((0.0, 0.3, 1.0, 3.0), 0.0, 1e3, "scales, several"),
        "pairs": Setting(1000, 1, help="n a round"),
        "rounds": Setting(8, 1, 200, "T"),
        "seeds": Setting(16, 2, help="independent runs"),
    },
    run,
)
