"""Failure against n where statistics bind: noisy rewards, beta of order n^(-1/2), the start's modes to be kept."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.experiments import _softmax
from srlm.simulation.experiments._registry import Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, column, entry, power_law, spread, stacked
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    """Share of prompts that fail after T rounds, every seed with a start of its own, and what exact rounds leave."""
    rng = np.random.default_rng(cell["seed"])
    start = _softmax.start_of(cell, rng)
    theta = rng.standard_normal((cell["seeds"], cell["dimensions"]))
    theta *= cell["norm"] / np.linalg.norm(theta, axis=1, keepdims=True)
    beta, seed = _softmax.beta_of(cell), int(stream.generate_state(1)[0])
    run = _softmax.simulated(start, cell, seed, theta0=theta, reward=Noisy(cell["noise"]))
    starts = [LinearSoftmaxPolicy(start.features, one).tabular() for one in theta]
    exact = [_softmax.exact_rounds(one, beta, cell["rounds"])[-1].conditioning().failure_rate for one in starts]
    fails, floor = run.unfaithful[:, -1:], np.array(exact)[:, None]
    label = {"pairs": cell["pairs"], "beta": beta}
    return label | spread("failure", fails) | spread("floor", floor) | spread("excess", fails - floor)


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    return stacked(
        *workers.sweep(_cell, [{**values, "pairs": int(n), "seed": workers.seed} for n in sorted(values["pairs"])])
    )


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    sizes, excess, low = (column(table, name) for name in ("pairs", "excess", "excess_low"))
    usable = low > 0  # elsewhere the interval cannot tell what is left from what exact rounds leave
    numbers: dict[str, Any] = {"exponent": None, "usable": int(usable.sum())}
    title = f"no exponent: {usable.sum()} of {len(sizes)} n"
    if usable.sum() < 4:
        verdict = f"differs from 0 at {usable.sum()} of the {len(sizes)} n, too few to fit an exponent"
    else:
        law = power_law(sizes[usable], excess[usable], (excess - low)[usable] / 1.96)
        title = f"slope {law.exponent.mean:.2f}, curvature {law.curvature.mean:.2f}"
        if law.curvature.sign:
            way = "flattens" if law.curvature.sign > 0 else "steepens"
            verdict = f"is no power of n: on logarithmic axes the curve {way} (curvature {law.curvature}, slope "
            verdict += f"{law.exponent} in the middle, 95 %)"
        else:
            inside = "contains" if law.exponent.low <= -0.5 <= law.exponent.high else "does not contain"
            verdict = f"falls like n^{law.exponent} (curvature {law.curvature}; 95 %), an interval that {inside} "
            verdict += "-1/2, the exponent of theorem 5.3"
            numbers["exponent"] = law.exponent.mean
        numbers |= {"low": law.exponent.low, "high": law.exponent.high, "curvature": law.curvature.mean}
    guided = dict(table) | {"guide": (excess[-1] * (sizes / sizes[-1]) ** -0.5).tolist()}
    lines = {"measured": "failure", "above exact rounds": "excess", "n^(-1/2) --": "guide"}
    charts = (chart(title, guided, "pairs", "failure rate (of the start's modes)", lines, least=1e-9, log="xy"),)
    return Reading(
        f"With beta = {values['beta_scale']:g}/sqrt(n) and rewards noisy by {values['noise']:g} nats, after "
        f"{values['rounds']} rounds {entry(table, 'failure', 0).percent} of the start's modes fail at n = "
        f"{sizes[0]:.0f} and {entry(table, 'failure').percent} at n = {sizes[-1]:.0f}; exact rounds leave "
        f"{entry(table, 'floor', 0).mean:.1%} and {entry(table, 'floor').mean:.1%}. What is above that {verdict}.",
        charts,
        numbers,
        (
            "Without noise self-rewards are fitted exactly as soon as the pairs span the features: then n does not "
            "matter.",
        ),
    )


QUESTION = "Does the failure rate fall like n^(-1/2)?"
SETTINGS = _softmax.shared(
    *_softmax.SOFTMAX,
    prompts=300,
    responses=20,
    dimensions=16,
    norm=10.0,
    beta_scale=5.0,
    noise=1.0,
    pairs=(500, 1000, 2000, 4000, 8000, 16000, 32000),
    rounds=2,
    seeds=24,
)
