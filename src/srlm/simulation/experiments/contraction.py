"""kappa over rounds beside what theory says of it: P3 and the recurrence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, band, curve, interval
from srlm.simulation.experiments._softmax import simulated, start_of
from srlm.theory import linear_softmax_log_class_size, recurrence, statistical_error

QUESTION = "Does kappa contract as P3 says, and where does the recurrence of theorem 5.3 stand beside it?"


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    rng = np.random.default_rng(workers.seed)
    start = start_of(values, rng)
    found = simulated(start, values, workers.seed)
    rounds = np.arange(values["rounds"] + 1)
    first = start.tabular()
    exact = [first.conditioning().policy_condition_number]
    for t in rounds[1:]:
        theta = start.theta * (1 + 1 / values["beta"]) ** min(float(t), 60.0)
        exact.append(float(np.exp(-_mode_logprobs(start.features @ theta)).mean()))
    size = float(
        linear_softmax_log_class_size(values["dimensions"], 2.0 ** values["rounds"] * values["norm"], values["pairs"])
    )
    confidence, margin = float(found.min_confidence[:, 1:].min()), float(first.margins.min())
    recur = recurrence(statistical_error(values["pairs"], size), values["beta"], margin, confidence)
    closed = [float(recur.bound_after(found.kappa[0, 0], t)) for t in rounds]
    held = found.kappa[:, 1:] <= found.population_bound * (1 + 1e-9)
    ratio = interval((found.population_bound / found.kappa[:, 1:])[:, 0])
    full = float(np.mean(held))
    factor = interval((found.kappa[:, 1] - 1) / (found.kappa[:, 0] - 1))
    charts = (
        Chart(
            "kappa contracts, and P3 bounds it",
            "round",
            "kappa - 1",
            (
                band("measured", rounds.tolist(), found.kappa - 1),
                band("P3 from the round before", rounds[1:].tolist(), found.population_bound - 1, 1, "dashed"),
                curve("infinitely many samples", rounds, np.array(exact) - 1, 2, "points"),
            ),
            y_log=True,
        ),
        Chart(
            "the recurrence (C = 1) and 1/c",
            "round",
            "bound on kappa",
            (
                curve("measured", rounds, found.kappa.mean(axis=0)),
                curve("eq. 66", rounds, closed, 1, "dashed"),
                curve("1/c", rounds, np.full(len(rounds), 1 / confidence), 2, "dashed"),
            ),
            y_log=True,
        ),
    )
    return ExperimentResult(
        "contraction",
        QUESTION,
        dict(values),
        {
            "round": rounds.tolist(),
            "kappa": found.kappa.mean(axis=0).tolist(),
            "exact": exact,
            "p3_bound": [None, *found.population_bound.mean(axis=0).tolist()],
            "recurrence": closed,
            "mode_drift": found.mode_drift.mean(axis=0).tolist(),
            "informative_pairs": [*found.informative_pairs.mean(axis=0).tolist(), None],
        },
        charts,
        f"One round leaves {factor} of kappa - 1 (95 % interval over {values['seeds']} seeds); P3 held in "
        f"{full:.1%} of the "
        f"{held.size} seed-rounds and is {ratio} times the measured kappa after one round. The recurrence with C = 1 "
        f"gives {closed[-1]:.2g} after {values['rounds']} rounds, "
        + ("vacuous beside 1/c." if closed[-1] >= 1 / confidence else "below 1/c."),
        {"p3_held": full, "first_factor": factor.mean, "recurrence": closed[-1], "one_over_c": 1 / confidence},
        (
            "With noise-free self-rewards eq. 3 is solved exactly in the span of the sampled pairs; once pairs "
            "coincide the "
            "span loses directions, modes move, and P3 (which assumes an exact round) can fail.",
        ),
    )


def _mode_logprobs(scores: np.ndarray) -> np.ndarray:
    return scores.max(axis=1) - np.logaddexp.reduce(scores, axis=1)


EXPERIMENT = Experiment(
    "contraction",
    QUESTION,
    {
        "prompts": Setting(200, 2, help="P"),
        "responses": Setting(50, 2, help="M"),
        "dimensions": Setting(32, 1, help="d"),
        "norm": Setting(14.0, 0.1, 1e4, "norm of the start"),
        "beta": Setting(2.0, 1e-3, 1e3, "KL strength"),
        "pairs": Setting(1000, 1, help="n a round"),
        "rounds": Setting(8, 1, 200, "T"),
        "seeds": Setting(40, 2, help="independent runs"),
    },
    run,
)
