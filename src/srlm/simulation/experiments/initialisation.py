"""Well, badly and wrongly initialised policies: what is forgotten, and what is not."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments import _softmax
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, column, course, entry, kinds, select, spread, stacked
from srlm.theory import failure_bound

_KEPT = 0.5  # a start whose disagreement keeps more than this share is not forgotten


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    rng = np.random.default_rng(workers.seed)
    norms, angles = sorted(values["norms"]), sorted({0.0, *values["angles"]})
    surest = _softmax.start_of({**values, "norm": norms[-1]}, rng)
    along = surest.theta / norms[-1]
    across = rng.standard_normal(len(along))
    across -= (across @ along) * along
    across /= np.linalg.norm(across)
    runs = {}
    for norm, angle in [(norm, 0.0) for norm in norms] + [(norms[-1], angle) for angle in angles if angle]:
        turn = math.radians(angle)
        start = norm * (math.cos(turn) * along + math.sin(turn) * across)
        runs[norm, angle] = _softmax.simulated(
            surest, values, workers.seed, theta0=start, correct=surest.tabular().modes
        )
    best = runs[norms[-1], 0.0]
    parts = []
    for (norm, angle), run in runs.items():
        told = _softmax.premises(run, {**values, "norm": norm}, values["rounds"])
        bound = failure_bound(
            run.kappa[0, 0],
            values["pairs"],
            told["log_class_size"],
            margin=told["margin"],
            min_confidence=told["min_confidence"],
            rounds=np.arange(1, values["rounds"] + 2),
        )
        assert run.mode_accuracy is not None
        parts.append(
            {"norm": norm, "angle": angle, "theorem_5_3": [None, *bound.value[:-1]]}
            | {"theorem_factor": float(bound.transient_term[1] / bound.transient_term[0])}
            | _softmax.by_round(run, "kappa", "failure_rate")
            | spread("kappa_gap", run.kappa - best.kappa)
            | spread("failure_gap", run.failure_rate - best.failure_rate)
            | spread("disagreement", 1 - run.mode_accuracy)
        )
    return stacked(*parts)


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    right, norms = select(table, angle=0.0), kinds(table, "norm")
    unsure, surest = select(right, norm=min(norms)), select(right, norm=max(norms))
    gap, theorem = column(unsure, "failure_gap"), column(unsure, "theorem_factor")[0]
    bound = column(unsure, "theorem_5_3")[-1]
    last = next((t for t, one in enumerate(gap) if t and one < 0.01 * gap[0]), len(gap) - 1)
    ends = entry(unsure, "failure_gap", last)
    if gap[0] > 0:
        factor, fast, slow = (max(end / gap[0], 0.0) ** (1 / last) for end in (ends.mean, ends.low, ends.high))
        pace = "faster than" if slow <= theorem else "slower than" if fast > theorem else "not clearly apart from"
        forgotten = (
            f"a round multiplies the gap in failures by {factor:.3g} ({fast:.3g} to {slow:.3g}), over {last} rounds, "
            f"{pace} theorem 5.3's transient at the measured c ({theorem:.3g}; the bound is {bound:.2g} at the end"
            f"{', vacuous' if bound >= 1 else ''})"
        )
        title = f"a round multiplies the gap in failures by {factor:.2f}, theorem 5.3's transient by {theorem:.2f}"
    else:
        factor, forgotten, title = None, "there is no gap in failures to forget", "no gap in failures"
    wrong = {angle: select(table, angle=angle, norm=max(norms)) for angle in kinds(table, "angle") if angle}
    kept = {angle: column(part, "disagreement")[-1] / column(part, "disagreement")[0] for angle, part in wrong.items()}
    remembered = [f"{angle:g} degrees" for angle, share in kept.items() if share > _KEPT]
    verdict = f"A wrong start is not forgotten: {', '.join(remembered)}" if remembered else "Wrong starts are forgotten"
    each = ". ".join(
        f"Turned by {angle:g} degrees a start disagrees with the surest one's modes at "
        f"{entry(part, 'disagreement', 0).mean:.1%} of the prompts, and after {values['rounds']} rounds at "
        f"{entry(part, 'disagreement').percent}"
        for angle, part in wrong.items()
    )
    kappa = course("the gap in kappa", column(unsure, "kappa_gap")[0], column(unsure, "kappa_gap")[-1])
    turned, wide = {"turned by {} degrees": "disagreement"}, select(table, norm=max(norms))
    charts = (
        chart(kappa, right, "round", "kappa", {"norm {}": "kappa"}, by="norm", log="y"),
        chart(title, unsure, "round", "failure rate above the surest start's", {"gap": "failure_gap"}),
        chart(verdict, wide, "round", "share of prompts that disagree with the surest start", turned, by="angle"),
    )
    return Reading(
        f"Started surer or less sure of the same modes (kappa {entry(unsure, 'kappa', 0).mean:.3g} and "
        f"{entry(surest, 'kappa', 0).mean:.3g}), {kappa} in {values['rounds']} rounds; {forgotten}. {each}. {verdict}.",
        charts,
        {"factor": factor, "theorem_factor": theorem, "kept": {f"{k:g}": float(v) for k, v in kept.items()}},
    )


QUESTION = "Is a bad start forgotten exponentially fast, and is a wrong one?"
SETTINGS = _softmax.shared(*(one for one in _softmax.SOFTMAX if one != "norm"), "beta_scale", seeds=25) | {
    "norms": Setting((4.0, 8.0, 14.0, 25.0), 0.1, 1e4, "norms of the starts, several"),
    "angles": Setting((30.0, 90.0), 1.0, 180.0, "degrees by which wrong starts are turned, several"),
}
