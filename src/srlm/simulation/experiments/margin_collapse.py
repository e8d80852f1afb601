"""Two responses nearly tied: what noise does where the margin is small."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import by_round, shared, simulated
from srlm.simulation.experiments._table import Table, chart, column, course, entry, kinds, select, stacked
from srlm.simulation.rewards import Noisy
from srlm.simulation.sweep import Cell

_UNSAFE = 0.05  # share of modes moved above which a margin counts as too small


def _cell(cell: Cell, stream: np.random.SeedSequence) -> Table:
    """Prompts with a parameter of their own and two responses `margin` nats apart."""
    count = cell["prompts"]
    features = np.zeros((count, 2, count))
    features[np.arange(count), 0, np.arange(count)] = 0.5
    features[np.arange(count), 1, np.arange(count)] = -0.5
    start = LinearSoftmaxPolicy(features, np.full(count, cell["margin"]))
    asked = {**cell, "pairs": cell["pairs_per_prompt"] * count}
    run = simulated(start, asked, int(stream.generate_state(1)[0]), reward=Noisy(cell["noise"]))
    return {"noise": cell["noise"], "margin": cell["margin"]} | by_round(run, "kappa", "mode_drift")


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    cells = [{**values, "margin": m, "noise": s} for s in sorted(values["noises"]) for m in sorted(values["margins"])]
    return stacked(*workers.sweep(_cell, cells))


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    last = select(table, round=values["rounds"])
    noises, margins = kinds(table, "noise"), kinds(table, "margin")
    noisiest = select(last, noise=noises[-1])
    flips = column(noisiest, "mode_drift")
    worst = {}
    for noise in noises:
        part = select(last, noise=noise)
        unsafe = column(part, "margin")[column(part, "mode_drift") > _UNSAFE]
        worst[noise] = float(unsafe.max()) if len(unsafe) else None
    small, kappas = select(table, noise=noises[-1], margin=margins[0]), select(table, noise=noises[-1])
    kappa = course("kappa there", entry(small, "kappa", 0).mean, entry(small, "kappa").mean)
    flip = f"modes moved at noise {noises[-1]:g}: {flips[0]:.0%} at margin {margins[0]:g}, {flips[-1]:.0%} at "
    log, lines = "x" * (margins[0] > 0), {"noise {} nats": "mode_drift"}
    charts = (
        chart(
            f"{flip}{margins[-1]:g}", last, "margin", "share of modes that moved", lines, by="noise", least=0, log=log
        ),
        chart(f"{kappa} (noise {noises[-1]:g})", kappas, "round", "kappa", {"margin {}": "kappa"}, by="margin"),
    )
    limits = ", ".join(
        f"at noise {noise:g} " + ("at none of the margins" if limit is None else f"up to a margin of {limit:g} nats")
        for noise, limit in worst.items()
    )
    return Reading(
        f"With noise of {noises[-1]:g} nats and {values['pairs_per_prompt']} pairs a prompt "
        f"{entry(noisiest, 'mode_drift', 0).percent} of the modes {margins[0]:g} nats ahead move; {kappa}. More than "
        f"{_UNSAFE:.0%} move {limits}.",
        charts,
        {"moved_at_smallest_margin": float(flips[0]), "unsafe_margin": {f"{k:g}": v for k, v in worst.items()}},
        ("The theory assumes a positive margin, and says nothing of how likely noise is to turn a small one.",),
    )


QUESTION = "What happens at prompts where two responses are nearly tied?"
SETTINGS = shared(prompts=30, beta=1.0, rounds=6, seeds=30) | {
    "prompts": Setting(30, 1, 500, "P"),
    "margins": Setting((0.01, 0.03, 0.1, 0.3, 1.0, 2.0), 0.0, 50, "nats, several"),
    "noises": Setting((0.1, 1.0), 0.0, 1e3, "of a reward, nats, several"),
    "pairs_per_prompt": Setting(20, 1, help="n / P"),
}
