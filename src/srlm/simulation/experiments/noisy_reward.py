"""Rewards with noise: is a policy that has become sure also right?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments import _softmax
from srlm.simulation.experiments._registry import Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, course, entry, kinds, listed, select, stacked
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell

_MEASURES = ("kappa", "mode_drift", "unfaithful", "accuracy", "mode_accuracy")


def _cell(cell: Cell, stream: np.random.SeedSequence) -> Table:
    rng = np.random.default_rng(cell["seed"])
    start = _softmax.start_of(cell, rng)
    correct = _softmax.right_answers(start, cell["mode_accuracy"], rng)
    reward = Noisy(cell["scale"], cell["tail"])
    run = _softmax.simulated(start, cell, int(stream.generate_state(1)[0]), reward=reward, correct=correct)
    return _softmax.by_round(run, *_MEASURES)


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    scales = [(float(scale), "gaussian") for scale in sorted(values["noise"])]
    scales.append((scales[-1][0], "heavy"))
    cells = [{**values, "scale": scale, "tail": tail, "seed": workers.seed} for scale, tail in scales]
    parts = workers.sweep(_cell, cells)
    return stacked(
        *({"noise": f"{tail} {scale:g} nats"} | part for (scale, tail), part in zip(scales, parts, strict=True))
    )


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    noises = kinds(table, "noise")
    ends = {name: select(table, noise=name, round=values["rounds"]) for name in noises}
    base = ends[noises[0]]
    sure, right = entry(base, "kappa"), entry(base, "mode_accuracy")
    # Equally sure: within 10 % of the least noisy run's kappa. Less right: the intervals of accuracy lie apart.
    alike = [name for name in noises[1:] if abs(entry(ends[name], "kappa").mean / sure.mean - 1) <= 0.1]
    wrong = [name for name in alike if entry(ends[name], "mode_accuracy").high < right.low]
    verdict = (
        f"As sure (kappa within 10 %) but less often right than with {noises[0]}: {listed(wrong)}; so kappa does not "
        "tell right from wrong."
        if wrong
        else f"No run is as sure as that with {noises[0]} and clearly less often right."
    )
    moved = [entry(one, "mode_drift").mean for one in ends.values()]
    kappa = course("kappa with the most noise", entry(table, "kappa", 0).mean, entry(ends[noises[-1]], "kappa").mean)
    modes = f"modes right: {right.mean:.0%} with {noises[0]}, "
    modes += f"{entry(ends[noises[-1]], 'mode_accuracy').mean:.0%} with {noises[-1]}"
    drift = f"{min(moved):.0%} to {max(moved):.0%} of the modes move"
    charts = (
        chart(kappa, table, "round", "kappa", {"{}": "kappa"}, by="noise", log="y"),
        chart(drift, table, "round", "share of modes that moved", {"{}": "mode_drift"}, by="noise"),
        chart(modes, table, "round", "accuracy of modes", {"{}": "mode_accuracy"}, by="noise"),
    )
    each = "; ".join(
        f"{name}: kappa {entry(one, 'kappa')}, {entry(one, 'mode_drift').percent} of the modes moved, modes right "
        f"{entry(one, 'mode_accuracy').percent}, samples {entry(one, 'accuracy').mean:.1%}"
        for name, one in ends.items()
    )
    return Reading(
        f"From kappa {entry(table, 'kappa', 0).mean:.3g} and modes right {entry(table, 'mode_accuracy', 0).mean:.1%}, "
        f"after {values['rounds']} rounds (95 % over seeds): {each}. {verdict}",
        charts,
        {"less_right": wrong, "kappa": {name: entry(one, "kappa").mean for name, one in ends.items()}},
        ("Wrong modes have the right answer second here, so a moved mode can also gain.",),
    )


QUESTION = "What does noise in the reward do: to kappa, and to how often the policy is right?"
SETTINGS = _softmax.shared(*_softmax.SOFTMAX, "beta", "mode_accuracy", noise=(0.0, 0.3, 1.0, 3.0))
