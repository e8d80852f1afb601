"""The picture of a plan: the failure bound over pairs a round, one line for each number of rounds.

Knows: matplotlib, without its global state, and which of the theory's statements the plan is about. Refuses to
know: what a plan is made from.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from srlm.errors import InputError
from srlm.records.atomic import write_bytes
from srlm.theory.guarantees import failure_bound, failure_bound_at_beta, linear_softmax_log_class_size
from srlm.theory.planning import Plan

_FORMATS = ("svg", "png", "pdf")


def draw_plan(plan: Plan, out: Path) -> Path:
    """Draw theorem 5.3 (or eq. 43, where beta is of another order) over n, for 1 to 2T rounds, the plan's point marked.

    Args:
        plan: what `srlm plan` computed.
        out: a file ending in .svg, .png or .pdf.

    Raises:
        InputError: another ending.
    """
    form = out.suffix.lower().lstrip(".")
    if form not in _FORMATS:
        raise InputError(f"the plot file {str(out)!r} must end in {', '.join('.' + one for one in _FORMATS)}")
    inputs = plan.inputs
    reach = max(1e4 * inputs["pairs"], 10 * (plan.iterative["informative_from_pairs"] or 0.0))
    pairs = np.geomspace(max(1.0, inputs["pairs"] / 100), min(reach, 1e15), 400)
    names = ("margin", "min_confidence", "mass_slack", "rho", "constant", "reward_range")
    common: dict[str, Any] = {name: inputs[name] for name in names}
    if inputs["dim"] is None:
        size: Any = inputs["log_class_size"]
    else:
        size = linear_softmax_log_class_size(inputs["dim"], inputs["radius"], pairs)
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for rounds in sorted({1, 2, inputs["rounds"], 2 * inputs["rounds"]}):
        if plan.iterative["statement"] == "theorem 5.3":
            values = failure_bound(inputs["kappa0"], pairs, size, rounds=rounds, **common).value
        else:
            values = failure_bound_at_beta(inputs["kappa0"], pairs, size, inputs["beta"], rounds=rounds, **common).value
        own = rounds == inputs["rounds"]
        axes.loglog(pairs, values, label=f"{rounds} round{'s' if rounds > 1 else ''}", linewidth=2.4 if own else 1.2)
    axes.axhspan(1, max(2.0, axes.get_ylim()[1]), color="#888888", alpha=0.15, linewidth=0)
    axes.text(0.99, 0.97, "vacuous: at least 1", transform=axes.transAxes, ha="right", va="top", color="#666666")
    axes.plot([inputs["pairs"]], [plan.iterative["failure_bound"]], "o", color="#c0392b")
    axes.annotate(
        "this plan", (inputs["pairs"], plan.iterative["failure_bound"]), xytext=(8, 4), textcoords="offset points"
    )
    axes.set_xlabel("pairs a round, n")
    constants = f"C = {inputs['constant']:g}, R = {inputs['reward_range']:g} nats"
    axes.set_ylabel(f"failure rate at most ({plan.iterative['statement']}, {constants})")
    axes.grid(color="#e3e6e8", linewidth=0.8)
    axes.legend(frameon=False)
    sink = io.BytesIO()
    figure.savefig(sink, format=form, dpi=150)
    write_bytes(out, sink.getvalue())
    return out
