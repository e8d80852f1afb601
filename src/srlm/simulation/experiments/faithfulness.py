"""How often modes move, when, and what it does to accuracy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments import _softmax
from srlm.simulation.experiments._registry import Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import (
    Interval,
    Table,
    chart,
    column,
    course,
    entry,
    kinds,
    select,
    spread,
    stacked,
)
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell


def _cell(cell: Cell, stream: np.random.SeedSequence) -> Table:
    rng = np.random.default_rng(cell["seed"])
    start = _softmax.start_of(cell, rng)
    correct = _softmax.right_answers(start, cell["mode_accuracy"], rng)
    seed = int(stream.generate_state(1)[0])
    run = _softmax.simulated(start, cell, seed, reward=Noisy(cell["noise"]), correct=correct)
    assert run.mode_accuracy is not None
    gained = spread("accuracy_gained", run.mode_accuracy - run.mode_accuracy[:, :1])
    return {"pairs": cell["pairs"]} | _softmax.by_round(run, "mode_drift", "mode_accuracy", "kappa") | gained


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    return stacked(
        *workers.sweep(_cell, [{**values, "pairs": int(n), "seed": workers.seed} for n in sorted(values["pairs"])])
    )


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    sizes = kinds(table, "pairs")
    parts = {n: select(table, pairs=n) for n in sizes}
    moved = {n: entry(part, "mode_drift") for n, part in parts.items()}
    gained = {n: entry(part, "accuracy_gained") for n, part in parts.items()}
    largest = {n: int(np.argmax(np.diff(column(part, "mode_drift")))) + 1 for n, part in parts.items()}

    def verdict(change: Interval) -> str:
        return {0: "no change that the interval tells from 0", 1: "a gain", -1: "a loss"}[change.sign]

    each = "; ".join(
        f"n = {n}: {moved[n].percent}, the most in one round in round {largest[n]}, accuracy of modes "
        f"{gained[n].points}, {verdict(gained[n])}"
        for n in sizes
    )
    few, many = moved[sizes[0]], moved[sizes[-1]]
    trend = "More pairs keep more modes" if many.high < few.low else "More pairs do not clearly keep more modes"
    moves = f"{trend}: {few.mean:.0%} move at n = {sizes[0]}, {many.mean:.0%} at n = {sizes[-1]}"
    gains = f"accuracy of modes {gained[sizes[0]].mean:+.1%} at n = {sizes[0]}, {gained[sizes[-1]].mean:+.1%} at n = "
    kappa = course(f"kappa at n = {sizes[0]}", entry(table, "kappa", 0).mean, entry(parts[sizes[0]], "kappa").mean)
    charts = (
        chart(moves, table, "round", "share of modes that moved", {"n = {}": "mode_drift"}, by="pairs"),
        chart(f"{gains}{sizes[-1]}", table, "round", "accuracy of modes", {"n = {}": "mode_accuracy"}, by="pairs"),
        chart(kappa, table, "round", "kappa", {"n = {}": "kappa"}, by="pairs", log="y"),
    )
    return Reading(
        f"With rewards noisy by {values['noise']:g} nats, modes moved after {values['rounds']} rounds (95 % over "
        f"seeds): {each}. Exact rounds would keep the accuracy of modes at "
        f"{entry(table, 'mode_accuracy', 0).mean:.1%} (P5). {trend}.",
        charts,
        {"mode_drift": [one.mean for one in moved.values()], "accuracy_gained": [one.mean for one in gained.values()]},
        ("Wrong modes have the right answer second here, so a moved mode can also gain.",),
    )


QUESTION = "How often does a mode move, when, and does the run's accuracy suffer?"
SETTINGS = _softmax.shared(
    *_softmax.SOFTMAX, "beta", "mode_accuracy", responses=30, noise=0.5, pairs=(200, 600, 2000, 6000), seeds=12
)
