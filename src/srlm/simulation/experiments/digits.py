"""A real task: handwritten digits, a policy fitted on few labels and then left to its own judgement."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.instances import digits
from srlm.simulation.engine import simulate
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import exact_rounds, shared
from srlm.simulation.experiments._table import Table, chart, course, entry, spread
from srlm.simulation.sweep import Cell

_MEASURES = ("kappa", "failure_rate", "accuracy", "mode_accuracy", "mode_drift")


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, np.ndarray]:
    """One split into labelled and other images: rounds, and the start sharpened without any training."""
    split, seed = (int(one) for one in stream.generate_state(2))
    task = digits(cell["labelled"], cell["inverse_penalty"], split)
    asked = {name: cell[name] for name in ("beta", "pairs", "rounds")}
    run = simulate(task.policy.features, task.policy.theta, seed=seed, correct=task.correct, **asked)
    path = exact_rounds(task.policy.tabular(), cell["beta"], cell["rounds"])
    measured = {name: getattr(run, name)[0] for name in _MEASURES}
    return measured | {"control_accuracy": np.array([one.accuracy(task.correct) for one in path])}


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    splits = workers.sweep(_cell, [dict(values)] * values["splits"])
    columns = {name: np.stack([one[name] for one in splits]) for name in splits[0]}
    columns["gained"] = columns["accuracy"] - columns["accuracy"][:, :1]
    columns["over_control"] = columns["accuracy"] - columns["control_accuracy"]
    columns["modes_gained"] = columns["mode_accuracy"] - columns["mode_accuracy"][:, :1]
    table: dict[str, list[Any]] = {"round": list(range(values["rounds"] + 1))}
    for name, cells in columns.items():
        table |= spread(name, cells)
    return table


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    def verdict(name: str, more: str, less: str, same: str) -> str:
        return {1: more, -1: less, 0: same}[entry(table, name).sign]

    kappa = course("kappa", entry(table, "kappa", 0).mean, entry(table, "kappa").mean)
    accuracy = course("sample accuracy", entry(table, "accuracy", 0).mean, entry(table, "accuracy").mean, ".1%")
    training = verdict(
        "over_control", "training adds to it", "training takes from it", "training adds nothing that the interval shows"
    )
    modes = verdict("modes_gained", "a gain", "a loss", "no change that the interval shows")
    title = f"{accuracy}; without training {entry(table, 'control_accuracy').mean:.1%}"
    lines = {"of samples": "accuracy", "of modes": "mode_accuracy", "no training --": "control_accuracy"}
    moved = f"{entry(table, 'mode_drift').mean:.1%} of the modes moved"
    charts = (
        chart(kappa, table, "round", "kappa", {"measured": "kappa"}),
        chart(title, table, "round", "accuracy", lines),
        chart(moved, table, "round", "share of prompts", {"mode drift": "mode_drift"}),
    )
    return Reading(
        f"Over {values['splits']} splits of the images, {kappa} and {accuracy} ({entry(table, 'gained').points}, 95 % "
        f"over splits). The start to the power s^t, without a sample or a step of training, gives "
        f"{entry(table, 'control_accuracy').mean:.1%}: {training}, {entry(table, 'over_control').points}. "
        f"P5's ceiling, the accuracy of the start's modes, is {entry(table, 'mode_accuracy', 0).mean:.1%}; "
        f"{entry(table, 'mode_drift').percent} of the modes move, and their accuracy by "
        f"{entry(table, 'modes_gained').points}: {modes}.",
        charts,
        {
            name: entry(table, name).mean
            for name in ("kappa", "accuracy", "control_accuracy", "mode_accuracy", "mode_drift")
        },
        ("Transductive: accuracy is measured on the very images that the rounds trained on, without their labels.",),
    )


QUESTION = "On a real classification task, what do ten rounds do to kappa and to accuracy?"
SETTINGS = shared("beta", pairs=2000, rounds=10) | {
    "labelled": Setting(60, 10, 1500, "images with a label"),
    "inverse_penalty": Setting(5.0, 1e-3, 1e4, "C of the logistic regression; small is unsure"),
    "splits": Setting(6, 2, help="which images have a label, several times"),
}
