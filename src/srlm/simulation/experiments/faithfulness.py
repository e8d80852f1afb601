"""How often modes move, when, and what it does to accuracy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.engine import Trajectory
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, curve, interval
from srlm.simulation.experiments._softmax import simulated, start_of
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell

QUESTION = "How often does a mode move, when, and does the run's accuracy suffer?"


def _start(cell: Cell) -> tuple[Any, np.ndarray]:
    """A policy, and answers that its modes get right with the given frequency; wrong modes have the answer second."""
    rng = np.random.default_rng(cell["seed"])
    start = start_of(cell, rng)
    order = np.argsort(start.tabular().logprobs, axis=1)
    right = rng.random(cell["prompts"]) < cell["mode_accuracy"]
    return start, np.where(right, order[:, -1], order[:, -2])


def _cell(cell: Cell, stream: np.random.SeedSequence) -> Trajectory:
    start, correct = _start(cell)
    return simulated(start, cell, int(stream.generate_state(1)[0]), reward=Noisy(cell["noise"]), correct=correct)


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    sizes = sorted(int(n) for n in values["pairs"])
    found = workers.sweep(_cell, [{**values, "pairs": n, "seed": workers.seed} for n in sizes])
    rounds = list(range(values["rounds"] + 1))
    accuracies = [one.mode_accuracy for one in found]
    ceiling = float(accuracies[0][0, 0])
    ends = [interval(one.mode_drift[:, -1]) for one in found]
    lost = [interval(a[:, 0] - a[:, -1]) for a in accuracies]
    when = [int(np.argmax(np.diff(one.mode_drift.mean(axis=0)))) + 1 for one in found]
    charts = (
        Chart(
            "modes that moved",
            "round",
            "share of prompts",
            tuple(
                band(f"n = {n}", rounds, one.mode_drift, k) for k, (n, one) in enumerate(zip(sizes, found, strict=True))
            ),
        ),
        Chart(
            "accuracy of modes",
            "round",
            "accuracy",
            (
                *(band(f"n = {n}", rounds, a, k) for k, (n, a) in enumerate(zip(sizes, accuracies, strict=True))),
                curve("ceiling (P5)", rounds, np.full(len(rounds), ceiling), len(sizes), "dashed"),
            ),
        ),
        Chart(
            "kappa",
            "round",
            "kappa",
            tuple(band(f"n = {n}", rounds, one.kappa, k) for k, (n, one) in enumerate(zip(sizes, found, strict=True))),
            y_log=True,
        ),
    )
    said = "; ".join(
        f"n = {n}: {e.mean:.1%} ({e.low:.1%} to {e.high:.1%}), most in round {w}, accuracy {-d.mean:+.1%}"
        for n, e, w, d in zip(sizes, ends, when, lost, strict=True)
    )
    return ExperimentResult(
        "faithfulness",
        QUESTION,
        dict(values),
        {
            "pairs": [n for n in sizes for _ in rounds],
            "round": rounds * len(sizes),
            "mode_drift": [v for one in found for v in one.mode_drift.mean(axis=0).tolist()],
            "mode_accuracy": [v for a in accuracies for v in a.mean(axis=0).tolist()],
            "kappa": [v for one in found for v in one.kappa.mean(axis=0).tolist()],
        },
        charts,
        f"With rewards noisy by {values['noise']:g} nats, modes moved after {rounds[-1]} rounds: {said}. The "
        f"ceiling is {ceiling:.1%}.",
        {"mode_drift": [e.mean for e in ends], "accuracy_lost": [d.mean for d in lost], "busiest_round": when},
        ("Wrong modes have the right answer second here, so a moved mode can also gain; elsewhere it rarely does.",),
    )


EXPERIMENT = Experiment(
    "faithfulness",
    QUESTION,
    {
        "prompts": Setting(200, 2, help="P"),
        "responses": Setting(30, 2, help="M"),
        "dimensions": Setting(32, 1, help="d"),
        "norm": Setting(12.0, 0.1, 1e4, "norm of the start"),
        "mode_accuracy": Setting(0.8, 0.0, 1.0, "how often the start's mode is right"),
        "noise": Setting(0.5, 0.0, 1e3, "of a reward, nats"),
        "beta": Setting(2.0, 1e-3, 1e3, "KL strength"),
        "pairs": Setting((200, 600, 2000, 6000), 1, help="n a round, several"),
        "rounds": Setting(8, 1, 200, "T"),
        "seeds": Setting(12, 2, help="independent runs"),
    },
    run,
)
