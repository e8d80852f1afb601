"""A class too small for the optimum: where kappa stops."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, curve, interval
from srlm.simulation.experiments._softmax import simulated, start_of

QUESTION = "What happens when the radius B binds, so that the class cannot hold the sharpened policy?"


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    rng = np.random.default_rng(workers.seed)
    start = start_of(values, rng)
    factors = sorted(values["radii"])
    found = [simulated(start, values, workers.seed, radius=factor * values["norm"]) for factor in factors]
    rounds = list(range(values["rounds"] + 1))
    edge = []
    for factor in factors:  # the best point of the class: the start's direction at full length
        scores = start.features @ (factor * start.theta)
        edge.append(float(np.exp(np.logaddexp.reduce(scores, axis=1) - scores.max(axis=1)).mean()))
    floors = [interval(one.kappa[:, -1]) for one in found]
    gap = max(abs(floor.mean / best - 1) for floor, best in zip(floors, edge, strict=True))
    charts = (
        Chart(
            "kappa stops at a floor",
            "round",
            "kappa",
            tuple(
                band(f"B = {factor:g} x start", rounds, one.kappa, k)
                for k, (factor, one) in enumerate(zip(factors, found, strict=True))
            ),
            y_log=True,
        ),
        Chart(
            "the floor and the best policy of the class",
            "B / norm of the start",
            "kappa",
            (
                curve("measured floor", factors, [f.mean for f in floors], style="points"),
                curve("start's direction at length B", factors, edge, 1, "dashed"),
            ),
            y_log=True,
        ),
    )
    said = "; ".join(f"B = {factor:g} x start: {floor}" for factor, floor in zip(factors, floors, strict=True))
    return ExperimentResult(
        "realizability",
        QUESTION,
        dict(values),
        {
            "radius": [f for f in factors for _ in rounds],
            "round": rounds * len(factors),
            "kappa": [v for one in found for v in one.kappa.mean(axis=0).tolist()],
            "informative_pairs": [v for one in found for v in [*one.informative_pairs.mean(axis=0).tolist(), None]],
        },
        charts,
        f"kappa_0 = {found[0].kappa[0, 0]:.3g}. After {rounds[-1]} rounds: {said} (95 % over seeds). The floors "
        f"lie within {gap:.1%} of the "
        "policy that points where the start does and has length B: realizability is what stops the contraction.",
        {"floor": [f.mean for f in floors], "best_of_class": edge, "largest_gap": gap},
        ("A floor can lie below that policy: constrained least squares also turns theta towards the sampled pairs.",),
    )


EXPERIMENT = Experiment(
    "realizability",
    QUESTION,
    {
        "prompts": Setting(200, 2, help="P"),
        "responses": Setting(50, 2, help="M"),
        "dimensions": Setting(32, 1, help="d"),
        "norm": Setting(10.0, 0.1, 1e4, "norm of the start"),
        "radii": Setting((1.0, 1.5, 2.0, 4.0), 1.0, 1e6, "B over the start's norm, several"),
        "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
        "pairs": Setting(1000, 1, help="n a round"),
        "rounds": Setting(8, 1, 200, "T"),
        "seeds": Setting(16, 2, help="independent runs"),
    },
    run,
)
