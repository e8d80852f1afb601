"""What most experiments begin with: a random linear softmax policy of the settings' size, and rounds from it.

Knows: the settings they share, exact rounds beside sampled ones, answers that are right or wrong. Refuses to know:
what an experiment asks.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.instances import random_softmax
from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.policies.tabular import TabularPolicy
from srlm.simulation.engine import Trajectory, simulate
from srlm.simulation.experiments._registry import Setting
from srlm.simulation.experiments._table import spread
from srlm.theory import linear_softmax_log_class_size, log_ratio_error, sharpen, statistical_error

_SHARED: dict[str, tuple[Any, float, float, str]] = {
    "prompts": (200, 2, math.inf, "P"),
    "responses": (50, 2, math.inf, "M"),
    "dimensions": (32, 1, math.inf, "d"),
    "norm": (12.0, 0.1, 1e4, "norm of the start"),
    "beta": (2.0, 1e-3, 1e3, "KL strength"),
    "beta_scale": (60.0, 1e-3, 1e6, "beta is this over the root of n, as theorem 5.3 has it"),
    "noise": (0.0, 0.0, 1e3, "of a reward, nats"),
    "mode_accuracy": (0.8, 0.0, 1.0, "how often the start's mode is right"),
    "pairs": (1000, 1, math.inf, "n a round"),
    "rounds": (8, 1, 200, "T"),
    "seeds": (16, 2, math.inf, "independent runs"),
}


def shared(*names: str, **defaults: Any) -> dict[str, Setting]:
    """Settings that experiments share: those named, and those given another default; several values where it is a
    tuple."""
    settings = {}
    for name in dict.fromkeys((*names, *defaults)):
        usual, low, high, words = _SHARED[name]
        default = defaults.get(name, usual)
        settings[name] = Setting(default, low, high, words + (", several" if isinstance(default, tuple) else ""))
    return settings


SOFTMAX = ("prompts", "responses", "dimensions", "norm", "pairs", "rounds", "seeds")


def start_of(values: Mapping[str, Any], rng: np.random.Generator) -> LinearSoftmaxPolicy:
    """A random start of the size and norm that the settings name."""
    return random_softmax(rng, values["prompts"], values["responses"], values["dimensions"], values["norm"])


def beta_of(values: Mapping[str, Any]) -> float:
    """beta, given or of the order n^(-1/2)."""
    return values["beta"] if "beta" in values else values["beta_scale"] / math.sqrt(values["pairs"])


def simulated(start: LinearSoftmaxPolicy, values: Mapping[str, Any], seed: int, **more: Any) -> Trajectory:
    """Self-rewarding rounds from `start` as the settings say; `more` goes to `simulate` and may overrule them."""
    asked = {name: values[name] for name in ("pairs", "rounds", "seeds")}
    return simulate(start.features, seed=seed, **{"theta0": start.theta, "beta": beta_of(values), **asked, **more})


def exact_rounds(start: TabularPolicy, beta: float, rounds: int) -> list[TabularPolicy]:
    """The start and what rounds with infinitely many samples make of it (eq. 12-14), T + 1 policies."""
    path = [start]
    for _ in range(rounds):
        path.append(TabularPolicy(sharpen(path[-1].logprobs, beta), start.weights))
    return path


def right_answers(start: LinearSoftmaxPolicy, mode_accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """(P,) right responses: the mode with the given frequency, else the second most likely."""
    order = np.argsort(start.tabular().logprobs, axis=1)
    return np.where(rng.random(len(order)) < mode_accuracy, order[:, -1], order[:, -2])


def by_round(run: Trajectory, *names: str) -> dict[str, list[Any]]:
    """Columns over rounds 0 to T of a trajectory's attributes, with intervals over seeds.

    What belongs to the step from t to t + 1 stands where it is known: a bound on round t + 1 there, pairs at t.
    """
    rounds = run.kappa.shape[1]
    columns: dict[str, list[Any]] = {"round": list(range(rounds))}
    for name in names:
        values = getattr(run, name)
        if values.shape[1] < rounds:
            missing = np.full((len(values), 1), math.nan)
            values = np.hstack([missing, values] if name == "population_bound" else [values, missing])
        columns |= spread(name, values)
    return columns


def largest_error(before: np.ndarray, after: np.ndarray, modes: np.ndarray, beta: float) -> float:
    """P4's eps over all responses of all prompts; before, after: (P, M) log-probabilities, y* = modes (P,)."""
    first = np.argsort(np.arange(before.shape[1]) != modes[:, None], axis=1, kind="stable")  # the mode first
    rows = zip(np.take_along_axis(before, first, 1), np.take_along_axis(after, first, 1), strict=True)
    return max(log_ratio_error(old, new, beta) for old, new in rows)


def premises(run: Trajectory, values: Mapping[str, Any], last: int) -> dict[str, float]:
    """What theorem 5.3 and its recurrence are told about rounds 0 to `last` of a run (C = 1).

    gamma is the smallest margin of every round that samples and c the smallest confidence of every round that results,
    over all seeds; the class holds everything that exact rounds reach.
    """
    beta = beta_of(values)
    # A margin of 0 makes every statement vacuous; so does this one, without dividing by it.
    margin = max(float(run.margin[:, :last].min()), 1e-12)
    radius = values["norm"] * math.exp(min(values["rounds"] * math.log1p(1 / beta), 600.0))
    size = float(linear_softmax_log_class_size(values["dimensions"], radius, values["pairs"]))
    return {
        "beta": beta,
        "log_class_size": size,
        "eps_stat": float(statistical_error(values["pairs"], size, reward_range=max(1.0, margin))),
        "margin": margin,
        "min_confidence": float(run.min_confidence[:, 1 : last + 1].min()),
    }


def domain(beta: float, eps_stat: float) -> str:
    """Whether beta is of the order that theorem 5.3 asks for: at most eps_stat, so that its constant absorbs beta's
    part of A_t."""
    within = "within" if beta <= eps_stat else "outside"
    return f"beta = {beta:.2g} beside eps_stat = {eps_stat:.3g} is {within} theorem 5.3's domain"
