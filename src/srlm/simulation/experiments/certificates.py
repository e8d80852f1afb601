"""Certificates of a majority from draws (P11): how often are they wrong, and how many draws do they need?"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import zeta
from scipy.stats import binom

from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, column, listed, spread, stacked
from srlm.simulation.sweep import Cell
from srlm.theory import draws_needed, majorities

_UNLIKELY = 0.001  # a share of errors this far above alpha is not by chance

# Laws of answers. The last has no end: its answers are numbers with chances k^(-3/2)/zeta(3/2), of which two are here.
LAWS: dict[str, tuple[float, ...]] = {
    "clear": (0.6, 0.2, 0.1, 0.1),
    "near tie": (0.35, 0.33, 0.32),
    "tie": (0.4, 0.4, 0.2),
    "unbounded": (1 / zeta(1.5), 2**-1.5 / zeta(1.5)),
}


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    rng, law, level, most = np.random.default_rng(stream), LAWS[cell["law"]], cell["alpha"], cell["draws"]
    shape = (cell["runs"], most)
    draws = rng.zipf(1.5, shape) - 1 if cell["law"] == "unbounded" else rng.choice(len(law), p=law, size=shape)
    modes = {at for at, p in enumerate(law) if p == law[0]}
    looks = np.unique(np.geomspace(2, most, cell["looks"]).astype(int))
    wrong, outside, peeking = (np.zeros(cell["runs"], dtype=bool) for _ in range(3))
    first = np.full(cell["runs"], np.inf)
    for n in looks:
        groups = [row[:n].tolist() for row in draws]
        for at, one in enumerate(majorities(groups, level)):
            outside[at] |= not one.lower <= law[0] <= one.upper
            if one.log_evidence >= -np.log(level):
                wrong[at] |= one.leader not in modes
                first[at] = min(first[at], n)
        # What is done without P11: the leader is tested against the runner-up as if this were the only look.
        ranked = [[*Counter(group).most_common(2), (None, 0)][:2] for group in groups]
        ahead, behind = (np.array([pair[k][1] for pair in ranked]) for k in (0, 1))
        astray = np.array([pair[0][0] not in modes for pair in ranked])
        peeking |= astray & (binom.sf(ahead - 1, ahead + behind, 0.5) <= level)
    needed = draws_needed(law[0], law[1], level) if law[0] > law[1] else None
    certified = np.isfinite(first)
    part: dict[str, Any] = {"law": cell["law"], "p_max": law[0], "runs": cell["runs"], "needed": needed}
    part["median_draws"] = float(np.median(first)) if certified.mean() > 0.5 else None
    for name, cells in (("wrong", wrong), ("outside", outside), ("peeking", peeking), ("certified", certified)):
        part |= spread(name, cells[:, None].astype(float))
    return part


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    return stacked(*workers.sweep(_cell, [{**values, "law": law} for law in LAWS]))


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    alpha, laws = values["alpha"], table["law"]

    def over(name: str) -> list[str]:
        """Laws whose share of errors alpha does not explain."""
        errors = np.round(column(table, name) * column(table, "runs"))
        chances = binom.sf(errors - 1, table["runs"], alpha)
        return [law for law, chance in zip(laws, chances, strict=True) if chance < _UNLIKELY]

    bad = {name: over(name) for name in ("wrong", "outside", "peeking")}
    shares = {
        name: ", ".join(f"{law} {share:.1%}" for law, share in zip(laws, column(table, name), strict=True))
        for name in (*bad, "certified")
    }
    words = {"wrong": "certificates of what is no mode", "outside": "brackets that leave out p_max"}
    broken = "; ".join(f"{words[name]} at {listed(bad[name])}" for name in words if bad[name])
    promise = f"More than alpha allows: {broken}" if broken else f"Both stay consistent with alpha = {alpha:g}"
    naive = "a test at every look as if it were the only one is wrong more often than alpha at "
    naive += listed(bad["peeking"])
    needed = "; ".join(
        f"{law}: "
        + ("no majority of the runs certified" if median is None else f"median {median:.0f}")
        + ("" if forecast is None else f" (P11 says about {forecast:.0f})")
        for law, median, forecast in zip(laws, table["median_draws"], table["needed"], strict=True)
    )
    within = f"certified within {values['draws']} draws: {shares['certified']}"
    errors = {"certified what is no mode |": "wrong", "bracket without p_max |": "outside", "naive test |": "peeking"}
    counts = {"simulated |": "median_draws", "P11's forecast |": "needed"}
    charts = (
        chart(promise, table, "law", "share of runs with an error at some look", errors),
        chart(within, table, "law", "draws to a certificate, median", counts, log="y"),
    )
    return Reading(
        f"Over {values['runs']} runs of {values['draws']} draws, looked at {values['looks']} times: {words['wrong']} "
        f"in {shares['wrong']} of the runs, {words['outside']} in {shares['outside']}. {promise}; {naive} "
        f"({shares['peeking']}). Certified: {shares['certified']}; draws needed: {needed}.",
        charts,
        {"over_alpha": bad, "median_draws": dict(zip(laws, table["median_draws"], strict=True))},
        ("At a tie either answer is a mode, so that no certificate of one of the two is wrong.",),
    )


QUESTION = "How often are certificates of a majority wrong, and how many draws do they need?"
SETTINGS = {
    "alpha": Setting(0.1, 1e-6, 0.5, "level of a certificate"),
    "draws": Setting(300, 3, 1e5, "of answers, at most"),
    "looks": Setting(30, 1, 1e5, "numbers of draws at which it is asked for certificates"),
    "runs": Setting(600, 10, 1e6, "simulated prompts"),
}
