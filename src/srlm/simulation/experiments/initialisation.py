"""Well and badly initialised policies: how fast the gap between them closes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.instances import random_softmax
from srlm.simulation.engine import simulate
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, interval

QUESTION = "Is a bad start forgotten exponentially fast?"


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    rng = np.random.default_rng(workers.seed)
    start = random_softmax(rng, values["prompts"], values["responses"], values["dimensions"], 1.0)
    rounds = list(range(values["rounds"] + 1))
    kappas = {
        norm: simulate(
            start.features,
            norm * start.theta,
            beta=values["beta"],
            pairs=values["pairs"],
            rounds=values["rounds"],
            seeds=values["seeds"],
            seed=workers.seed,
        ).kappa
        for norm in sorted(values["norms"])
    }
    worst, best = kappas[min(kappas)], kappas[max(kappas)]
    gap = worst - best
    last = next((t for t in rounds if gap[:, t].mean() < 0.01 * gap[:, 0].mean()), rounds[-1])
    factors = (np.maximum(gap[:, last], 1e-12) / gap[:, 0]) ** (1 / max(1, last))
    factor = interval(factors)
    columns: dict[str, list[Any]] = {"norm": [], "round": [], "kappa": []}
    for norm, found in kappas.items():
        columns["norm"] += [norm] * len(rounds)
        columns["round"] += rounds
        columns["kappa"] += found.mean(axis=0).tolist()
    charts = (
        Chart(
            "kappa from four starts",
            "round",
            "kappa",
            tuple(
                band(f"start kappa {found[0, 0]:.3g}", rounds, found, colour)
                for colour, (norm, found) in enumerate(kappas.items())
            ),
            y_log=True,
        ),
        Chart(
            "gap between the worst and the best start",
            "round",
            "difference of kappa",
            (band("gap", rounds, np.maximum(gap, 1e-6)),),
            y_log=True,
        ),
    )
    return ExperimentResult(
        "initialisation",
        QUESTION,
        dict(values),
        columns,
        charts,
        f"The gap between kappa_0 = {worst[0, 0]:.3g} and {best[0, 0]:.3g} shrinks by a factor {factor} a round "
        "on average over "
        f"{last} rounds, from {gap[:, 0].mean():.3g} to {gap[:, last].mean():.2g}.",
        {"factor": factor.mean, "rounds_to_one_percent": last, "gap": gap.mean(axis=0).tolist()},
        ("The starts share their direction: a worse start is the same belief held less surely, a few rounds behind.",),
    )


EXPERIMENT = Experiment(
    "initialisation",
    QUESTION,
    {
        "prompts": Setting(200, 2, help="P"),
        "responses": Setting(50, 2, help="M"),
        "dimensions": Setting(32, 1, help="d"),
        "norms": Setting((4.0, 8.0, 14.0, 25.0), 0.1, 1e4, "norms of the starts"),
        "beta": Setting(2.0, 1e-3, 1e3, "KL strength"),
        "pairs": Setting(1000, 1, help="n a round"),
        "rounds": Setting(8, 1, 200, "T"),
        "seeds": Setting(25, 2, help="independent runs"),
    },
    run,
)
