"""Does the effective dimension predict the error better than the dimension does?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.instances import Regime, controlled_spectrum
from srlm.simulation.engine import simulate
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, Series, interval
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell
from srlm.theory import effective_dimension

QUESTION = "Does d_lambda predict the error better than d (corollary 6.4), in the regimes A, B and C?"
_STRENGTHS: dict[Regime, tuple[float, ...]] = {"A": (0.03, 0.1, 0.5), "B": (1.2, 2.0, 3.0), "C": (4, 12)}


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    """Error of one noisy round in the norm of the pairs' covariance, by seed, and both dimensions."""
    start = controlled_spectrum(
        np.random.default_rng(cell["seed"]),
        cell["regime"],
        cell["strength"],
        cell["prompts"],
        cell["responses"],
        cell["dimensions"],
        cell["norm"],
    )
    goal = start.theta * (1 + 1 / cell["beta"])
    radius = float(
        np.linalg.norm(goal)
    )  # the optimum lies on the edge of the class: the constraint carries information
    found = simulate(
        start.features,
        start.theta,
        beta=cell["beta"],
        pairs=cell["pairs"],
        rounds=1,
        seeds=cell["seeds"],
        seed=int(stream.generate_state(1)[0]),
        reward=Noisy(cell["noise"]),
        radius=radius,
    )
    chance = np.exp(start.tabular().logprobs) / len(start.features)
    mean = np.einsum("pm,pmd->pd", chance * len(start.features), start.features)
    flat = (start.features - mean[:, None]).reshape(-1, cell["dimensions"])
    covariance = 2 * flat.T @ (flat * chance.reshape(-1, 1))  # of phi(x,y) - phi(x,y')
    gap = found.theta[:, 1] - goal
    noise = 2 * (cell["noise"] / cell["beta"]) ** 2
    ridge = noise / cell["pairs"] * cell["dimensions"] / radius**2
    return {
        "error": np.einsum("sd,de,se->s", gap, covariance, gap),
        "d_lambda": effective_dimension(np.maximum(np.linalg.eigvalsh(covariance), 0), ridge),
    }


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    cells = [
        {**values, "dimensions": int(d), "regime": regime, "strength": strength, "seed": workers.seed}
        for d in values["dimensions"]
        for regime, strengths in _STRENGTHS.items()
        for strength in strengths
    ]
    found = workers.sweep(_cell, cells)
    errors = np.stack([one["error"] for one in found])
    small = np.array([one["d_lambda"] for one in found])
    full = np.array([cell["dimensions"] for cell in cells], dtype=float)
    level = np.log(errors.mean(axis=1))
    rng = np.random.default_rng(workers.seed)
    better = []
    for _ in range(400):
        pick = rng.integers(0, errors.shape[1], errors.shape[1])
        again = np.log(errors[:, pick].mean(axis=1))
        better.append(_explained(np.log(small), again) - _explained(np.log(full), again))
    by_small, by_full = _explained(np.log(small), level), _explained(np.log(full), level)
    low, high = np.quantile(better, [0.025, 0.975])
    fit = np.polyfit(np.log(small), level, 1)
    series = []
    for colour, regime in enumerate(_STRENGTHS):
        at = [k for k, cell in enumerate(cells) if cell["regime"] == regime]
        spread = [interval(errors[k]) for k in at]
        for x, name in ((small, "d_lambda"), (full, "d")):
            series.append(
                (
                    name,
                    Series(
                        f"regime {regime}",
                        tuple(float(x[k]) for k in at),
                        tuple(s.mean for s in spread),
                        tuple(max(s.low, 1e-12) for s in spread),
                        tuple(s.high for s in spread),
                        "points",
                        colour,
                    ),
                )
            )
    charts = tuple(
        Chart(
            f"error against {name}",
            name,
            "squared error of one round",
            tuple(s for key, s in series if key == name),
            x_log=True,
            y_log=True,
        )
        for name in ("d_lambda", "d")
    )
    return ExperimentResult(
        "effective-dimension",
        QUESTION,
        dict(values),
        {
            "regime": [c["regime"] for c in cells],
            "strength": [float(c["strength"]) for c in cells],
            "dimensions": full.tolist(),
            "d_lambda": small.tolist(),
            "error": errors.mean(axis=1).tolist(),
        },
        charts,
        f"log d_lambda explains {by_small:.0%} of the variation of the log error over {len(cells)} settings, "
        f"log d {by_full:.0%} "
        f"(difference {by_small - by_full:.2f}, 95 % {low:.2f} to {high:.2f}); the error grows like "
        f"d_lambda^{fit[0]:.2f}.",
        {
            "explained_by_d_lambda": by_small,
            "explained_by_d": by_full,
            "low": float(low),
            "high": float(high),
            "exponent": float(fit[0]),
        },
        (
            "Plain least squares has prediction error noise * d / n whatever the spectrum: the effective "
            "dimension enters through "
            "the bound |theta| <= B, which is why the optimum is put on its edge here.",
        ),
    )


def _explained(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1] ** 2)


EXPERIMENT = Experiment(
    "effective-dimension",
    QUESTION,
    {
        "prompts": Setting(80, 2, help="P"),
        "responses": Setting(20, 2, help="M"),
        "dimensions": Setting((16, 32, 64, 128), 12, 1000, "d, several"),
        "norm": Setting(6.0, 0.1, 1e4, "of the start"),
        "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
        "noise": Setting(2.0, 1e-3, 1e3, "of a reward, nats"),
        "pairs": Setting(400, 1, help="n"),
        "seeds": Setting(24, 2, help="independent runs"),
    },
    run,
)
