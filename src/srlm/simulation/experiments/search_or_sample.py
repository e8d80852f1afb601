"""On the hard instance: a learner that samples against one that searches the modes of its training prompts (P9)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, column, interval, stacked
from srlm.simulation.experiments.hard_instance import SETTINGS as SAMPLING
from srlm.simulation.experiments.hard_instance import simulate_bayes_learner
from srlm.simulation.sweep import Cell
from srlm.theory import failure_lower_bound, search_failure_bound, worst_hard_instance, worst_search_failure


def simulate_searcher(
    rng: np.random.Generator,
    informative_mass: float,
    responses: float,
    informative_prompts: int,
    pairs: int,
    trials: int,
) -> np.ndarray:
    """Failure rate of a learner that knows the modes of the prompts it drew and guesses evenly elsewhere, (trials,)."""
    share = np.full(informative_prompts, informative_mass / informative_prompts)
    unseen = rng.multinomial(pairs, [*share, 1 - informative_mass], size=trials)[:, :-1] == 0
    wrong = rng.random(unseen.shape) < 1 - 1 / responses
    return informative_mass * (unseen & wrong).mean(axis=1)


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    rng, n, d, kappa = np.random.default_rng(stream), cell["pairs"], cell["informative_prompts"], cell["kappa0"]
    worst = worst_hard_instance(kappa, n, d)
    size = d * math.log(worst.responses)
    # The mass that is worst for a searcher, up to 1/n; kappa_0 then says how many responses a prompt has (g = 1).
    mass = min(1.0, d / (n + 1))
    labels = 2 * (kappa - 1 + mass) / mass
    learners = {
        "sampling": simulate_bayes_learner(rng, worst.informative_mass, int(worst.responses), d, n, cell["trials"]),
        "search": simulate_searcher(rng, mass, labels, d, n, cell["trials"]),
    }
    row: dict[str, Any] = {"n": n, "sampling_p7": worst.failure_rate, "search_p9": worst_search_failure(kappa, n, d)}
    row["theorem_4_1"] = float(failure_lower_bound(kappa, n, size, cell["lower_constant"]).value)
    row["search_bound"] = min(1.0, search_failure_bound(d * math.log(labels), n))
    # As many prefixes expanded as the sampler draws responses: L*kappa of them a prompt (P6).
    fewer = n / (cell["length"] * kappa)
    row["search_at_equal_cost"] = worst_search_failure(kappa, fewer, d) if fewer >= 1 else None
    for name, failures in learners.items():
        one = interval(failures)
        row |= {f"{name}_simulated": one.mean, f"{name}_simulated_low": one.low, f"{name}_simulated_high": one.high}
    return row


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    return stacked(*workers.sweep(_cell, [{**values, "pairs": int(n)} for n in sorted(values["pairs"])]))


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    sizes = table["n"]
    sampling, search, lower, bound, equal = (
        column(table, name)
        for name in ("sampling_p7", "search_p9", "theorem_4_1", "search_bound", "search_at_equal_cost")
    )
    measured = {name: column(table, f"{name}_simulated") for name in ("sampling", "search")}
    slack = 1.5 * (column(table, "search_simulated_high") - measured["search"])  # three standard errors
    above = [f"n = {n}" for n, far in zip(sizes, measured["search"] > search + slack, strict=True) if far]
    agrees = f"more often than P9 allows at {', '.join(above)}" if above else "no more often than P9's worst instance"
    broken = [f"n = {n}" for n, far in zip(sizes, bound < measured["search"], strict=True) if far]
    holds = f"is broken at {', '.join(broken)}" if broken else "holds at every n"
    below = [n for n, s, rate in zip(sizes, search, lower, strict=True) if s < rate]
    beyond = f"below theorem 4.1's rate from n = {min(below)} on" if below else "nowhere below theorem 4.1's rate"
    better = [n for n, one, other in zip(sizes, equal, sampling, strict=True) if one < other]
    cost = f"search is better from n = {min(better)} on" if better else "search is nowhere better"
    factor = sampling[-1] / search[-1]
    title = f"at n = {sizes[-1]} sampling fails {factor:.3g} times as often as search"
    lines = {"sampling, simulated o": "sampling_simulated", "sampling, P7": "sampling_p7"}
    lines |= {"search, simulated o": "search_simulated", "search, worst instance (P9)": "search_p9"}
    lines |= {"P9's bound --": "search_bound", "theorem 4.1, a rate about sampling --": "theorem_4_1"}
    costs = {"sampling": "sampling_p7", "search of n/(L kappa_0) prompts": "search_at_equal_cost"}
    charts = (
        chart(title, table, "n", "failure rate", lines, x_label="n: responses drawn, or prompts searched", log="xy"),
        chart(f"at equal cost {cost}", table, "n", "failure rate", costs, x_label="model calls", log="xy"),
    )
    return Reading(
        f"At n = {sizes[-1]} the best learner that samples fails at {sampling[-1]:.3g} of the prompts (simulated "
        f"{measured['sampling'][-1]:.3g}), {factor:.3g} times as often as one that searches, at {search[-1]:.3g} "
        f"(simulated {measured['search'][-1]:.3g}). The searcher fails {agrees}, and {beyond}, which is about "
        f"sampling; P9's bound {holds}. At equal cost, with L kappa_0 = {values['length'] * values['kappa0']:g} "
        f"expansions a prompt (P6), {cost}.",
        charts,
        {
            "factor": factor,
            "above_p9": above,
            "bound_broken": broken,
            "better_at_equal_cost_from": min(better, default=None),
        },
        ("Search asks the model for prefixes that it did not sample: kappa moves from statistics to computation.",),
    )


QUESTION = "How often does a learner fail that searches modes, beside the best one that samples?"
SETTINGS = SAMPLING | {
    "length": Setting(1, 1, 10000, "L, tokens of a response"),
    "trials": Setting(800, 10, help="simulated learners"),
}
