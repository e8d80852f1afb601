"""A class too small for the optimum: where kappa stops."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import SOFTMAX, by_round, exact_rounds, shared, simulated, start_of
from srlm.simulation.experiments._table import Table, chart, column, course, entry, kinds, listed, select, stacked
from srlm.simulation.sweep import Cell
from srlm.simulation.updates import least_squares

_STILL, _NEAR = 0.01, 0.05  # stopped: the last round changes kappa by less; explained: within this of the class


def within_class(start: LinearSoftmaxPolicy, beta: float, radius: float, rounds: int) -> list[float]:
    """kappa of rounds with infinitely many pairs under |theta| <= B: least squares in the pairs' own covariance."""
    policy, kappas = start, []
    for t in range(rounds + 1):
        table = policy.tabular()
        kappas.append(table.conditioning().policy_condition_number)
        if t == rounds:
            break
        chance = np.exp(table.logprobs)[..., None]
        centred = policy.features - (chance * policy.features).sum(axis=1, keepdims=True)
        rows = (np.sqrt(chance) * centred).reshape(1, -1, len(policy.theta))
        theta = least_squares(policy.theta[None], rows, rows @ policy.theta / beta, radius)[0]
        policy = LinearSoftmaxPolicy(start.features, theta)
    return kappas


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    start = start_of(cell, np.random.default_rng(cell["seed"]))
    radius = cell["factor"] * cell["norm"]
    run = simulated(start, cell, int(stream.generate_state(1)[0]), radius=radius)
    free = exact_rounds(start.tabular(), cell["beta"], cell["rounds"])
    return {"radius": cell["factor"], **by_round(run, "kappa", "informative_pairs")} | {
        "in_class": within_class(start, cell["beta"], radius, cell["rounds"]),
        "any_policy": [one.conditioning().policy_condition_number for one in free],
    }


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    cells = [{**values, "factor": float(factor), "seed": workers.seed} for factor in sorted(values["radii"])]
    return stacked(*workers.sweep(_cell, cells))


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    verdicts: dict[float, str] = {}
    gaps: dict[float, float] = {}
    for factor in kinds(table, "radius"):
        kappa, best, free = (column(select(table, radius=factor), name) for name in ("kappa", "in_class", "any_policy"))
        gaps[factor] = float(kappa[-1] / best[-1] - 1)
        if abs(kappa[-1] / kappa[-2] - 1) >= _STILL:
            verdicts[factor] = "still moving"
        elif abs(gaps[factor]) >= _NEAR or free[-1] >= best[-1] * (1 - _NEAR):
            verdicts[factor] = "stopped, but not where the radius says"
        else:
            verdicts[factor] = "stopped by the radius"
    stopped = [f"{factor:g}" for factor, verdict in verdicts.items() if verdict == "stopped by the radius"]
    last = select(table, round=values["rounds"])
    floors = {factor: entry(select(last, radius=factor), "kappa") for factor in verdicts}
    each = "; ".join(
        f"B = {factor:g} x start: {floors[factor]}, {gaps[factor]:+.1%} from exact rounds within the class, {verdict}"
        for factor, verdict in verdicts.items()
    )
    where = f"at most {max(map(abs, gaps.values())):.1%} from exact rounds within the class"
    lines = {"measured o": "kappa", "exact rounds within the class --": "in_class", "of any policy --": "any_policy"}
    title = f"stopped by the radius at B = {listed(stopped)} x start"
    charts = (
        chart(title, table, "round", "kappa", {"B = {} x start": "kappa"}, by="radius", log="y"),
        chart(where, last, "radius", "kappa at the end", lines, x_label="B / norm of the start", log="y"),
    )
    verdict = f"Realizability is what stops it at B = {listed(stopped)} x start" if stopped else "The radius stops none"
    return Reading(
        f"{course('Without a radius exact rounds: kappa', entry(table, 'kappa', 0).mean, last['any_policy'][0])}. "
        f"After {values['rounds']} rounds (95 % over seeds): {each}. {verdict}.",
        charts,
        {
            "kappa": {f"{k:g}": v.mean for k, v in floors.items()},
            "gap": {f"{k:g}": v for k, v in gaps.items()},
            "stopped_by_the_radius": stopped,
        },
        (
            f"Stopped: the last round changes kappa by less than {_STILL:.0%}; by the radius: within {_NEAR:.0%} of "
            "exact rounds under the same radius, and more than that above exact rounds without one.",
        ),
    )


QUESTION = "What happens when the radius B binds, so that the class cannot hold the sharpened policy?"
SETTINGS = shared(*SOFTMAX, norm=10.0, beta=1.0, rounds=12) | {
    "radii": Setting((1.0, 1.5, 2.0, 4.0), 1.0, 1e6, "B over the start's norm, several")
}
