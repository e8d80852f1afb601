"""The hard instance of appendix D: a simulated Bayes learner beside P7 and theorem 4.1."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import norm

from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, column, stacked
from srlm.simulation.sweep import Cell
from srlm.theory import failure_lower_bound, worst_hard_instance
from srlm.theory.lower_bound import LOWER_CONSTANT


def simulate_bayes_learner(
    rng: np.random.Generator, informative_mass: float, responses: int, informative_prompts: int, pairs: int, trials: int
) -> np.ndarray:
    """Failure rate of the Bayes-optimal learner in each trial (g = 1), (trials,).

    n draws a trial; a draw at x_i shows its label, label 0 being the favourite. Where it was never seen the learner
    guesses evenly among the labels never seen.
    """
    failures = np.empty(trials)
    for trial in range(trials):
        where = rng.integers(0, informative_prompts, rng.binomial(pairs, informative_mass))
        hit = rng.random(len(where)) < 2 / responses
        label = np.where(hit, 0, rng.integers(1, responses, len(where)))
        seen = np.unique(where * responses + label)
        distinct = np.bincount(seen // responses, minlength=informative_prompts)
        known = np.zeros(informative_prompts, dtype=bool)
        known[seen[seen % responses == 0] // responses] = True
        wrong = rng.random(informative_prompts) < 1 - 1 / np.maximum(responses - distinct, 1)
        failures[trial] = informative_mass * (wrong & ~known).mean()
    return failures


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    worst = worst_hard_instance(cell["kappa0"], cell["pairs"], cell["informative_prompts"])
    responses, d = int(worst.responses), cell["informative_prompts"]
    failures = simulate_bayes_learner(
        np.random.default_rng(stream), worst.informative_mass, responses, d, cell["pairs"], cell["trials"]
    )
    rate = failure_lower_bound(cell["kappa0"], cell["pairs"], d * math.log(responses), cell["lower_constant"])
    return {
        "pairs": cell["pairs"],
        "responses": responses,
        "mass": worst.informative_mass,
        "simulated": float(failures.mean()),
        "standard_error": float(failures.std(ddof=1)) / math.sqrt(cell["trials"]),
        "p7": worst.failure_rate,
        "theorem_4_1": float(rate.value),
        "limit": min(1.0, math.sqrt(d * cell["kappa0"] / (2 * math.e * cell["pairs"]))),
    }


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    table = stacked(*workers.sweep(_cell, [{**values, "pairs": int(n)} for n in sorted(values["pairs"])]))
    half = 1.96 * column(table, "standard_error")
    ends = {"simulated_low": column(table, "simulated") - half, "simulated_high": column(table, "simulated") + half}
    return table | {name: values.tolist() for name, values in ends.items()}


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    simulated, error, exact = (column(table, name) for name in ("simulated", "standard_error", "p7"))
    lower, sizes = column(table, "theorem_4_1"), table["pairs"]
    far = float((np.abs(simulated - exact) / np.maximum(error, 1e-300)).max())
    allowed = float(norm.isf(0.0005 / len(sizes)))  # two-sided 0.1 % for all sizes together
    agrees = "as chance allows" if far <= allowed else f"more than chance allows ({allowed:.2f})"
    over = [f"n = {n}" for n, rate, p7 in zip(sizes, lower, exact, strict=True) if rate > p7]
    above = f"above the exact failure at {', '.join(over)}: there C0 is too large"
    rate = above if over else "below the exact failure at every n"
    title = f"the simulated learner is at most {far:.1f} standard errors from P7"
    lines = {"simulated o": "simulated", "P7, exact": "p7", "theorem 4.1, a rate --": "theorem_4_1"}
    charts = (chart(title, table, "pairs", "failure rate", lines | {"sqrt(d kappa_0/(2 e n)) --": "limit"}, log="xy"),)
    return Reading(
        f"The simulated learner differs from P7 by at most {far:.2f} standard errors over {len(sizes)} sample sizes "
        f"({values['trials']} trials each), {agrees}; at n = {sizes[-1]} it fails at {simulated[-1]:.2%} of the "
        f"prompts. Theorem 4.1's rate with C0 = {values['lower_constant']:.3g} lies {rate}.",
        charts,
        {"largest_z": far, "failure_at_largest_n": float(simulated[-1]), "rate_above": over},
        ("Theorem 4.1 holds up to an unknown constant C0 and from kappa_0 = 2 on; P7 is exact.",),
    )


SETTINGS = {
    "kappa0": Setting(50.0, 2.0, 1e4, "condition number"),
    "informative_prompts": Setting(4, 1, 1000, "d"),
    "pairs": Setting((50, 100, 300, 1000, 3000, 10000, 30000), 1, 1e7, "n, several"),
    "trials": Setting(1500, 10, help="simulated learners"),
    "lower_constant": Setting(LOWER_CONSTANT, 1e-6, 1e6, "C0 of theorem 4.1"),
}
QUESTION = "Does the best learner fail on the hard instance exactly as often as P7 says?"
