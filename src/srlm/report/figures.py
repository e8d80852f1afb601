"""The figures of a run's page.

Knows: plotly and the metrics of the rounds. One colour a subject, trained prompts solid, held-out prompts dashed, brackets as
bands; colours that read on light and dark ground alike.
"""

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

KAPPA, SAMPLE, GREEDY, MODE, QUIET = "#3b78c3", "#d1495b", "#8a6fb0", "#2e8b6f", "#8c8c8c"
_GRID = "rgba(128,128,128,0.22)"
Pick = Callable[[dict[str, Any]], float | None]


def kappa_figure(rounds: Sequence[dict[str, Any]]) -> go.Figure:
    """kappa per round with its certification bracket, and what exact updates would give."""
    figure = _figure("kappa", log=True)
    numbers = [one["round"] for one in rounds]
    lower, upper = ([one["kappa"][end] for one in rounds] for end in ("lower", "upper"))
    if lower != upper:
        _band(figure, numbers, lower, upper, KAPPA)
    _line(figure, numbers, upper, "trained prompts", KAPPA)
    held = [one["held_out"] for one in rounds if one.get("held_out")]
    if len(held) == len(rounds):
        _line(figure, numbers, [one["kappa"]["upper"] for one in held], "held-out prompts", KAPPA, dash="dash")
    if len(rounds) > 1:
        ahead = numbers[1:]
        populations = [one["population"] for one in rounds[:-1]]
        _points(figure, ahead, [p["kappa_bound"] for p in populations], "P3 bound for an exact round", QUIET, "line-ew-open")
        _points(figure, ahead, [p["kappa_estimate"] for p in populations], "exact round, estimated", QUIET, "circle-open")
    return figure


def failure_figure(rounds: Sequence[dict[str, Any]]) -> go.Figure:
    """Share of prompts whose mode has probability at most one half."""
    figure = _figure("failure rate", percent=True)
    numbers = [one["round"] for one in rounds]
    lower, upper = ([one["failure_rate"][end] for one in rounds] for end in ("lower", "upper"))
    if lower != upper:
        _band(figure, numbers, lower, upper, KAPPA)
    _line(figure, numbers, upper, "trained prompts", KAPPA)
    _held_out(figure, rounds, lambda one: one["failure_rate"]["upper"], "held-out prompts", KAPPA)
    return figure


def accuracy_figure(rounds: Sequence[dict[str, Any]]) -> go.Figure | None:
    """Accuracy of samples, greedy decoding and modes; None where no answers are known."""
    if rounds[0]["accuracy"]["sample"] is None:
        return None
    figure = _figure("accuracy", percent=True)
    numbers = [one["round"] for one in rounds]
    for key, colour in (("sample", SAMPLE), ("greedy", GREEDY), ("mode", MODE)):
        _line(figure, numbers, [one["accuracy"][key] for one in rounds], key, colour)
        _held_out(figure, rounds, lambda one, key=key: one["accuracy"][key], f"{key}, held out", colour)
    return figure


def length_figure(rounds: Sequence[dict[str, Any]]) -> go.Figure:
    """Mean tokens of a sampled answer."""
    figure = _figure("tokens an answer")
    numbers = [one["round"] for one in rounds]
    _line(figure, numbers, [one["mean_response_tokens"] for one in rounds], "trained prompts", SAMPLE)
    _held_out(figure, rounds, lambda one: one["mean_response_tokens"], "held-out prompts", SAMPLE)
    figure.update_yaxes(rangemode="tozero")
    return figure


def movement_figure(rounds: Sequence[dict[str, Any]]) -> go.Figure:
    """Share of pairs that differ, and of modes that moved."""
    figure = _figure("share", percent=True)
    numbers = [one["round"] for one in rounds]
    _line(figure, numbers, [one["informative_pairs"] for one in rounds], "pairs that differ", MODE)
    _line(figure, numbers, [one["mode_drift"] for one in rounds], "modes that moved", SAMPLE)
    return figure


def _figure(title: str, *, log: bool = False, percent: bool = False) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=320,
        margin={"l": 56, "r": 12, "t": 8, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#808080"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="x unified",
    )
    figure.update_xaxes(title="round", dtick=1, gridcolor=_GRID, zeroline=False)
    figure.update_yaxes(title=title, gridcolor=_GRID, zeroline=False)
    if log:
        figure.update_yaxes(type="log", dtick=1)
    if percent:
        figure.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    return figure


def _line(figure: go.Figure, x: Sequence[int], y: Sequence[float | None], name: str, colour: str, dash: str = "solid") -> None:
    figure.add_trace(
        go.Scatter(x=x, y=y, name=name, mode="lines+markers", line={"color": colour, "dash": dash, "width": 2}, marker={"size": 7})
    )


def _points(figure: go.Figure, x: Sequence[int], y: Sequence[float], name: str, colour: str, symbol: str) -> None:
    marker = {"symbol": symbol, "size": 13, "color": colour, "line": {"width": 2, "color": colour}}
    figure.add_trace(go.Scatter(x=x, y=y, name=name, mode="markers", marker=marker))


def _band(figure: go.Figure, x: Sequence[int], lower: Sequence[float], upper: Sequence[float], colour: str) -> None:
    figure.add_trace(
        go.Scatter(
            x=[*x, *reversed(x)],
            y=[*upper, *reversed(lower)],
            fill="toself",
            fillcolor=colour,
            opacity=0.18,
            line={"width": 0},
            name="bracket",
            hoverinfo="skip",
        )
    )


def _held_out(figure: go.Figure, rounds: Sequence[dict[str, Any]], pick: Pick, name: str, colour: str) -> None:
    if all(one.get("held_out") for one in rounds):
        _line(figure, [one["round"] for one in rounds], [pick(one["held_out"]) for one in rounds], name, colour, dash="dash")
