"""Other rewards than the log-probability, in exact rounds on token trees: which of them contract kappa, and to what."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.autoregressive import AutoregressivePolicy
from srlm.policies.tabular import TabularPolicy
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, curve, interval
from srlm.simulation.population import population_round

QUESTION = "Which rewards contract kappa, and do they keep the modes and the lengths?"


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


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    rng = np.random.default_rng(workers.seed)
    space = Sequences(values["tokens"], values["length"])
    shapes = [(values["tokens"] ** t, values["tokens"]) for t in range(values["length"])]
    start = TabularPolicy.from_logits(
        np.stack(
            [
                AutoregressivePolicy.from_logits(
                    [values["spread"] * rng.standard_normal(shape) for shape in shapes]
                ).logprobs
                for _ in range(values["prompts"])
            ]
        )
    )
    external = rng.standard_normal(start.logprobs.shape)
    rewards = {
        "log-probability": lambda p: p.logprobs,
        "length-normalised": lambda p: p.logprobs / space.lengths,
        "self-certainty": lambda p: space.self_certainty(np.exp(p.logprobs)),
        "majority vote": lambda p: np.exp(p.logprobs),
        "log-probability + fixed": lambda p: (1 - values["weight"]) * p.logprobs + values["weight"] * external,
    }
    rounds = list(range(values["rounds"] + 1))
    kappa: dict[str, list[float]] = {name: [] for name in rewards}
    drift: dict[str, list[float]] = {name: [] for name in rewards}
    length: dict[str, list[float]] = {name: [] for name in rewards}
    ends = {}
    for name, reward in rewards.items():
        policy = start
        for t in rounds:
            kappa[name].append(float(np.exp(-policy.mode_logprobs).mean()))
            drift[name].append(float((policy.modes != start.modes).mean()))
            length[name].append(float((np.exp(policy.logprobs) @ space.lengths).mean()))
            if t < rounds[-1]:
                policy = population_round(policy, np.maximum(reward(policy), -1e4), values["beta"])
        moved = interval((policy.modes != start.modes).astype(float))
        ends[name] = (kappa[name][-1], moved, length[name][-1])
    charts = tuple(
        Chart(
            title, "round", label, tuple(curve(n, rounds, v, k) for k, (n, v) in enumerate(source.items())), y_log=log
        )
        for title, label, source, log in (
            ("kappa by reward", "kappa", kappa, True),
            ("modes that moved", "share of prompts", drift, False),
            ("mean length", "tokens", length, False),
        )
    )
    contracting = [name for name in rewards if kappa[name][-1] < 0.5 * kappa[name][0]]
    faithful = [name for name in contracting if drift[name][-1] < 0.01]
    said = "; ".join(
        f"{n} {k:.3g} with {m.mean:.0%} ({m.low:.0%} to {m.high:.0%}) moved, length {w:.2f}"
        for n, (k, m, w) in ends.items()
    )
    return ExperimentResult(
        "reward-design",
        QUESTION,
        dict(values),
        {
            "reward": [n for n in rewards for _ in rounds],
            "round": rounds * len(rewards),
            "kappa": [v for n in rewards for v in kappa[n]],
            "mode_drift": [v for n in rewards for v in drift[n]],
            "length": [v for n in rewards for v in length[n]],
        },
        charts,
        f"From kappa {kappa['log-probability'][0]:.3g} and length {length['log-probability'][0]:.2f} after "
        f"{rounds[-1]} exact rounds: {said}. "
        f"At least halved by {', '.join(contracting) or 'none'}; modes kept by {', '.join(faithful) or 'none'}.",
        {
            "kappa": {n: v[-1] for n, v in kappa.items()},
            "mode_drift": {n: v[-1] for n, v in drift.items()},
            "length": {n: v[-1] for n, v in length.items()},
        },
        (
            "Intervals are over prompts. Majority vote's reward is the chance of the response itself, as for "
            "very many votes; among "
            "near-even responses it hardly differs from zero, so it contracts slowly where kappa is large.",
        ),
    )


EXPERIMENT = Experiment(
    "reward-design",
    QUESTION,
    {
        "prompts": Setting(150, 2, 5000, "P"),
        "tokens": Setting(4, 2, 6, "V, one of them the end"),
        "length": Setting(4, 1, 5, "L"),
        "spread": Setting(1.0, 0.0, 20, "standard deviation of the scores"),
        "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
        "weight": Setting(0.5, 0.0, 1.0, "of the fixed reward"),
        "rounds": Setting(6, 1, 50, "T"),
    },
    run,
)
