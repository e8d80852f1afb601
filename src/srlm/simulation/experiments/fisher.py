"""The Fisher information's spectrum and condition number over rounds, next to kappa: two different quantities?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.experiments._registry import Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import SOFTMAX, by_round, shared, simulated, start_of
from srlm.simulation.experiments._table import Table, chart, column, course, stacked


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    start = start_of(values, np.random.default_rng(workers.seed))
    run = simulated(start, values, workers.seed)
    spectra = [[LinearSoftmaxPolicy(start.features, theta).fisher() for theta in path] for path in run.theta]
    ranks = np.array([[one.rank for one in path] for path in spectra])
    eigenvalues = np.array([[one.eigenvalues for one in path] for path in spectra]).mean(axis=0)
    numbers = np.array([[one.condition_number for one in path] for path in spectra])
    extra = {
        "fisher_condition_number": np.where(np.isfinite(numbers).all(axis=0), numbers.mean(axis=0), np.nan),
        "rank_lost": (ranks < values["dimensions"]).mean(axis=0),
    }
    places = {f"eigenvalue_{k + 1}": eigenvalues[:, k] for k in range(values["dimensions"])}
    return stacked(by_round(run, "kappa") | extra | places)


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    kappa, number = column(table, "kappa"), column(table, "fisher_condition_number")
    usable = np.isfinite(number)
    steps = np.diff(np.log(np.stack([kappa[usable], number[usable]])), axis=1)
    together = float((np.sign(steps[0]) == np.sign(steps[1])).mean()) if steps.size else 0.0
    first, last = (int(at) for at in np.flatnonzero(usable)[[0, -1]])
    factors = kappa[last] / kappa[first], number[last] / number[first]
    # One stands for the other where they move alike in every round and by like amounts (within a factor of 2 overall).
    alike = together == 1 and abs(np.log(factors[1] / factors[0])) <= np.log(2)
    verdict = "here one could stand for the other" if alike else "one does not stand for the other"
    largest, lost = column(table, "eigenvalue_1"), column(table, "rank_lost")[-1]
    places = [int(name.split("_")[1]) for name in table if name.startswith("eigenvalue_")]
    shown = list(dict.fromkeys((0, len(kappa) // 2, len(kappa) - 1)))
    spectrum = stacked(
        *({"round": t, "place": places, "eigenvalue": [table[f"eigenvalue_{k}"][t] for k in places]} for t in shown)
    )
    title = f"kappa times {factors[0]:.2g}, the Fisher condition number times {factors[1]:.2g}"
    lines = {"kappa": "kappa", "Fisher condition number": "fisher_condition_number"}
    top = course("the largest eigenvalue", largest[0], largest[-1], ".2g")
    charts = (
        chart(title, table, "round", "value", lines, log="y"),
        chart(top, spectrum, "place", "eigenvalue", {"round {}": "eigenvalue"}, by="round", least=1e-16, log="y"),
    )
    return Reading(
        f"{course('kappa', kappa[first], kappa[last])}, and "
        f"{course('the Fisher condition number', number[first], number[last])}; they move the same way in "
        f"{together:.0%} of {steps.shape[1]} rounds: {verdict}. "
        f"{course('The largest eigenvalue', largest[0], largest[-1], '.2g')}.",
        charts,
        {"same_direction": together, "factors": list(map(float, factors)), "share_rank_lost": float(lost)},
        (
            f"Eigenvalues below 1e-10 of the largest are left out; at the end {lost:.0%} of the seeds have lost some, "
            "and there the condition number is a property of the cut-off.",
        ),
    )


QUESTION = "Does the Fisher information's condition number move with kappa?"
SETTINGS = shared(*SOFTMAX, "beta", prompts=100, responses=30, dimensions=16, norm=8.0, pairs=1500, seeds=8)
