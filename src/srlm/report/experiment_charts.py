"""An experiment's charts, twice from the same numbers: as SVG, and as values that a page's script draws.

Knows: matplotlib without its global state. Refuses to know: what the numbers mean.
"""

import io
from collections.abc import Mapping
from textwrap import wrap
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from srlm.report import payload
from srlm.report.charts import COLOURS, line
from srlm.report.charts import chart as drawn
from srlm.simulation.experiments import Chart, ExperimentResult, Series

# Okabe and Ito's colours, darkened or lightened until each has contrast 3:1 with white and with #15181c.
INKS: Mapping[payload.Colour, str] = {
    "blue": "#2f7fc1",
    "orange": "#d06a12",
    "green": "#1f9070",
    "purple": "#9b6fc4",
    "red": "#d0514a",
    "soft": "#7d8790",
}


def experiment_svg(result: ExperimentResult) -> bytes:
    """All charts of an experiment side by side, as one SVG file; the same result gives the same bytes."""
    settings: Any = {"svg.hashsalt": "srlm", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(settings):
        canvas = Canvas(figsize=(5.2 * len(result.charts), 4.0), layout="constrained", facecolor="white")
        for axes, chart in zip(canvas.subplots(1, len(result.charts), squeeze=False)[0], result.charts, strict=True):
            _draw(axes, chart)
        sink = io.BytesIO()
        canvas.savefig(sink, format="svg", metadata={"Date": None, "Title": result.name})
    return sink.getvalue()


def experiment_charts(result: ExperimentResult) -> list[payload.Chart]:
    """The charts for a page."""
    told = []
    for at, chart in enumerate(result.charts):
        banded = any(one.low for one in chart.series)
        caption = f"{chart.y_label} against {chart.x_label}{'; bands and bars are 95 % intervals' if banded else ''}."
        names = next((list(map(_name, one.x)) for one in chart.series if one.style == "bars"), [])
        x = payload.Axis(title=chart.x_label, log=chart.x_log, ticks=list(enumerate(names)))
        y = payload.Axis(title=chart.y_label, log=chart.y_log)
        lines = [part for one in chart.series for part in _lines(one)]
        told.append(drawn(f"{result.name}-{at}", chart.title, caption, lines, y, x=x))
    return [one for one in told if one is not None]


def _lines(one: Series) -> list[payload.Line]:
    """A series; its interval is a band of its own where it is drawn as a line."""
    bars, colour = one.style == "bars", COLOURS[one.colour % len(COLOURS)]
    ends: list[Any] = [None] * len(one.x)
    if one.low:
        ends = list(zip(one.low, one.high, strict=True))
    places = range(len(one.x)) if bars else one.x
    band = [] if one.style == "points" or not one.low else [
        line(one.label, [(x, None, of) for x, of in zip(places, ends, strict=True)], colour=colour, style="none",
             mark="none", band=True)
    ]  # fmt: skip
    style = {"bars": "bars", "line": "solid", "dashed": "dash", "points": "none"}[one.style]
    shown = ends if one.style == "points" else [None] * len(ends)
    rows = list(zip(places, one.y, shown, strict=True))
    return [*band, line(one.label, rows, colour=colour, style=style, mark="none" if style == "dash" else "dot")]


def _draw(axes: Axes, chart: Chart) -> None:
    bars = [one for one in chart.series if one.style == "bars"]
    width = 0.8 / max(len(bars), 1)
    for at, one in enumerate(bars):
        places = [k + (at - (len(bars) - 1) / 2) * width for k in range(len(one.x))]
        heights = [float("nan") if v is None else v for v in one.y]
        axes.bar(places, heights, 0.9 * width, label=one.label, color=_ink(one))
    if bars:
        words = list(map(_name, bars[0].x))
        axes.set_xticks(range(len(words)), words, rotation=30 if any(len(w) > 8 for w in words) else 0, ha="right")
    for one in chart.series:
        if one.style == "bars":
            continue
        y = [float("nan") if v is None else v for v in one.y]
        style = {"line": "o-", "dashed": "--", "points": "o"}[one.style]
        axes.plot(one.x, y, style, color=_ink(one), label=one.label, markersize=4)
        if one.low:
            low = [float("nan") if v is None else v for v in one.low]
            high = [float("nan") if v is None else v for v in one.high]
            if one.style == "points":
                axes.vlines(one.x, low, high, color=_ink(one))
            else:
                axes.fill_between(one.x, low, high, color=_ink(one), alpha=0.2, linewidth=0)
    axes.set(title="\n".join(wrap(chart.title, 56)), xlabel=chart.x_label, ylabel=chart.y_label)
    if chart.x_log:
        axes.set_xscale("log")
    if chart.y_log:
        axes.set_yscale("log")
    axes.grid(color="#e3e6e8", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8)


def _name(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _ink(series: Series) -> str:
    return INKS[COLOURS[series.colour % len(COLOURS)]]
