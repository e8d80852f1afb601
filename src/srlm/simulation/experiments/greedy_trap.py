"""How often greedy decoding misses the mode, by the mode's probability and over exact rounds."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from srlm.policies.instances import greedy_trap_tree
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, column, course, select, stacked
from srlm.theory import sharpen


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


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    rng = np.random.default_rng(workers.seed)
    tokens, count = values["tokens"], values["policies"]
    logps = np.zeros((count, 1))
    scale = rng.uniform(0.3, values["spread"], (count, 1, 1))
    for t in range(values["length"]):
        scores = scale * rng.standard_normal((count, tokens**t, tokens))
        scores -= np.logaddexp.reduce(scores, axis=2, keepdims=True)
        logps = (logps[:, :, None] + scores).reshape(count, -1)

    modes = logps.argmax(axis=1)

    def missed(table: np.ndarray) -> np.ndarray:
        return greedy_of(np.exp(table), tokens) != table.argmax(axis=1)

    rows: list[dict[str, Any]] = []
    confident, first = np.exp(logps.max(axis=1)), missed(logps)
    edges = np.linspace(0, 1, 11)
    for low, high in pairwise(edges):
        inside = (confident > low) & (confident <= high)
        rows.append({"by": "probability of the mode", "from": low, "to": high, "policies": int(inside.sum())})
        rows[-1]["missed"] = first[inside].sum()
    for q in np.linspace(0.05, 0.45, 9):
        trap = greedy_trap_tree(float(q), float(min(0.1, (1 - 2 * q) / 2)))
        rows.append({"by": "trap", "from": q, "to": q, "policies": 1, "missed": trap.greedy() != trap.mode().response})
    for t in range(values["rounds"] + 1):
        row = {"by": "round", "from": t, "to": t, "policies": count, "missed": missed(logps).sum()}
        rows.append(row | {"modes_moved": int((logps.argmax(axis=1) != modes).sum())})
        logps = sharpen(logps, values["beta"])
    return stacked(
        *(row | {"missed": int(row["missed"]), "from": float(row["from"]), "to": float(row["to"])} for row in rows)
    )


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    bins, traps, rounds = (select(table, by=kind) for kind in ("probability of the mode", "trap", "round"))
    count = column(rounds, "policies")[0]
    share = column(rounds, "missed") / count
    above = column(bins, "from") >= 0.5
    safe, sure = int(column(bins, "missed")[above].sum()), int(column(bins, "policies")[above].sum())
    caught, laid = int(column(traps, "missed").sum()), len(traps["by"])
    with np.errstate(invalid="ignore"):
        rate = column(bins, "missed") / column(bins, "policies")
    drawn = {
        "probability of the mode": (column(bins, "from") + column(bins, "to")) / 2,
        "share": [None if np.isnan(v) else v for v in rate],
    }
    binned = f"greedy misses {share[0]:.0%} of the modes, {safe} of {sure} above 1/2"
    over = course("share missed over exact rounds", share[0], share[-1], ".1%")
    by_round = stacked({"round": column(rounds, "from"), "share": share})
    charts = (
        chart(binned, stacked(drawn), "probability of the mode", "share missed", {"random token trees |": "share"}),
        chart(over, by_round, "round", "share missed", {"random token trees": "share"}),
    )
    moved, better = int(column(rounds, "modes_moved")[-1]), share[-1] < share[0]
    gain = "greedy decoding gives other answers although modes stay" if better and not moved else "no such repair"
    return Reading(
        f"Greedy decoding misses {share[0]:.1%} of {count:.0f} modes, and {safe} of the {sure} above probability 1/2; "
        f"{caught} of {laid} traps of proposition 4.3 catch it. After {values['rounds']} exact rounds, in "
        f"which {moved} modes move, it misses {share[-1]:.1%}: {gain}.",
        charts,
        {
            "missed": float(share[0]),
            "missed_above_half": safe,
            "traps_caught": caught,
            "missed_at_the_end": float(share[-1]),
        },
    )


QUESTION = "When does greedy decoding miss the mode, and do rounds repair it?"
SETTINGS = {
    "tokens": Setting(4, 2, 10, "V"),
    "length": Setting(5, 1, 8, "L"),
    "policies": Setting(3000, 10, 1e5, "trees"),
    "spread": Setting(4.0, 0.31, 100, "largest standard deviation of the scores"),
    "beta": Setting(1.0, 1e-3, 1e3, "KL strength"),
    "rounds": Setting(5, 1, 50, "T"),
}
