"""The Fisher information's spectrum and condition number over rounds, next to kappa: two different quantities."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, curve
from srlm.simulation.experiments._softmax import simulated, start_of

QUESTION = "Does the Fisher information's condition number move with kappa?"


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    rng = np.random.default_rng(workers.seed)
    start = start_of(values, rng)
    found = simulated(start, values, workers.seed)
    rounds = list(range(values["rounds"] + 1))
    spectra = [[LinearSoftmaxPolicy(start.features, theta).fisher() for theta in path] for path in found.theta]
    numbers = np.array(
        [[one.condition_number if np.isfinite(one.condition_number) else np.nan for one in path] for path in spectra]
    )
    largest = np.array([[one.eigenvalues[0] for one in path] for path in spectra])
    ranks = np.array([[one.rank for one in path] for path in spectra])
    usable = [t for t in rounds if np.isfinite(numbers[:, t]).all()]
    together = (
        float(np.corrcoef(np.log(found.kappa[:, usable].mean(axis=0)), np.log(numbers[:, usable].mean(axis=0)))[0, 1])
        if len(usable) > 2
        else float("nan")
    )
    shown = [0, rounds[-1] // 2, rounds[-1]]
    place = np.arange(1, values["dimensions"] + 1)
    charts = (
        Chart(
            "kappa falls, the Fisher condition number does not follow",
            "round",
            "value",
            (
                band("kappa", rounds, found.kappa),
                band("Fisher condition number", usable, numbers[:, usable], 1),
            ),
            y_log=True,
        ),
        Chart(
            "the Fisher spectrum",
            "number",
            "eigenvalue",
            tuple(
                curve(
                    f"round {t}",
                    place,
                    np.maximum(np.mean([path[t].eigenvalues for path in spectra], axis=0), 1e-16),
                    k,
                )
                for k, t in enumerate(shown)
            ),
            y_log=True,
        ),
    )
    lost = float((ranks[:, -1] < values["dimensions"]).mean())
    return ExperimentResult(
        "fisher",
        QUESTION,
        dict(values),
        {
            "round": rounds,
            "kappa": found.kappa.mean(axis=0).tolist(),
            "fisher_condition_number": [float(v) if np.isfinite(v) else None for v in numbers.mean(axis=0)],
            "largest_eigenvalue": largest.mean(axis=0).tolist(),
            "rank": ranks.mean(axis=0).tolist(),
        },
        charts,
        f"While kappa goes from {found.kappa[:, 0].mean():.3g} to {found.kappa[:, -1].mean():.3g}, the Fisher "
        "condition number goes from "
        f"{numbers[:, 0].mean():.3g} to {np.nanmean(numbers[:, -1]):.3g} and the largest eigenvalue from "
        f"{largest[:, 0].mean():.2g} to "
        f"{largest[:, -1].mean():.2g}; their logarithms correlate at {together:.2f}: they are different quantities.",
        {"correlation": together if np.isfinite(together) else None, "share_rank_lost": lost},
        (
            f"Eigenvalues below 1e-10 of the largest are left out; at the end {lost:.0%} of the seeds have lost "
            "some, and there the "
            "condition number is a property of the cut-off.",
        ),
    )


EXPERIMENT = Experiment(
    "fisher",
    QUESTION,
    {
        "prompts": Setting(100, 2, help="P"),
        "responses": Setting(30, 2, help="M"),
        "dimensions": Setting(16, 1, 300, "d"),
        "norm": Setting(8.0, 0.1, 1e4, "norm of the start"),
        "beta": Setting(2.0, 1e-3, 1e3, "KL strength"),
        "pairs": Setting(1500, 1, help="n a round"),
        "rounds": Setting(8, 1, 100, "T"),
        "seeds": Setting(8, 2, help="independent runs"),
    },
    run,
)
