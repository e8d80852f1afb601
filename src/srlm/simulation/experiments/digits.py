"""A real task: handwritten digits, a policy fitted on few labels and then left to its own judgement."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.instances import digits
from srlm.simulation.engine import simulate
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, curve, interval

QUESTION = "On a real classification task, what do ten rounds do to kappa and to accuracy?"


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    task = digits(values["labelled"], values["inverse_penalty"], workers.seed)
    found = simulate(
        task.policy.features,
        task.policy.theta,
        beta=values["beta"],
        pairs=values["pairs"],
        rounds=values["rounds"],
        seeds=values["seeds"],
        seed=workers.seed,
        correct=task.correct,
    )
    if found.accuracy is None or found.mode_accuracy is None:
        raise AssertionError("accuracies are computed where answers are given")
    rounds = list(range(values["rounds"] + 1))
    ceiling = float(found.mode_accuracy[0, 0])
    last, modes = interval(found.accuracy[:, -1]), interval(found.mode_accuracy[:, -1])
    charts = (
        Chart(
            "kappa",
            "round",
            "kappa",
            (
                band("measured", rounds, found.kappa),
                band("P3 from the round before", rounds[1:], found.population_bound, 1, "dashed"),
            ),
        ),
        Chart(
            "accuracy",
            "round",
            "accuracy",
            (
                band("of samples", rounds, found.accuracy),
                band("of modes", rounds, found.mode_accuracy, 1),
                curve("ceiling: modes of the start", rounds, np.full(len(rounds), ceiling), 2, "dashed"),
            ),
        ),
        Chart("modes that moved", "round", "share of prompts", (band("mode drift", rounds, found.mode_drift),)),
    )
    return ExperimentResult(
        "digits",
        QUESTION,
        dict(values),
        {
            "round": rounds,
            "kappa": found.kappa.mean(axis=0).tolist(),
            "failure_rate": found.failure_rate.mean(axis=0).tolist(),
            "accuracy": found.accuracy.mean(axis=0).tolist(),
            "mode_accuracy": found.mode_accuracy.mean(axis=0).tolist(),
            "mode_drift": found.mode_drift.mean(axis=0).tolist(),
        },
        charts,
        f"kappa falls from {found.kappa[0, 0]:.3g} to {interval(found.kappa[:, -1])}, sample accuracy rises from "
        f"{found.accuracy[0, 0]:.1%} to {last.mean:.1%} ({last.low:.1%} to {last.high:.1%}); P5's ceiling, the "
        "accuracy of the "
        f"start's modes, is {ceiling:.1%}, and the modes end at {modes.mean:.1%} with "
        f"{found.mode_drift[:, -1].mean():.1%} moved.",
        {
            "ceiling": ceiling,
            "accuracy": last.mean,
            "mode_accuracy": modes.mean,
            "kappa": float(found.kappa[:, -1].mean()),
            "mode_drift": float(found.mode_drift[:, -1].mean()),
        },
        (
            "Self-rewarding uses no label: what it gains is certainty, up to what the few labels already "
            "taught the modes.",
        ),
    )


EXPERIMENT = Experiment(
    "digits",
    QUESTION,
    {
        "labelled": Setting(60, 10, 1500, "images with a label"),
        "inverse_penalty": Setting(5.0, 1e-3, 1e4, "C of the logistic regression; small is unsure"),
        "beta": Setting(2.0, 1e-3, 1e3, "KL strength"),
        "pairs": Setting(2000, 1, help="n a round"),
        "rounds": Setting(10, 1, 100, "T"),
        "seeds": Setting(4, 2, help="independent runs"),
    },
    run,
)
