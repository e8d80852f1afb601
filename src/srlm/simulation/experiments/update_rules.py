"""DPO, IPO, best-of-K and eq. 3: is the contraction the reward's or the loss's?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.engine import Trajectory
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, curve, interval
from srlm.simulation.experiments._softmax import simulated, start_of
from srlm.simulation.population import RULES, population_round
from srlm.simulation.sweep import Cell

QUESTION = "Does kappa contract under other losses too, and is it the reward or the loss that does it?"


def _cell(cell: Cell, stream: np.random.SeedSequence) -> Trajectory:
    start = start_of(cell, np.random.default_rng(cell["seed"]))
    return simulated(start, cell, int(stream.generate_state(1)[0]), update=cell["rule"])


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    found = workers.sweep(_cell, [{**values, "rule": rule, "seed": workers.seed} for rule in RULES])
    rounds = list(range(values["rounds"] + 1))
    rng = np.random.default_rng(workers.seed)
    start = start_of(values, rng).tabular()
    fixed = rng.standard_normal(start.logprobs.shape)
    exact: dict[tuple[str, str], list[float]] = {}
    for source in ("self-reward", "fixed reward"):
        for rule in RULES:
            policy, path = start, []
            for _ in rounds:
                path.append(float(np.exp(-policy.mode_logprobs).mean()))
                reward = policy.logprobs if source == "self-reward" else fixed
                policy = population_round(policy, np.maximum(reward, -1e4), values["beta"], rule)
            exact[source, rule] = path
    factors = (
        {key: (max(path[3] - 1, 1e-12) / (path[0] - 1)) ** (1 / 3) for key, path in exact.items()}
        if len(rounds) > 3
        else {key: (path[-1] - 1) / (path[0] - 1) for key, path in exact.items()}
    )
    charts = (
        Chart(
            "finite samples, self-reward",
            "round",
            "kappa",
            tuple(band(rule, rounds, one.kappa, k) for k, (rule, one) in enumerate(zip(RULES, found, strict=True))),
            y_log=True,
        ),
        *(
            Chart(
                f"infinitely many samples, {source}",
                "round",
                "kappa - 1",
                tuple(
                    curve(rule, rounds, np.maximum(np.array(exact[source, rule]) - 1, 1e-9), k)
                    for k, rule in enumerate(RULES)
                ),
                y_log=True,
            )
            for source in ("self-reward", "fixed reward")
        ),
    )
    ends = {
        rule: (interval(one.kappa[:, -1]), interval(one.mode_drift[:, -1]))
        for rule, one in zip(RULES, found, strict=True)
    }
    said = "; ".join(f"{rule} to {k} with {m.mean:.0%} of modes moved" for rule, (k, m) in ends.items())
    own = ", ".join(f"{rule} {factors['self-reward', rule]:.2f}" for rule in RULES)
    other = ", ".join(f"{rule} {factors['fixed reward', rule]:.2f}" for rule in RULES)
    still = [f"{rule} under the {source}" for (source, rule), path in exact.items() if path[-1] >= path[0]]
    verdict = (
        "Every rule contracts under either reward: it is the loss that sharpens, and the reward decides towards what."
        if not still
        else f"No contraction: {', '.join(still)}."
    )
    return ExperimentResult(
        "update-rules",
        QUESTION,
        dict(values),
        {
            "rule": [r for r in RULES for _ in rounds],
            "round": rounds * len(RULES),
            "kappa": [v for one in found for v in one.kappa.mean(axis=0).tolist()],
            "mode_drift": [v for one in found for v in one.mode_drift.mean(axis=0).tolist()],
            "exact_self_reward": [v for r in RULES for v in exact["self-reward", r]],
            "exact_fixed_reward": [v for r in RULES for v in exact["fixed reward", r]],
        },
        charts,
        f"From kappa {found[0].kappa[0, 0]:.3g} with {values['pairs']} pairs a round: {said} (95 % intervals "
        "over seeds). With infinitely many "
        f"samples a round multiplies kappa - 1 on average by: self-reward {own}; a fixed reward {other}. {verdict}",
        {
            "factors": {f"{source}, {rule}": value for (source, rule), value in factors.items()},
            "kappa": {rule: one[0].mean for rule, one in ends.items()},
            "mode_drift": {rule: one[1].mean for rule, one in ends.items()},
        },
        (
            "DPO labels are drawn from the Bradley-Terry model; named without noise they are separable and DPO "
            "has no minimiser. "
            "beta means different things in different rules, and best-of-K has none: compare shapes, not levels.",
        ),
    )


EXPERIMENT = Experiment(
    "update-rules",
    QUESTION,
    {
        "prompts": Setting(100, 2, help="P"),
        "responses": Setting(30, 2, help="M"),
        "dimensions": Setting(16, 1, help="d"),
        "norm": Setting(8.0, 0.1, 1e4, "norm of the start"),
        "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
        "pairs": Setting(1500, 1, help="n a round"),
        "rounds": Setting(6, 1, 50, "T"),
        "seeds": Setting(8, 2, help="independent runs"),
    },
    run,
)
