"""What was forecast before the first update against what was measured since: a picture, a table, a sentence.

Knows: the forecast of round 00, which is of exact rounds on these prompts. Refuses to know: how a forecast is made.
"""

import math
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from srlm.measure.promises import log_kappa
from srlm.records.bracket import Bracket
from srlm.records.forecast import ForecastRecord
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.figures import (
    GREEN,
    GREY,
    SPLIT_COLOURS,
    Figure,
    Line,
    add_line,
    finished_spec,
    log_axis,
    percent_axis,
)
from srlm.report.reading import RunView

_BANDS = {"below": "below the forecast"}
_WORDS = {
    "within": "as forecast",
    "above": "above the forecast",
    "below": "below it, sharper than exact rounds",
    "open": "the brackets only overlap",
}


def standing(low: float, high: float, of: Bracket) -> str:
    """Where a measured bracket lies against a forecast one: "within", "above", "below", or "open" where they only
    overlap.
    """
    least, most = (-math.inf if of.lower is None else of.lower), (math.inf if of.upper is None else of.upper)
    slack = 1e-9 * max(1.0, abs(low))
    if low > most + slack or high < least - slack:
        return "above" if low > most else "below"
    return "within" if least - slack <= low and high <= most + slack else "open"


def sentence(run: RunView, split: Split) -> str | None:
    """The forecast of kappa for the round that a page shows, or for the last one where none is complete, and how it
    came out.
    """
    told, series = {one.round: one for one in run.forecast(split) if one.round}, run.shown(split)
    if not told or not series:
        return None
    number, now = series[-1]
    if (one := told.get(number or max(told))) is None:
        return None
    if run.of_answers:
        return _of_answers(run, split, one, now if number else None)
    about = "" if one.log_kappa_point is None else f" (about {numbers.from_log(one.log_kappa_point)})"
    text = f"{NAMES[split].capitalize()}: exact rounds were forecast to bring κ to {numbers.log_bracket(one.log_kappa)}"
    text += f"{about} by round {one.round}"
    if number == 0:
        return f"{text}."
    return f"{text}; measured {numbers.kappa(now)}, {_WORDS[standing(*log_kappa(now), one.log_kappa)]}."


def _of_answers(run: RunView, split: Split, one: ForecastRecord, now: SplitRecord | None) -> str:
    text, band = f"{NAMES[split].capitalize()}: {_rounds_like(run)} were forecast to bring ", one.sample_accuracy
    if band is not None:
        text += f"right samples to about {numbers.share(one.sample_accuracy_point)} ({_bootstrap(band)}) and "
    text += f"κ_A to about {numbers.known(one.kappa_point)} by round {one.round}"
    if now is None:
        return f"{text}."
    right, parts = now.accuracy.sample, [f"κ_A about {numbers.kappa_estimate(now)}"]
    if right is not None and band is not None:
        where = standing(right, right, band)
        parts.insert(0, f"{numbers.measured(now, 'sample_accuracy')} right, {_BANDS.get(where, _WORDS[where])}")
    return f"{text}; measured {'; '.join(parts)}."


def _rounds_like(run: RunView) -> str:
    draws = run.record.configuration.get("num_generations")
    return f"rounds that weigh answers by shares of K = {draws} draws" if run.loss == "weighted" else "exact rounds"


def _bootstrap(band: Bracket) -> str:
    level = numbers.number(100 * (band.confidence or 0.95))
    return f"{level}% bootstrap: {numbers.from_to(numbers.share(band.lower), numbers.share(band.upper))}"


def headers(run: RunView) -> list[str]:
    """What the cells of `rows` are."""
    if run.of_answers:
        return ["round", "right samples, forecast", "measured", "κ_A, forecast", "measured"]
    return ["round", "κ, forecast", "κ, measured", "failure rate, forecast", "measured", "right samples, forecast",
            "measured"]  # fmt: skip


def rows(run: RunView, split: Split) -> list[tuple[str, ...]]:
    """Per round: its number; kappa, failure rate and right samples, each as forecast and as measured."""
    told = {one.round: one for one in run.forecast(split)}
    row = _row_of_answers if run.of_answers else _row
    return [row(number, told[number], one) for number, one in run.split(split) if number and number in told]


def _row_of_answers(number: int, told: ForecastRecord, one: SplitRecord) -> tuple[str, ...]:
    right, forecast, measured = one.accuracy.sample, "–", "–"
    if right is not None and (band := told.sample_accuracy) is not None:
        forecast = f"about {numbers.share(told.sample_accuracy_point)} ({_bootstrap(band)})"
        measured = f"{numbers.measured(one, 'sample_accuracy')}: {standing(right, right, band)}"
    return str(number), forecast, measured, f"about {numbers.known(told.kappa_point)}", numbers.kappa(one)


def _row(number: int, told: ForecastRecord, one: SplitRecord) -> tuple[str, ...]:
    failing, right = one.failure_rate, one.accuracy.sample
    fails = standing(failing.lower or 0.0, 1.0 if failing.upper is None else failing.upper, told.failure_rate)
    samples = "–"
    if right is not None and told.sample_accuracy is not None:
        samples = f"{numbers.measured(one, 'sample_accuracy')}: {standing(right, right, told.sample_accuracy)}"
    return (
        str(number),
        numbers.log_bracket(told.log_kappa),
        f"{numbers.kappa(one)}: {standing(*log_kappa(one), told.log_kappa)}",
        numbers.share_bracket(told.failure_rate),
        f"{numbers.measured(one, 'failure_rate')}: {fails}",
        numbers.share_bracket(told.sample_accuracy, "–"),
        samples,
    )


def figures(run: RunView) -> list[Figure]:
    """kappa, or right samples at the level of answers, as forecast and as measured, for every split with a forecast."""
    draw = _right_samples if run.of_answers else _figure
    return [figure for split in SPLITS if len(run.forecast(split)) > 1 and (figure := draw(run, split)) is not None]


def _right_samples(run: RunView, split: Split) -> Figure | None:
    """Right samples as forecast and as measured."""
    told = [one for one in run.forecast(split) if one.sample_accuracy is not None]
    if not told:
        return None
    figure, rounds = go.Figure(), [one.round for one in told]
    low, high = ([getattr(one.sample_accuracy, end) for one in told] for end in ("lower", "upper"))
    add_band(figure, rounds, low, high, "95% bootstrap over prompts", "forecast")
    points = [one.sample_accuracy_point for one in told]
    line = {"color": GREY, "width": 2, "dash": "dash"}
    figure.add_scatter(x=rounds, y=points, name="forecast", mode="lines", line=line)
    series, bars = run.split(split), "sample_accuracy"
    colour = SPLIT_COLOURS[split]
    add_line(figure, Line("measured", series, lambda one: one.accuracy.sample, colour, "none", interval=bars))
    percent_axis(figure)
    caption = f"Computed before the first update: where {_rounds_like(run)} would bring these prompts (P10)."
    key = f"forecast{split.replace('_', '')}"
    title = f"Right samples as forecast and as measured, {NAMES[split]}"
    return Figure(key, title, caption, sentence(run, split) or "", finished_spec(figure))


def add_band(
    figure: go.Figure, rounds: Sequence[int], low: Sequence[float], high: Sequence[float], name: str, hover: str
) -> None:
    """Grey between two ends."""
    edge = {"x": rounds, "mode": "lines", "line": {"width": 1, "color": GREY}}
    shown = f"%{{y:.3~g}}<extra>{hover}</extra>"
    figure.add_scatter(y=high, showlegend=False, hovertemplate=shown, **edge)
    fill = {"fill": "tonexty", "fillcolor": "rgba(125,135,144,0.25)"}
    figure.add_scatter(y=low, name=name, hovertemplate=shown, **fill, **edge)


def _figure(run: RunView, split: Split) -> Figure:
    told, figure, caption = run.forecast(split), go.Figure(), []
    band = [(one.round, one.kappa.lower, one.kappa.upper) for one in told]
    known = [one for one in band if one[1] is not None and one[2] is not None]
    if known:
        name = f"exact rounds, {numbers.proved(run.widened)}"
        rounds, low, high = zip(*known, strict=True)
        add_band(figure, rounds, low, high, name, "exact rounds")
        caption.append("Band: where exact rounds would go on these prompts (P8).")
    lines: tuple[tuple[str, str, str, Callable[[ForecastRecord], float | None]], ...] = (
        ("estimate from samples", GREY, "dash", lambda one: one.kappa_point),
        ("projections onto what is known", GREEN, "dot", lambda one: one.projection_kappa),
    )
    for name, colour, dash, value in lines:
        points = [(one.round, at) for one in told if (at := value(one)) is not None]
        if points:
            x, y = zip(*points, strict=True)
            figure.add_scatter(x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 2, "dash": dash})
    series = run.split(split)
    measured = Line(
        "measured", series, lambda one: one.kappa.upper, SPLIT_COLOURS[split], "none", lambda one: one.kappa
    )
    add_line(figure, measured)
    log_axis(figure, "κ (log scale)")
    caption.append("Everything but the dots was computed before the first update.")
    words = sentence(run, split) or f"Measured: {numbers.kappa(series[-1][1])}."
    key = f"forecast{split.replace('_', '')}"
    return Figure(
        key, f"κ as forecast and as measured, {NAMES[split]}", " ".join(caption), words, finished_spec(figure)
    )
