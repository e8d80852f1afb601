"""One picture of a run for a README or a slide: kappa falling inside its bracket, and accuracy beside it.

Knows: matplotlib, without its global state. Refuses to know: single prompts.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from srlm.errors import InputError
from srlm.records.atomic import write_bytes
from srlm.records.rounds import Split, SplitRecord
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.charts import SPLIT_COLOURS
from srlm.report.payload import Colour
from srlm.report.reading import RunView, read_run

# Okabe and Ito's colours, darkened or lightened until each has contrast 3:1 with white and with #15181c.
INKS: Mapping[Colour, str] = {
    "blue": "#2f7fc1",
    "orange": "#d06a12",
    "green": "#1f9070",
    "purple": "#9b6fc4",
    "red": "#d0514a",
    "soft": "#7d8790",
}
_WAYS: tuple[tuple[str, Colour, Callable[[SplitRecord], float | None]], ...] = (
    ("samples", "blue", lambda one: one.accuracy.sample),
    ("greedy", "purple", lambda one: one.accuracy.greedy),
    ("modes", "green", lambda one: one.accuracy.mode),
)


def write_overview_svg(run_folder: Path, out: Path) -> Path:
    """Draw the picture; the same records give the same bytes.

    Args:
        run_folder: what `srlm run --out` wrote.
        out: the SVG file.

    Returns:
        The file written.

    Raises:
        InputError: no run there, damaged records, or no complete round.
    """
    run = read_run(run_folder, prompts=False)
    if not run.rounds:
        raise InputError(f"{run_folder} has no complete round yet; draw the picture once it has")
    settings: Any = {"svg.hashsalt": "srlm", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(9.2, 3.5), layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2)
        _draw_kappa(left, run)
        _draw_accuracy(right, run)
        for axes in (left, right):
            axes.set_xlabel("round")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(color="#e3e6e8", linewidth=0.8)
            axes.set_axisbelow(True)
        sink = io.BytesIO()
        figure.savefig(sink, format="svg", metadata={"Date": None, "Title": "A self-rewarding run"})
    write_bytes(out, sink.getvalue())
    return out


def _draw_kappa(axes: Any, run: RunView) -> None:
    for split, colour in SPLIT_COLOURS.items():
        ends = [(number, one.kappa.lower, one.kappa.upper) for number, one in run.split(split)]
        if known := [one for one in ends if one[1] is not None and one[2] is not None]:  # the others are off the axis
            rounds, low, high = zip(*known, strict=True)
            axes.fill_between(rounds, low, high, color=INKS[colour], alpha=0.25, linewidth=0)
            axes.plot(rounds, high, color=INKS[colour], marker="o", markersize=5, linewidth=2, label=NAMES[split])
    series = run.split(run.main_split())
    ends = [(number, low, high) for number, low, high in run.exact_rounds() if series[0][0] < number <= series[-1][0]]
    for at, marker, what in ((2, "v", "most"), (1, "^", "least")):
        points = [(one[0], one[at]) for one in ends if one[at] is not None]
        if points and (at == 2 or run.label == "P8"):
            style = {
                "linestyle": "",
                "marker": marker,
                "markersize": 6,
                "markerfacecolor": "none",
                "color": INKS["soft"],
            }
            axes.plot(*zip(*points, strict=True), label=f"exact round, {what} ({run.label})", **style)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.number(value)))
    axes.set_title("condition number κ", loc="left", fontsize=11)
    axes.legend(frameon=False)


def _draw_accuracy(axes: Any, run: RunView) -> None:
    styles: tuple[tuple[Split, str, str], ...] = (("train", "-", "trained"), ("held_out", ":", "held out"))
    for split, style, where in styles:
        for name, colour, value in _WAYS:
            points = [(number, known) for number, one in run.split(split) if (known := value(one)) is not None]
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(
                    x, y, style, color=INKS[colour], marker="o", markersize=4, linewidth=2, label=f"{name}, {where}"
                )
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title("right answers", loc="left", fontsize=11)
    if axes.lines:
        axes.legend(frameon=False, ncols=2, fontsize=8.5)
