"""The figures of a page, as plotly figures with a sentence that says in words what each one shows.

Knows: what is drawn against what, and colours that keep their contrast on light and dark paper alike. Refuses to know:
text, grid and background colours; they are the page's, which knows the reader's theme.
"""

import html
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from srlm.records.bracket import Bracket
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.records.text import duration, visible
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.reading import RunView

# Okabe and Ito's colours, darkened or lightened until each has contrast 3:1 with white and with #15181c.
BLUE, ORANGE, GREEN, PURPLE, GREY, RED = "#2f7fc1", "#d06a12", "#1f9070", "#9b6fc4", "#7d8790", "#d0514a"
SPLIT_COLOURS: dict[Split, str] = {"train": BLUE, "held_out": ORANGE}
RUN_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)
# The ways of answering whose accuracy is drawn round by round.
WAYS: tuple[tuple[str, str, str, Callable[[SplitRecord], float | None]], ...] = (
    ("samples", BLUE, "solid", lambda one: one.accuracy.sample),
    ("greedy", PURPLE, "dash", lambda one: one.accuracy.greedy),
    ("modes", GREEN, "dot", lambda one: one.accuracy.mode),
)

Series = Sequence[tuple[int, SplitRecord]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        key: its name in the page, letters only.
        title: what it shows.
        caption: how to read it.
        words: the same in one sentence, for readers who do not see it.
        spec: plotly's JSON (`data`, `layout`).
        wide: whether it takes the whole width of the page.
    """

    key: str
    title: str
    caption: str
    words: str
    spec: dict[str, Any]
    wide: bool = False


def run_figures(run: RunView, beside: Sequence[Figure] = ()) -> list[Figure]:
    """The figures of one run, in reading order, `beside` among them; those without a measurement are left out."""
    if not run.rounds:
        return []
    accuracy = [_accuracy(run, split) for split in SPLITS]
    condition = [_kappa(run), _failure(run)]
    first = [*reversed(accuracy), *condition] if run.of_answers else [*condition, *accuracy]
    figures = [*first, *beside, _moved(run), _sameness(run), _length(run), _time(run)]
    return [figure for figure in figures if figure is not None]


def comparison_figures(runs: Sequence[tuple[str, RunView]]) -> list[Figure]:
    """kappa and sample accuracy of several named runs."""
    figures: list[Figure] = []
    for split, where in NAMES.items():
        measured = [(name, series) for name, run in runs if (series := run.split(split))]
        if not measured:
            continue
        key = split.replace("_", "")
        figure, accuracy = go.Figure(), go.Figure()
        symbol, modes = runs[0][1].kappa_name, runs[0][1].modes_name
        for at, (name, run) in enumerate(runs):
            series, name, colour = run.split(split), html.escape(name), RUN_COLOURS[at % len(RUN_COLOURS)]
            add_line(figure, Line(name, series, _kappa_of, colour, bracket=lambda one: one.kappa))
            add_line(accuracy, Line(f"{name}: samples", series, lambda one: one.accuracy.sample, colour))
            add_line(accuracy, Line(f"{name}: {modes}", series, lambda one: one.accuracy.mode, colour, "dot"))
        log_axis(figure, symbol)
        percent_axis(accuracy)
        words = "; ".join(f"{name}: {_from_to(series, numbers.kappa)}" for name, series in measured)
        caption = "Log scale; bars are certification brackets."
        figures.append(Figure(f"kappa{key}", f"{symbol} on {where}", caption, words, finished_spec(figure)))
        if accuracy.data:
            words = "; ".join(
                f"{name}: {_from_to(series, lambda one: numbers.share(one.accuracy.sample))}"
                for name, series in measured
            )
            caption = f"Solid: share of right samples. Dotted: share of right {modes}."
            figures.append(Figure(f"accuracy{key}", f"Accuracy on {where}", caption, words, finished_spec(accuracy)))
    return figures


def _kappa_of(one: SplitRecord) -> float | None:
    return one.kappa.upper if one.answers is None else one.answers.kappa_estimate


def _failure_of(one: SplitRecord) -> float | None:
    return one.failure_rate.upper if one.answers is None else one.answers.failure_estimate


def _of_draws(run: RunView) -> str:
    """What the bars of a quantity that rests on draws say."""
    return f" Bars: what the draws certify at {numbers.number(100 * run.confidence)}%"


def _kappa(run: RunView) -> Figure:
    figure, words = go.Figure(), []
    for line in by_split(run, _kappa_of, lambda one: one.kappa):
        if line.series:
            add_line(figure, line)
            words.append(f"on {line.name} {_from_to(line.series, numbers.kappa)}")
    if predicted := run.exact_rounds():
        upper, lower = (
            [(number, high) for number, _, high in predicted],
            [(number, low) for number, low, _ in predicted],
        )
        names = ("most", "least") if run.label == "P8" else ("most (P3)", "estimate")
        _marks(figure, upper, f"exact round from the round before, {names[0]}", "triangle-down-open")
        _marks(figure, lower, f"exact round, {names[1]}", "triangle-up-open" if run.label == "P8" else "diamond-open")
    log_axis(figure, f"{run.kappa_name} (log scale)")
    caption = f"Bars: certification brackets (none where every mode was {numbers.proved(run.widened)})."
    if run.of_answers:
        caption = (
            f"Dots: estimates from shares.{_of_draws(run)}, without an upper end where a prompt repeats no answer."
        )
    elif any(one.kappa.upper is None for split in SPLITS for _, one in run.split(split)):
        caption += " κ beyond 10³⁰⁸ is not drawn; the table of numbers has it."
    if predicted:
        caption += (
            f" Grey marks: between which ends ({run.label}) an exact round from the round before would bring it"
            f"{', for the trained prompts' if run.main_split() == 'train' else ''}."
            if run.label == "P8"
            else " Grey: what theorem P3 allows after an exact round from the round before, and an estimate of it."
        )
    return Figure(
        "kappa", f"Condition number {run.kappa_name} by round", caption, f"{run.kappa_name} went {'; '.join(words)}.",
        finished_spec(figure, 320 if run.of_answers else 400), wide=not run.of_answers,
    )  # fmt: skip


def _failure(run: RunView) -> Figure | None:
    caption = f"Prompts whose most probable {'answer' if run.of_answers else 'response'} has probability at most ½."
    caption += f"{_of_draws(run)}." if run.of_answers else ""
    lines = by_split(run, _failure_of, lambda one: one.failure_rate)
    return chart("failure", "Failure rate", caption, lines)


def _accuracy(run: RunView, split: Split) -> Figure | None:
    series = run.split(split)
    bars = "sample_accuracy"
    lines = [
        Line(run.modes_name if name == "modes" else name, series, value, colour, dash,
             interval=bars if name == "samples" else None)
        for name, colour, dash, value in WAYS
    ]  # fmt: skip
    ceiling = series[0][1].accuracy.mode if series else None
    if run.of_answers and ceiling is not None:
        lines.insert(0, Line("ceiling", series, lambda one: ceiling, GREY, "longdash"))

    def axis(figure: go.Figure) -> None:
        percent_axis(figure)
        if len(series) > 1 and ceiling is not None and not run.of_answers:
            figure.add_hline(y=ceiling, line={"color": GREY, "width": 1, "dash": "dot"})

    caption = (
        f"Share of right answers. {'Ceiling' if run.of_answers else 'The thin line is'}: the accuracy of "
        f"{run.base_name}'s {run.modes_name}, where exact rounds would end ({'P10' if run.of_answers else 'P5'})."
    )
    if any(bars in one.intervals for _, one in series):
        caption += " Bars: 95% intervals over prompts like these."
    return chart(f"accuracy{split.replace('_', '')}", f"Accuracy, {NAMES[split]}", caption, lines, axis)


def _length(run: RunView) -> Figure | None:
    longest = run.record.configuration.get("max_completion_length")
    unit = str(run.record.configuration.get("length_unit") or "tokens") if run.watched else "tokens"
    caption = "Mean length of a sample, in tokens. The reward is a sum over tokens, so shorter responses are favoured"
    if run.of_answers:
        caption = "Mean length of a sample, in tokens. The reward sees the answer alone, whatever the length"
    caption += f"; {longest} tokens is the most allowed." if isinstance(longest, int) else "."
    caption = f"Mean length of a completion, in {visible(unit, 20)}." if run.watched else caption
    lines = by_split(run, lambda one: one.mean_response_tokens)

    def axis(figure: go.Figure) -> None:
        figure.update_yaxes(rangemode="tozero", title=unit)

    return chart("length", "Response length", caption, lines, axis, numbers.number)


def _moved(run: RunView) -> Figure | None:
    lines = by_split(run, lambda one: one.mode_drift, what="since round 0, ")
    lines.append(Line("since the round before", run.split(run.main_split()), lambda one: one.flips, GREY, "dot"))
    caption = "Exact rounds never move one (P10); near a tie draws alone do." if run.of_answers else ""
    return chart(
        "moved", f"Share of {run.modes_name} that moved", caption or "Exact rounds never move one (P5).", lines
    )


def _sameness(run: RunView) -> Figure | None:
    caption = (
        "Distinct responses among a prompt's samples, and sampled pairs whose two responses differ: a sharper model "
        "repeats itself."
    )
    lines = [
        *by_split(run, lambda one: one.distinct, what="distinct, "),
        Line("pairs that differ", run.split(run.main_split()), lambda one: one.informative_pairs, GREY, "dot"),
    ]
    return chart("sameness", "How different samples are", caption, lines)


def _time(run: RunView) -> Figure | None:
    figure = go.Figure()
    names = [f"round {one.round}" for one in run.rounds]
    stages = (
        ("sample", "sampling", BLUE),
        *(() if run.of_answers else (("certify", "finding modes", GREEN),)),
        ("train", "training", PURPLE),
        ("measure", "scoring beside", GREY),
    )
    total = 0.0
    for stage, name, colour in stages:
        seconds = [one.seconds.get(stage, 0.0) for one in run.rounds]
        total += sum(seconds)
        hover = "%{y}, " + name + ": %{x:.1f} s<extra></extra>"
        figure.add_bar(y=names, x=seconds, name=name, orientation="h", marker={"color": colour}, hovertemplate=hover)
    if total == 0:
        return None
    figure.update_layout(barmode="stack", legend={"traceorder": "normal"})
    figure.update_xaxes(title="seconds", type="linear", dtick=None, tickmode="auto")
    figure.update_yaxes(autorange="reversed")
    words = f"{duration(total)} in all."
    return Figure(
        "time", "Where the time went", f"Wall time by stage: {words}", words, finished_spec(figure, rounds=False)
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity over the rounds that have it: its name, where it comes from, how it is drawn (`dash` "none" for dots
    alone), and what its bars show: a bracket, or the interval of that name over prompts.
    """

    name: str
    series: Series
    value: Callable[[SplitRecord], float | None]
    colour: str
    dash: str = "solid"
    bracket: Callable[[SplitRecord], Bracket] | None = None
    interval: str | None = None

    @property
    def points(self) -> Series:
        """The rounds that have the value."""
        return [one for one in self.series if self.value(one[1]) is not None]


def by_split(
    run: RunView,
    value: Callable[[SplitRecord], float | None],
    bracket: Callable[[SplitRecord], Bracket] | None = None,
    what: str = "",
) -> list[Line]:
    return [
        Line(f"{what}{NAMES[split]}", run.split(split), value, colour, bracket=bracket)
        for split, colour in SPLIT_COLOURS.items()
    ]


def percent_axis(figure: go.Figure) -> None:
    figure.update_yaxes(range=[-0.04, 1.04], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])


def chart(
    key: str,
    title: str,
    caption: str,
    lines: Sequence[Line],
    axis: Callable[[go.Figure], None] = percent_axis,
    form: Callable[[float | None], str] = numbers.share,
) -> Figure | None:
    """The lines with what they say in words; None where no round has any of them."""
    figure = go.Figure()
    known = [one for one in lines if add_line(figure, one)]
    if not known:
        return None
    axis(figure)
    words = "; ".join(f"{one.name} {_from_to(one.points, lambda at, one=one: form(one.value(at)))}" for one in known)
    return Figure(key, title, caption, f"{words}.", finished_spec(figure))


def add_line(figure: go.Figure, line: Line) -> bool:
    """Add one line over the rounds that have the value; whether there was any."""
    points = [(number, known, one) for number, one in line.series if (known := line.value(one)) is not None]
    if not points:
        return False
    error = None
    if line.interval and all(line.interval in one.intervals for _, _, one in points):
        ends = [(known, one.intervals[line.interval]) for _, known, one in points]
        up, down = (
            [max(0.0, at.upper - known) for known, at in ends],
            [max(0.0, known - at.lower) for known, at in ends],
        )
        error = {"type": "data", "array": up, "arrayminus": down, "thickness": 1, "width": 4}
    if line.bracket is not None and not all(line.bracket(one).exact for _, _, one in points):
        # Lines run through the upper ends, the cautious ones, or through estimates; the bar reaches to the ends.
        ends = [(known, line.bracket(one)) for _, known, one in points]
        down = [0.0 if of.lower is None else max(0.0, known - of.lower) for known, of in ends]
        up = [0.0 if of.upper is None else max(0.0, of.upper - known) for known, of in ends]
        error = {"type": "data", "array": up, "arrayminus": down, "thickness": 1.5, "width": 5}
    figure.add_scatter(
        x=[number for number, _, _ in points],
        y=[known for _, known, _ in points],
        name=line.name,
        mode="markers" if line.dash == "none" else "lines+markers",
        line={"color": line.colour, "width": 2.5, "dash": "solid" if line.dash == "none" else line.dash},
        marker={"size": 7, "color": line.colour},
        error_y=error,
        hovertemplate=f"{line.name}, round %{{x}}: %{{y:.3~g}}<extra></extra>",
    )
    return True


def _marks(figure: go.Figure, at: Sequence[tuple[int, float | None]], name: str, symbol: str) -> None:
    """Add marks at the (round, value) pairs that have a value."""
    known = [one for one in at if one[1] is not None]
    if not known:
        return
    figure.add_scatter(
        x=[number for number, _ in known],
        y=[value for _, value in known],
        name=name,
        mode="markers",
        marker={"symbol": symbol, "size": 10, "color": GREY, "line": {"width": 2, "color": GREY}},
        hovertemplate=f"{name}, round %{{x}}: %{{y:.3~g}}<extra></extra>",
    )


def _traces(figure: go.Figure) -> Any:
    return figure.data  # plotly types this as the keys of a dictionary


def _shown(trace: Any) -> list[float]:
    """What a trace draws on its axis: its values, and the upper ends of their bars."""
    bars = getattr(trace, "error_y", None)
    longer = (bars.array if bars is not None else None) or ()
    return [*trace.y, *(value + more for value, more in zip(trace.y, longer, strict=False) if more is not None)]


def log_axis(figure: go.Figure, title: str) -> None:
    """A log axis labelled 1, 2, 5, 10, ... (powers of ten where there are many), never plotly's bare digits."""
    values = [value for trace in _traces(figure) for value in _shown(trace) if value > 0]
    low, high = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))) if values else (0, 1)
    decades = high - low
    narrow = bool(values) and max(values) < 10 * min(values)
    steps = (1, 1.2, 1.5, 2, 3, 5, 7) if narrow else (1, 2, 5) if decades <= 3 else (1,)
    stride = max(1, round(decades / 8))
    ticks = [step * 10.0**power for power in range(low, high + 1, stride) for step in steps]
    figure.update_yaxes(type="log", title=title, tickvals=ticks, ticktext=[numbers.number(tick) for tick in ticks])


def finished_spec(figure: go.Figure, height: int = 320, rounds: bool = True) -> dict[str, Any]:
    """The figure as plotly JSON, with the layout that all figures of a page share."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 8, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=True,
        hovermode="closest",
    )
    figure.update_layout(margin={"t": 48})
    if rounds:
        figure.update_xaxes(title="round", tickformat="d", dtick=_tick(figure), zeroline=False)
    figure.update_yaxes(zeroline=False)
    figure.update_xaxes(title_font_size=13)
    figure.update_yaxes(title_font_size=13)
    spec = json.loads(figure.to_json() or "{}")
    return {"data": spec["data"], "layout": spec["layout"]}


def _tick(figure: go.Figure) -> int:
    last = max((max(trace.x) for trace in _traces(figure) if trace.x), default=1)
    return max(1, round(last / 8))


def _from_to(series: Series, form: Callable[[SplitRecord], str]) -> str:
    first, last = form(series[0][1]), form(series[-1][1])
    return f"from {first} to {last}" if len(series) > 1 else first
