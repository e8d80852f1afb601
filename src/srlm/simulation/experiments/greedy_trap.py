"""How often greedy decoding misses the mode, by the mode's probability and over exact rounds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.instances import greedy_trap_tree
from srlm.simulation.experiments._registry import Experiment, Setting, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, curve
from srlm.theory import sharpen

QUESTION = "When does greedy decoding miss the mode, and do rounds repair it?"


def greedy_of(table: np.ndarray, tokens: int) -> np.ndarray:
    """Greedy decoding's response of policies over all sequences of L tokens: (P, V^L) probabilities -> (P,) numbers."""
    at = np.zeros(len(table), dtype=np.int64)
    rows = np.arange(len(table))
    block = table.shape[1]
    while block > 1:
        block //= tokens
        mass = table.reshape(len(table), -1, block).sum(axis=2)
        children = mass[rows[:, None], at[:, None] * tokens + np.arange(tokens)]
        at = at * tokens + children.argmax(axis=1)
    return at


def run(values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
    rng = np.random.default_rng(workers.seed)
    tokens, length, count = values["tokens"], values["length"], values["policies"]
    logps = np.zeros((count, 1))
    spread = rng.uniform(0.3, values["spread"], (count, 1, 1))
    for t in range(length):
        scores = spread * rng.standard_normal((count, tokens**t, tokens))
        scores -= np.logaddexp.reduce(scores, axis=2, keepdims=True)
        logps = (logps[:, :, None] + scores).reshape(count, -1)
    confident = np.exp(logps.max(axis=1))
    missed = greedy_of(np.exp(logps), tokens) != logps.argmax(axis=1)
    edges = np.linspace(0, 1, 11)
    place = np.clip(np.digitize(confident, edges) - 1, 0, 9)
    share = [float(missed[place == k].mean()) if (place == k).any() else None for k in range(10)]
    middle = ((edges[1:] + edges[:-1]) / 2).tolist()
    by_round, table = [], logps
    for _ in range(values["rounds"] + 1):
        by_round.append(float((greedy_of(np.exp(table), tokens) != table.argmax(axis=1)).mean()))
        table = sharpen(table, values["beta"])
    qs = np.linspace(0.05, 0.45, 9)
    traps = [greedy_trap_tree(float(q), float(min(0.1, (1 - 2 * q) / 2))) for q in qs]
    fell = [trap.greedy() != trap.mode().response for trap in traps]
    above = missed[confident > 0.5]
    charts = (
        Chart(
            "greedy misses the mode",
            "probability of the mode",
            "share of policies missed",
            (curve("random token trees", middle, [v if v is not None else np.nan for v in share], style="bars"),),
        ),
        Chart(
            "exact rounds repair greedy decoding",
            "round",
            "share missed",
            (curve("random token trees", np.arange(values["rounds"] + 1), by_round),),
        ),
    )
    return ExperimentResult(
        "greedy-trap",
        QUESTION,
        dict(values),
        {
            "mode_probability_from": edges[:-1].tolist(),
            "mode_probability_to": edges[1:].tolist(),
            "missed": share,
            "policies": [int((place == k).sum()) for k in range(10)],
        },
        charts,
        f"Greedy decoding misses {missed.mean():.1%} of {count} modes, none of the {len(above)} above probability 1/2 "
        f"({int(above.sum())} missed there); {sum(fell)} of {len(fell)} traps of proposition 4.3 catch it. After "
        f"{values['rounds']} exact rounds it misses {by_round[-1]:.1%}.",
        {
            "missed": float(missed.mean()),
            "missed_above_half": int(above.sum()),
            "traps_caught": int(sum(fell)),
            "traps": len(fell),
            "missed_by_round": by_round,
        },
        ("Accuracy measured by greedy decoding can therefore rise over rounds although no mode moves.",),
    )


EXPERIMENT = Experiment(
    "greedy-trap",
    QUESTION,
    {
        "tokens": Setting(4, 2, 10, "V"),
        "length": Setting(5, 1, 8, "L"),
        "policies": Setting(3000, 10, 1e5, "trees"),
        "spread": Setting(4.0, 0.31, 100, "largest standard deviation of the scores"),
        "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
        "rounds": Setting(5, 1, 50, "T"),
    },
    run,
)
