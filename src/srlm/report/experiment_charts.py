"""An experiment's charts, drawn twice from the same numbers: as SVG and as interactive figures.

Knows: matplotlib without its global state, plotly. Refuses to know: what the numbers mean.
"""

import html
import io
from textwrap import wrap
from typing import Any

import matplotlib
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from srlm.report.figures import RUN_COLOURS, Figure, finished_spec
from srlm.simulation.experiments import Chart, ExperimentResult, Series


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


def experiment_figures(result: ExperimentResult) -> list[Figure]:
    """The charts as figures for a page."""
    letters = "".join(c for c in result.name if c.isalpha())
    return [
        Figure(
            key=f"{letters}{'abcdefgh'[at]}",
            title=chart.title,
            caption=f"{chart.y_label} against {chart.x_label}; bands and bars are 95 % intervals."
            if any(one.low for one in chart.series)
            else f"{chart.y_label} against {chart.x_label}.",
            words="; ".join(_words(one) for one in chart.series) + ".",
            spec=_plotly(chart),
        )
        for at, chart in enumerate(result.charts)
    ]


def _draw(axes: Axes, chart: Chart) -> None:
    bars = [one for one in chart.series if one.style == "bars"]
    width = 0.8 / max(len(bars), 1)
    for at, one in enumerate(bars):
        places = [k + (at - (len(bars) - 1) / 2) * width for k in range(len(one.x))]
        heights = [float("nan") if v is None else v for v in one.y]
        axes.bar(places, heights, 0.9 * width, label=one.label, color=_colour(one))
    if bars:
        words = [v if isinstance(v, str) else f"{v:.3g}" for v in bars[0].x]
        axes.set_xticks(range(len(words)), words, rotation=30 if any(len(w) > 8 for w in words) else 0, ha="right")
    for one in chart.series:
        if one.style == "bars":
            continue
        y = [float("nan") if v is None else v for v in one.y]
        style = {"line": "o-", "dashed": "--", "points": "o"}[one.style]
        axes.plot(one.x, y, style, color=_colour(one), label=one.label, markersize=4)
        if one.low:
            low = [float("nan") if v is None else v for v in one.low]
            high = [float("nan") if v is None else v for v in one.high]
            if one.style == "points":
                axes.vlines(one.x, low, high, color=_colour(one))
            else:
                axes.fill_between(one.x, low, high, color=_colour(one), alpha=0.2, linewidth=0)
    axes.set(title="\n".join(wrap(chart.title, 56)), xlabel=chart.x_label, ylabel=chart.y_label)
    if chart.x_log:
        axes.set_xscale("log")
    if chart.y_log:
        axes.set_yscale("log")
    axes.grid(color="#e3e6e8", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8)


def _plotly(chart: Chart) -> dict[str, Any]:
    figure = go.Figure()
    for one in chart.series:
        name, colour = html.escape(one.label), _colour(one)  # plotly reads names as markup
        if one.style == "bars":
            figure.add_bar(x=list(one.x), y=list(one.y), name=name, marker={"color": colour})
            continue
        errors = None
        if one.low and one.style == "points":
            up = [_gap(high, y) for high, y in zip(one.high, one.y, strict=True)]
            down = [_gap(y, low) for low, y in zip(one.low, one.y, strict=True)]
            errors = {"type": "data", "array": up, "arrayminus": down, "thickness": 1.5, "width": 4}
        elif one.low:
            ring = [*one.high, *reversed(one.low)]
            figure.add_scatter(
                x=[*one.x, *reversed(one.x)],
                y=ring,
                fill="toself",
                fillcolor=_faded(colour),
                line={"width": 0},
                showlegend=False,
                hoverinfo="skip",
                mode="lines",
            )
        figure.add_scatter(
            x=list(one.x),
            y=list(one.y),
            name=name,
            mode={"line": "lines+markers", "dashed": "lines", "points": "markers"}[one.style],
            line={"color": colour, "width": 2.2, "dash": "dash" if one.style == "dashed" else "solid"},
            marker={"color": colour, "size": 6},
            error_y=errors,
            hovertemplate=f"{name}: %{{y:.4~g}}<extra></extra>",
        )
    whole = finished_spec(figure, height=380, rounds=False)
    rows = -(-sum(len(one.label) + 6 for one in chart.series) // 52)
    whole["layout"]["margin"]["t"] = 20 + 22 * rows
    for axis, label, log in (("xaxis", chart.x_label, chart.x_log), ("yaxis", chart.y_label, chart.y_log)):
        whole["layout"].setdefault(axis, {})["zeroline"] = False
        whole["layout"][axis]["title"] = {"text": html.escape(label), "font": {"size": 13}}
        if log:
            whole["layout"][axis] |= {"type": "log", "exponentformat": "power", "dtick": 1}
            if _decades(chart, axis) < 1.3:
                whole["layout"][axis] |= {"dtick": "D2"}
    return whole


def _decades(chart: Chart, axis: str) -> float:
    import math

    values = [v for one in chart.series for v in (one.x if axis == "xaxis" else one.y) if isinstance(v, int | float)]
    positive = [v for v in values if v > 0]
    return math.log10(max(positive) / min(positive)) if positive else 0.0


def _gap(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else high - low


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def _colour(series: Series) -> str:
    return RUN_COLOURS[series.colour % len(RUN_COLOURS)]


def _words(series: Series) -> str:
    known = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None]
    if not known:
        return f"{series.label}: nothing"
    (first, start), (last, end) = known[0], known[-1]
    return f"{series.label}: {start:.3g} at {first} to {end:.3g} at {last}"
