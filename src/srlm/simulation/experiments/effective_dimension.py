"""Is the effective dimension a better guide to the error of a round than the dimension?

Measured: one noisy round whose optimum lies on the edge of the class, and d_lambda of the pairs' covariance at the one
lambda at which noise and |theta| <= B balance, noise*d/(n*B^2).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.stats import rankdata

from srlm.policies.instances import Regime, controlled_spectrum
from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import shared, simulated
from srlm.simulation.experiments._table import Table, chart, column, listed, spread, stacked
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell
from srlm.theory import effective_dimension

_STRENGTHS: dict[Regime, tuple[float, ...]] = {"A": (0.03, 0.1, 0.5), "B": (1.2, 2.0, 3.0), "C": (4.0, 12.0)}
_OUTCOMES = {"error": "squared error", "failure": "failures that noise adds", "drift": "modes moved"}


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    """One noisy round by seed: error in the norm of the pairs' covariance, failures that noise adds, drift."""
    start = controlled_spectrum(
        np.random.default_rng(cell["seed"]),
        cell["regime"],
        cell["strength"],
        cell["prompts"],
        cell["responses"],
        cell["dimensions"],
    )
    # Equally spread scores in every setting, or failures and drift would tell how flat the start is.
    scale = cell["score_spread"] / float((start.features @ start.theta).std(axis=1).mean())
    start = LinearSoftmaxPolicy(start.features, scale * start.theta)
    goal = start.theta * (1 + 1 / cell["beta"])
    radius = float(np.linalg.norm(goal))  # the optimum on the edge of the class: the constraint carries information
    seed = int(stream.generate_state(1)[0])
    run = simulated(start, {**cell, "rounds": 1}, seed, reward=Noisy(cell["noise"]), radius=radius)
    chance = np.exp(start.tabular().logprobs)[..., None]
    centred = (start.features - (chance * start.features).sum(axis=1, keepdims=True)).reshape(-1, cell["dimensions"])
    covariance = 2 * centred.T @ (centred * (chance / len(start.features)).reshape(-1, 1))  # of phi(x,y) - phi(x,y')
    gap = run.theta[:, 1] - goal
    ridge = 2 * (cell["noise"] / cell["beta"]) ** 2 / cell["pairs"] * cell["dimensions"] / radius**2
    error = np.einsum("sd,de,se->s", gap, covariance, gap)[:, None]
    floor = LinearSoftmaxPolicy(start.features, goal).tabular().conditioning().failure_rate
    return {
        **{name: cell[name] for name in ("regime", "strength", "dimensions")},
        "d_lambda": effective_dimension(np.maximum(np.linalg.eigvalsh(covariance), 0), ridge),
        **spread("error", error),
        **spread("failure", run.unfaithful[:, 1:] - floor),
        **spread("drift", run.mode_drift[:, 1:]),
    }


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    cells = [
        {**values, "dimensions": int(d), "regime": regime, "strength": strength, "seed": workers.seed}
        for d in values["dimensions"]
        for regime, strengths in _STRENGTHS.items()
        for strength in strengths
    ]
    return stacked(*workers.sweep(_cell, cells))


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    small, full = column(table, "d_lambda"), column(table, "dimensions")
    rng = np.random.default_rng(0)  # of the intervals below: the table's own error bars, drawn again
    correlations, numbers, better, worse = [], {}, [], []
    for name, words in _OUTCOMES.items():
        mean = column(table, name)
        error = (column(table, f"{name}_high") - column(table, f"{name}_low")) / (2 * 1.96)
        draws = [mean, *(mean + error * rng.standard_normal((400, len(mean))))]
        pairs = np.array([[_rank(x, draw) for x in (small, full)] for draw in draws])
        difference = pairs[1:, 0] - pairs[1:, 1]
        low, high = np.quantile(difference, [0.025, 0.975])
        correlations.append(
            f"{words} {pairs[0, 0]:.2f} with d_lambda and {pairs[0, 1]:.2f} with d (difference {low:.2f} to {high:.2f})"
        )
        numbers[name] = {"d_lambda": pairs[0, 0], "d": pairs[0, 1], "low": float(low), "high": float(high)}
        if low > 0 or high < 0:
            (better if low > 0 else worse).append(words)
    charts = []
    for name, words in _OUTCOMES.items():
        title = (
            f"{words}: rank correlation {numbers[name]['d_lambda']:.2f} with d_lambda, {numbers[name]['d']:.2f} with d"
        )
        lines, log = {"regime {} o": name}, "xy" if name == "error" else "x"
        charts.append(chart(title, table, "d_lambda", f"{words} after one round", lines, by="regime", log=log))
    return Reading(
        f"Over {len(small)} settings of regimes A, B and C, one noisy round, rank correlations (95 % of the "
        f"difference, over seeds): {'; '.join(correlations)}. The better guide is d_lambda to {listed(better)}; "
        f"d to {listed(worse)}.",
        tuple(charts),
        numbers,
        (
            "d_lambda at one lambda, where noise and the bound |theta| <= B balance, with the optimum on that bound: "
            "least squares without it has prediction error noise * d / n whatever the spectrum.",
        ),
    )


def _rank(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation; 0 where one of them is constant."""
    return 0.0 if np.ptp(x) == 0 or np.ptp(y) == 0 else float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


QUESTION = "Does d_lambda say more than d about the error, the failures and the drift of a round (corollary 6.4)?"
SETTINGS = shared(prompts=80, responses=20, beta=1.0, noise=2.0, pairs=400, seeds=24) | {
    "score_spread": Setting(1.5, 0.01, 100.0, "standard deviation of the start's scores, nats"),
    "dimensions": Setting((16, 32, 64, 128), 12, 1000, "d, several"),
}
