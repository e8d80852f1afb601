"""Other rewards than the log-probability, in exact rounds on token trees: which of them contract kappa, and to what.

Each reward has the beta at which its first round moves the policy as far (in KL) as the log-probability's does.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import root_scalar

from srlm.policies.autoregressive import AutoregressivePolicy
from srlm.policies.tabular import TabularPolicy
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import shared
from srlm.simulation.experiments._table import (
    Table,
    chart,
    column,
    course,
    entry,
    kinds,
    listed,
    select,
    spread,
    stacked,
)
from srlm.simulation.population import population_round

Rewarding = Callable[[TabularPolicy], np.ndarray]


class Sequences:
    """All responses of a token tree with an end token, and how to turn a table over them into next-token chances."""

    def __init__(self, tokens: int, length: int) -> None:
        shape = AutoregressivePolicy.from_logits([np.zeros((tokens**t, tokens)) for t in range(length)])
        self.responses = shape.responses
        self.lengths = np.array([len(one) for one in self.responses], dtype=float)
        prefixes = sorted({one[:t] for one in self.responses for t in range(len(one))}, key=lambda p: (len(p), p))
        number = {prefix: k for k, prefix in enumerate(prefixes)}
        # through[r, k]: response r passes prefix k; step[r, k]: the token it takes there.
        self.passes = np.zeros((len(self.responses), len(prefixes)), dtype=bool)
        self.taken = np.zeros((len(self.responses), len(prefixes)), dtype=np.int64)
        for r, one in enumerate(self.responses):
            for t in range(len(one)):
                self.passes[r, number[one[:t]]] = True
                self.taken[r, number[one[:t]]] = one[t]
        self.tokens = tokens
        edges = [
            (k, v, self.passes[:, k] & (self.taken[:, k] == v)) for k in range(len(prefixes)) for v in range(tokens)
        ]
        self.edges = np.stack([mask for _, _, mask in edges], axis=1).astype(float).reshape(len(self.responses), -1)

    def self_certainty(self, table: np.ndarray) -> np.ndarray:
        """Mean over a response's tokens of KL(uniform || next-token distribution), (P, R)."""
        mass = (table @ self.edges).reshape(len(table), -1, self.tokens)
        chance = np.maximum(mass / np.maximum(mass.sum(axis=2, keepdims=True), 1e-300), 1e-12)
        certainty = -np.log(self.tokens) - np.log(chance).mean(axis=2)
        return certainty @ self.passes.T / self.lengths


def _divergence(policy: TabularPolicy, rewards: np.ndarray, beta: float) -> float:
    """E_x KL of the policy after an exact round from the one before, nats."""
    after = population_round(policy, rewards, beta).logprobs
    return float((np.exp(after) * (after - policy.logprobs)).sum(axis=1).mean())


def _beta_for(policy: TabularPolicy, rewards: np.ndarray, wanted: float) -> float:
    """beta at which the first round's KL is as wanted; the smallest tried where no beta moves the policy that far."""
    low, high = math.log(1e-4), math.log(1e4)
    if _divergence(policy, rewards, math.exp(low)) <= wanted:
        return math.exp(low)
    root = root_scalar(lambda at: _divergence(policy, rewards, math.exp(at)) - wanted, bracket=(low, high), xtol=1e-10)
    return math.exp(root.root)


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    rng = np.random.default_rng(workers.seed)
    space = Sequences(values["tokens"], values["length"])
    shapes = [(values["tokens"] ** t, values["tokens"]) for t in range(values["length"])]
    trees = [
        AutoregressivePolicy.from_logits([values["spread"] * rng.standard_normal(shape) for shape in shapes])
        for _ in range(values["prompts"])
    ]
    start = TabularPolicy.from_logits(np.stack([tree.logprobs for tree in trees]))
    order, rows = np.argsort(start.logprobs, axis=1), np.arange(values["prompts"])
    correct = np.where(rng.random(values["prompts"]) < values["mode_accuracy"], order[:, -1], order[:, -2])
    truth = np.zeros(start.logprobs.shape)
    truth[rows, correct] = 1.0
    truth = (truth - truth.mean()) / truth.std()
    informed = values["correlation"]
    external = informed * truth + math.sqrt(1 - informed**2) * rng.standard_normal(truth.shape)
    rewards: dict[str, Rewarding] = {
        "log-probability": lambda p: p.logprobs,
        "length-normalised": lambda p: p.logprobs / space.lengths,
        "self-certainty": lambda p: space.self_certainty(np.exp(p.logprobs)),
        "majority vote": lambda p: np.exp(p.logprobs),
        "external": lambda p: external,
        "log-probability + external": lambda p: (1 - values["weight"]) * p.logprobs + values["weight"] * external,
    }
    wanted = _divergence(start, start.logprobs, values["beta"])
    parts = []
    for name, reward in rewards.items():
        beta = _beta_for(start, reward(start), wanted)
        path = [start]
        for _ in range(values["rounds"]):
            path.append(population_round(path[-1], np.maximum(reward(path[-1]), -1e4), beta))
        measured = {
            "kappa": [np.exp(-one.mode_logprobs) for one in path],
            "mode_drift": [one.modes != start.modes for one in path],
            "length": [np.exp(one.logprobs) @ space.lengths for one in path],
            "accuracy": [np.exp(one.logprobs[rows, correct]) for one in path],
            "mode_accuracy": [one.modes == correct for one in path],
        }
        label = {"reward": name, "beta": beta, "first_kl": _divergence(start, reward(start), beta)}
        part: dict[str, Any] = label | {"round": list(range(len(path)))}
        for key, cells in measured.items():
            part |= spread(key, np.stack(cells, axis=1).astype(float))
        parts.append(part)
    return stacked(*parts)


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    parts = {name: select(table, reward=name) for name in kinds(table, "reward")}
    first = select(table, round=0)
    fell = {name: column(part, "kappa")[-1] / column(part, "kappa")[0] for name, part in parts.items()}
    halved = [name for name, by in fell.items() if by < 0.5]
    kept = [name for name, part in parts.items() if column(part, "mode_drift")[-1] < 0.01]
    better = [
        name
        for name, part in parts.items()
        if column(part, "mode_accuracy")[-1] > column(part, "mode_accuracy")[0] + 0.01
    ]
    lengths = {
        name: course("length", column(part, "length")[0], column(part, "length")[-1], ".2f")
        for name, part in parts.items()
    }
    kl = column(first, "first_kl")
    equal = (
        f"{kl[0]:.2f} nats in the first round"
        if np.ptp(kl) <= 0.01 * kl.max()
        else f"{kl.min():.2f} to {kl.max():.2f} nats in the first round"
    )
    each = "; ".join(
        f"{name} (beta {part['beta'][0]:.2g}) kappa {column(part, 'kappa')[-1]:.3g}, "
        f"{entry(part, 'mode_drift').percent} of modes moved, modes right {column(part, 'mode_accuracy')[-1]:.0%}, "
        f"{lengths[name]}"
        for name, part in parts.items()
    )
    right = f"modes more often right by {listed(better)}"
    length = f"{lengths['log-probability']} (log-probability)"
    charts = (
        chart(f"kappa halved by {listed(halved)}", table, "round", "kappa", {"{}": "kappa"}, by="reward", log="y"),
        chart(f"modes kept by {listed(kept)}", table, "round", "share that moved", {"{}": "mode_drift"}, by="reward"),
        chart(right, table, "round", "accuracy of modes", {"{}": "mode_accuracy"}, by="reward"),
        chart(length, table, "round", "mean length, tokens", {"{}": "length"}, by="reward"),
    )
    return Reading(
        f"From kappa {column(first, 'kappa')[0]:.3g} and modes right {column(first, 'mode_accuracy')[0]:.0%}, every "
        f"reward moving the policy by {equal}, after {values['rounds']} exact rounds (95 % over prompts): {each}. "
        f"At least halved by {listed(halved)}; modes kept (under 1 % moved) by {listed(kept)}; modes more often right "
        f"(by over a point) by {listed(better)}.",
        charts,
        {
            "halved": halved,
            "kept": kept,
            "better": better,
            "kappa_factor": {name: float(by) for name, by in fell.items()},
        },
        (
            "Majority vote's reward is the chance of the response itself, as for very many votes. The external reward "
            f"correlates with being right at {values['correlation']:g} over all responses.",
        ),
    )


QUESTION = "Which rewards contract kappa, do they keep the modes and the lengths, and is the policy more often right?"
SETTINGS = shared("mode_accuracy", beta=1.0, rounds=6) | {
    "prompts": Setting(150, 2, 5000, "P"),
    "tokens": Setting(4, 2, 6, "V, one of them the end"),
    "length": Setting(4, 1, 5, "L"),
    "spread": Setting(1.0, 0.0, 20, "standard deviation of the scores"),
    "weight": Setting(0.5, 0.0, 1.0, "of the external reward in the mixture"),
    "correlation": Setting(0.3, 0.0, 1.0, "of the external reward with being right"),
}
