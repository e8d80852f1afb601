"""The figures of a diagnosis, and of several side by side.

Knows: the document of `diagnosis.json`, what is drawn against what. Drawing conventions are those of `figures`.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from srlm.records.text import visible
from srlm.report import numbers
from srlm.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    RUN_COLOURS,
    Figure,
    _log,
    _percent,
    finished_spec,
)

_LN10 = math.log(10)
_WAYS = (
    ("sample", "one sample", BLUE),
    ("greedy", "greedy decoding", PURPLE),
    ("best_of_n", "best of N by self-reward", GREY),
    ("majority", "majority vote", ORANGE),
    ("mode", "modes: the predicted ceiling", GREEN),
)


def diagnosis_figures(found: dict[str, Any]) -> list[Figure]:
    """The figures of one diagnosis, in reading order; those without a measurement are left out."""
    drawn = [_ways(found), _confidence(found), _calibration(found), _spectrum(found)]
    return [figure for figure in drawn if figure is not None]


def comparison_figures(found: Sequence[tuple[str, dict[str, Any]]]) -> list[Figure]:
    """Spectra and ceilings of several named diagnoses."""
    figure, said = go.Figure(), []
    for at, (name, one) in enumerate(found):
        values = one["effective_dimension"].get("eigenvalues") or []
        values = [value / values[0] for value in values if value > values[0] * 1e-9] if values and values[0] > 0 else []
        if values:
            colour = RUN_COLOURS[at % len(RUN_COLOURS)]
            dash = "solid" if at < len(RUN_COLOURS) else "dot"
            _curve(figure, list(range(1, len(values) + 1)), values, html.escape(name), colour, dash)
            said.append(f"{name}: effective dimension {numbers.number(one['effective_dimension']['value'])}")
    drawn: list[Figure] = []
    if said:
        _log(figure, "eigenvalue / largest")
        _index_axis(figure)
        caption = "Eigenvalues of the final hidden states' second moments, each divided by the largest."
        drawn.append(
            Figure("spectra", "Spectra of features", caption, "; ".join(said), finished_spec(figure, 380, False), True)
        )
    known = [(name, one) for name, one in found if one["accuracy"]["mode"] is not None]
    if known:
        bars = go.Figure()
        for key, label, colour in (("sample", "samples", BLUE), ("greedy", "greedy", PURPLE), ("mode", "modes", GREEN)):
            shares = [one["accuracy"][key] for _, one in known]
            bars.add_bar(x=[html.escape(name) for name, _ in known], y=shares, name=label, marker={"color": colour})
        bars.update_layout(barmode="group")
        _percent(bars)
        words = "; ".join(f"{name}: modes {numbers.share(one['accuracy']['mode'])}" for name, one in known)
        caption = "Share of right answers; the modes are where exact rounds would end (P5)."
        drawn.append(
            Figure("ceilings", "Accuracy and predicted ceiling", caption, words, finished_spec(bars, 360, False), True)
        )
    return drawn


def _ways(found: dict[str, Any]) -> Figure | None:
    accuracy = found["accuracy"]
    ways = [(name, accuracy[key], colour) for key, name, colour in _WAYS if accuracy.get(key) is not None]
    if not ways:
        return None
    figure = go.Figure()
    figure.add_bar(
        y=[name for name, _, _ in ways],
        x=[value for _, value, _ in ways],
        orientation="h",
        marker={"color": [colour for _, _, colour in ways]},
        text=[numbers.share(value) for _, value, _ in ways],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1.12], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_yaxes(autorange="reversed")
    caption = "Share of right answers. Exact rounds end in the modes (P5): samples would climb to the lowest bar."
    words = "; ".join(f"{name} {numbers.share(value)}" for name, value, _ in ways)
    spec = finished_spec(figure, 300, False)
    spec["layout"]["showlegend"] = False
    return Figure("ways", "Ways of answering", caption, words, spec)


def _confidence(found: dict[str, Any]) -> Figure | None:
    """Probability of every prompt's mode, in falling order, its bracket and whether it is right."""
    ordered = sorted(found["prompts"], key=lambda one: -one["mode"]["logprob_lower"])
    figure = go.Figure()
    kinds = (
        (True, "mode right", GREEN, "circle"),
        (False, "mode wrong", RED, "x"),
        (None, "not known", GREY, "circle"),
    )
    for correct, name, colour, symbol in kinds:
        chosen = [(at + 1, one) for at, one in enumerate(ordered) if one["mode_correct"] is correct]
        if not chosen:
            continue
        # Natural logs, because probabilities of long responses underflow; the axis shows powers of ten.
        lower = [one["mode"]["logprob_lower"] / _LN10 for _, one in chosen]
        upper = [one["mode"]["logprob_upper"] / _LN10 for _, one in chosen]
        figure.add_scatter(
            x=[at for at, _ in chosen],
            y=lower,
            error_y={
                "type": "data",
                "array": [b - a for a, b in zip(lower, upper, strict=True)],
                "arrayminus": [0] * len(lower),
                "thickness": 1.2,
                "width": 3,
            },
            mode="markers",
            name=name,
            marker={"color": colour, "size": 7, "symbol": symbol},
            customdata=[html.escape(visible(one["prompt"], 60)) for _, one in chosen],
            hovertemplate="%{customdata}: 10^%{y:.2f}<extra></extra>",
        )
    lowest = min(one["mode"]["logprob_lower"] for one in ordered) / _LN10
    ticks = _powers(lowest)
    figure.update_yaxes(
        title="probability of the mode",
        tickvals=ticks,
        ticktext=list(map(numbers.power_of_ten, ticks)),
        range=[lowest - 0.15 - 0.04 * abs(lowest), 0.1 + 0.02 * abs(lowest)],
    )
    figure.update_xaxes(title="prompts, surest first", tickformat="d", zeroline=False)
    right = sum(one["mode_correct"] is True for one in ordered)
    least = numbers.from_log(lowest * _LN10)
    words = f"{len(ordered)} modes, {right} known to be right; the least sure has probability {least}."
    caption = (
        "How sure the model is of its favourite answer to each prompt. Bars reach to what the search has not ruled out."
    )
    return Figure("confidence", "Confidence in the favourite answer", caption, words, finished_spec(figure, 300, False))


def _calibration(found: dict[str, Any]) -> Figure | None:
    judged = found["self_reward_against_correctness"]
    if judged is None or len(judged["calibration"]) < 2:
        return None
    bins = judged["calibration"]
    figure = go.Figure()
    figure.add_scatter(
        x=[one["self_reward"] / _LN10 for one in bins],
        y=[one["accuracy"] for one in bins],
        mode="lines+markers",
        name="samples, ten bins",
        line={"color": BLUE, "width": 2.5},
        marker={"size": 7, "color": BLUE},
        hovertemplate="probability 10^%{x:.1f}: %{y:.0%} right<extra></extra>",
    )
    _percent(figure)
    figure.update_yaxes(title="share right")
    lowest = min(one["self_reward"] for one in bins) / _LN10
    ticks = _powers(lowest)
    figure.update_xaxes(
        title="probability of the response",
        zeroline=False,
        tickvals=ticks,
        ticktext=list(map(numbers.power_of_ten, ticks)),
    )
    auroc = judged["auroc"]
    words = (
        "All samples are right, or all wrong."
        if auroc is None
        else f"A right sample has the larger self-reward in {numbers.share(auroc)} of pairs."
    )
    spec = finished_spec(figure, 320, False)
    spec["layout"]["showlegend"] = False
    caption = "Responses that the model finds likelier should be right more often: the line should rise. " + words
    return Figure("calibration", "Does it know right from wrong?", caption, words, spec)


def _spectrum(found: dict[str, Any]) -> Figure | None:
    spectra = found["effective_dimension"]
    values = spectra.get("eigenvalues") or []
    if not values or values[0] <= 0:
        return None
    figure = go.Figure()
    for name, series, colour in (
        ("features", values, BLUE),
        ("Fisher information", spectra["fisher"]["eigenvalues"], ORANGE),
    ):
        kept = [value / series[0] for value in series if series[0] > 0 and value > series[0] * 1e-9]
        if kept:
            _curve(figure, list(range(1, len(kept) + 1)), kept, name, colour)
    _log(figure, "eigenvalue / largest")
    _index_axis(figure)
    value, said = numbers.number(spectra["value"]), spectra["decay"]["sentence"]
    words = f"Effective dimension {value} of {spectra['dimension']}; {said}."
    caption = "The faster it falls, the fewer samples theory asks for. " + words
    return Figure("spectrum", "How many directions count", caption, words, finished_spec(figure, 320, False))


def _curve(figure: go.Figure, x: list[int], y: list[float], name: str, colour: str, dash: str = "solid") -> None:
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=name,
        line={"color": colour, "width": 2.2, "dash": dash},
        hovertemplate=f"{name}, %{{x}}: %{{y:.2g}}<extra></extra>",
    )


def _index_axis(figure: go.Figure) -> None:
    figure.update_xaxes(title="eigenvalue number", tickformat="d", zeroline=False)


def _powers(lowest: float) -> list[int]:
    """About six powers of ten from 1 down to below 10^lowest."""
    return list(range(0, math.floor(lowest) - 1, -max(1, round(-lowest / 6))))
