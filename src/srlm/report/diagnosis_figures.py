"""The figures of a diagnosis, and of several side by side.

Knows: the record of a diagnosis, what is drawn against what. Drawing conventions are those of `figures`. Refuses to
know: pages.
"""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from srlm.records.diagnosis import DiagnosisRecord
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
    finished_spec,
    log_axis,
    percent_axis,
)

_LN10 = math.log(10)
_WAYS = (
    ("sample", "one sample", BLUE),
    ("greedy", "greedy decoding", PURPLE),
    ("best_of_n", "best of N by self-reward", GREY),
    ("majority", "majority vote", ORANGE),
    ("mode", "modes: the predicted ceiling", GREEN),
)


def diagnosis_figures(diagnosis: DiagnosisRecord) -> list[Figure]:
    """The figures of one diagnosis, in reading order; those without a measurement are left out."""
    figures = [_ways(diagnosis), _confidence(diagnosis), _calibration(diagnosis), _spectrum(diagnosis)]
    return [figure for figure in figures if figure is not None]


def comparison_figures(several: Sequence[tuple[str, DiagnosisRecord]]) -> list[Figure]:
    """Spectra and ceilings of several named diagnoses."""
    figure, words = go.Figure(), []
    for at, (name, one) in enumerate(several):
        spectra = one.effective_dimension
        colour, dash = RUN_COLOURS[at % len(RUN_COLOURS)], "solid" if at < len(RUN_COLOURS) else "dot"
        if spectra and _curve(figure, spectra.eigenvalues, html.escape(name), colour, dash):
            words.append(f"{name}: effective dimension {numbers.number(spectra.value)}")
    figures: list[Figure] = []
    if words:
        _spectrum_axes(figure)
        caption = "Eigenvalues of the final hidden states' second moments, each divided by the largest."
        spec = finished_spec(figure, 380, False)
        figures.append(Figure("spectra", "Spectra of features", caption, "; ".join(words), spec, True))
    known = [(name, one.accuracy) for name, one in several if one.accuracy.mode is not None]
    if known:
        bars = go.Figure()
        for way, label, colour in (("sample", "samples", BLUE), ("greedy", "greedy", PURPLE), ("mode", "modes", GREEN)):
            shares = [getattr(accuracy, way) for _, accuracy in known]
            bars.add_bar(x=[html.escape(name) for name, _ in known], y=shares, name=label, marker={"color": colour})
        bars.update_layout(barmode="group")
        percent_axis(bars)
        ceilings = "; ".join(f"{name}: modes {numbers.share(accuracy.mode)}" for name, accuracy in known)
        caption = "Share of right answers; the modes are where exact rounds would end (P5)."
        spec = finished_spec(bars, 360, False)
        figures.append(Figure("ceilings", "Accuracy and predicted ceiling", caption, ceilings, spec, True))
    return figures


def _ways(diagnosis: DiagnosisRecord) -> Figure | None:
    values = [(name, getattr(diagnosis.accuracy, way), colour) for way, name, colour in _WAYS]
    ways = [one for one in values if one[1] is not None]
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


def _confidence(diagnosis: DiagnosisRecord) -> Figure | None:
    """Probability of every prompt's mode, in falling order, its bracket and whether it is right."""
    ordered = sorted(diagnosis.prompts, key=lambda one: -one.mode.logprob_lower)
    figure = go.Figure()
    kinds = (
        (True, "mode right", GREEN, "circle"),
        (False, "mode wrong", RED, "x"),
        (None, "not known", GREY, "circle"),
    )
    for correct, name, colour, symbol in kinds:
        chosen = [(at + 1, one) for at, one in enumerate(ordered) if one.mode_correct is correct]
        if not chosen:
            continue
        # Natural logs, because probabilities of long responses underflow; the axis shows powers of ten.
        lower = [one.mode.logprob_lower / _LN10 for _, one in chosen]
        upper = [one.mode.logprob_upper / _LN10 for _, one in chosen]
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
            customdata=[html.escape(visible(one.prompt, 60)) for _, one in chosen],
            hovertemplate="%{customdata}: 10^%{y:.2f}<extra></extra>",
        )
    lowest = min(one.mode.logprob_lower for one in ordered) / _LN10
    reach = [lowest - 0.15 - 0.04 * abs(lowest), 0.1 + 0.02 * abs(lowest)]
    figure.update_yaxes(title="probability of the mode", range=reach, **_powers(lowest))
    figure.update_xaxes(title="prompts, surest first", tickformat="d", zeroline=False)
    right = sum(one.mode_correct is True for one in ordered)
    least = numbers.from_log(lowest * _LN10)
    words = f"{len(ordered)} modes, {right} known to be right; the least sure has probability {least}."
    caption = (
        "How sure the model is of its favourite answer to each prompt. Bars reach to what the search has not ruled out."
    )
    return Figure("confidence", "Confidence in the favourite answer", caption, words, finished_spec(figure, 300, False))


def _calibration(diagnosis: DiagnosisRecord) -> Figure | None:
    judgement = diagnosis.self_reward_against_correctness
    if judgement is None or len(judgement.calibration) < 2:
        return None
    bins = judgement.calibration
    figure = go.Figure()
    figure.add_scatter(
        x=[one.self_reward / _LN10 for one in bins],
        y=[one.accuracy for one in bins],
        mode="lines+markers",
        name="samples, ten bins",
        line={"color": BLUE, "width": 2.5},
        marker={"size": 7, "color": BLUE},
        hovertemplate="probability 10^%{x:.1f}: %{y:.0%} right<extra></extra>",
    )
    percent_axis(figure)
    figure.update_yaxes(title="share right")
    lowest = min(one.self_reward for one in bins) / _LN10
    figure.update_xaxes(title="probability of the response", zeroline=False, **_powers(lowest))
    words = f"A right sample has the larger self-reward in {numbers.share(judgement.auroc)} of pairs."
    if judgement.auroc is None:
        words = "All samples are right, or all wrong."
    spec = finished_spec(figure, 320, False)
    spec["layout"]["showlegend"] = False
    caption = "Responses that the model finds likelier should be right more often: the line should rise. " + words
    return Figure("calibration", "Does it know right from wrong?", caption, words, spec)


def _spectrum(diagnosis: DiagnosisRecord) -> Figure | None:
    spectra, figure = diagnosis.effective_dimension, go.Figure()
    if spectra is None or not _curve(figure, spectra.eigenvalues, "features", BLUE):
        return None
    _curve(figure, spectra.fisher.eigenvalues, "Fisher information", ORANGE)
    _spectrum_axes(figure)
    value = numbers.number(spectra.value)
    words = f"Effective dimension {value} of {spectra.dimension}; {spectra.decay.sentence}."
    caption = "The faster it falls, the fewer samples theory asks for. " + words
    return Figure("spectrum", "How many directions count", caption, words, finished_spec(figure, 320, False))


def _curve(figure: go.Figure, eigenvalues: Sequence[float], name: str, colour: str, dash: str = "solid") -> bool:
    """Add a spectrum over its largest eigenvalue, without rounding noise; whether there was anything to draw."""
    shares = [value / eigenvalues[0] for value in eigenvalues if value > eigenvalues[0] * 1e-9 and eigenvalues[0] > 0]
    if shares:
        figure.add_scatter(
            x=list(range(1, len(shares) + 1)),
            y=shares,
            mode="lines",
            name=name,
            line={"color": colour, "width": 2.2, "dash": dash},
            hovertemplate=f"{name}, %{{x}}: %{{y:.2g}}<extra></extra>",
        )
    return bool(shares)


def _spectrum_axes(figure: go.Figure) -> None:
    log_axis(figure, "eigenvalue / largest")
    figure.update_xaxes(title="eigenvalue number", tickformat="d", zeroline=False)


def _powers(lowest: float) -> dict[str, Any]:
    """Labels of an axis of exponents: about six powers of ten from 1 down to below 10^lowest."""
    ticks = list(range(0, math.floor(lowest) - 1, -max(1, round(-lowest / 6))))
    return {"tickvals": ticks, "ticktext": list(map(numbers.power_of_ten, ticks))}
