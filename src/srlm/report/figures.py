"""The figures of a page, as plotly figures with a sentence that says in words what each one shows.

Knows: what is drawn against what, and colours that keep their contrast on light and dark paper alike. Text, grid and
background colours are left to the page, which knows the reader's theme.
"""

import html
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from srlm.records.rounds import Bracket, SplitRecord
from srlm.report import numbers
from srlm.report.reading import RunView, Split

# Okabe and Ito's colours, darkened or lightened until each has contrast 3:1 with white and with #15181c.
BLUE, ORANGE, GREEN, PURPLE, GREY, RED = "#2f7fc1", "#d06a12", "#1f9070", "#9b6fc4", "#7d8790", "#d0514a"
_SPLITS: tuple[tuple[Split, str, str], ...] = (
    ("train", "trained prompts", BLUE),
    ("held_out", "held-out prompts", ORANGE),
)
RUN_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, GREY)

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


def run_figures(run: RunView) -> list[Figure]:
    """The figures of one run, in reading order; those without a measurement are left out."""
    if not run.rounds:
        return []
    accuracy = [figure for split in ("train", "held_out") if (figure := _accuracy(run, split)) is not None]
    rest = [_failure(run), *accuracy, _length(run), _sameness(run), _time(run)]
    return [_kappa(run), *(figure for figure in rest if figure is not None)]


def comparison_figures(runs: Sequence[tuple[str, RunView]]) -> list[Figure]:
    """kappa and sample accuracy of several named runs."""
    found: list[Figure] = []
    for split, where, _ in _SPLITS:
        if not any(run.split(split) for _, run in runs):
            continue
        key = split.replace("_", "")
        figure = go.Figure()
        accuracy = go.Figure()
        for (name, run), colour in zip(runs, _cycle(len(runs)), strict=True):
            series, name = run.split(split), html.escape(name)  # plotly reads names as markup
            _line(figure, series, lambda one: one.kappa.upper, name, colour, bracket=lambda one: one.kappa)
            _line(accuracy, series, lambda one: one.accuracy.sample, f"{name}: samples", colour)
            _line(accuracy, series, lambda one: one.accuracy.mode, f"{name}: modes", colour, dash="dot")
        _log(figure, "κ")
        _percent(accuracy)
        words = "; ".join(
            f"{name}: {_from_to(run.split(split), numbers.kappa)}" for name, run in runs if run.split(split)
        )
        found.append(
            Figure(
                f"kappa{key}",
                f"κ on {where}",
                "Log scale; bars are certification brackets.",
                words,
                finished_spec(figure),
            )
        )
        if accuracy.data:
            said = "; ".join(
                f"{name}: {_from_to(run.split(split), lambda one: numbers.share(one.accuracy.sample))}"
                for name, run in runs
                if run.split(split)
            )
            caption = "Solid: share of right samples. Dotted: share of right modes."
            found.append(Figure(f"accuracy{key}", f"Accuracy on {where}", caption, said, finished_spec(accuracy)))
    return found


def _kappa(run: RunView) -> Figure:
    figure = go.Figure()
    said: list[str] = []
    for split, where, colour in _SPLITS:
        series = run.split(split)
        if not series:
            continue
        _line(figure, series, lambda one: one.kappa.upper, where, colour, bracket=lambda one: one.kappa)
        said.append(f"on {where} {_from_to(series, numbers.kappa)}")
    main = run.split(run.main_split())
    # Without a proved mode there is no margin, and both predictions say nothing.
    predicted = [
        (number + 1, one.population) for number, one in main if one.population is not None and one.certified_share != 0
    ]
    predicted = [(number, one) for number, one in predicted if number <= max(main[-1][0], run.planned_rounds or 0)]
    if predicted:
        bound = [one.kappa_bound for _, one in predicted]
        _marks(figure, [number for number, _ in predicted], bound, "P3 bound from the round before", "line-ew-open", 18)
        exact = [(number, one.kappa_estimate) for number, one in predicted if one.kappa_estimate is not None]
        if exact:
            xs, ys = zip(*exact, strict=True)
            _marks(figure, list(xs), list(ys), "exact round, estimated", "diamond-open", 9)
    _log(figure, "κ (log scale)")
    caption = "Bars: certification brackets (none where every mode was proved)."
    if predicted:
        caption += (
            " Grey dashes: what theorem P3 allows after an exact round from the round before; grey diamonds: an "
            f"estimate of that exact round{', both for the trained prompts' if run.main_split() == 'train' else ''}."
        )
    return Figure(
        "kappa", "Condition number κ by round", caption, f"κ went {'; '.join(said)}.", finished_spec(figure, 400), True
    )


def _failure(run: RunView) -> Figure | None:
    return _shares(
        run,
        "failure",
        "Failure rate",
        "Prompts whose most probable response has probability at most ½.",
        lambda one: one.failure_rate.upper,
        bracket=lambda one: one.failure_rate,
    )


def _accuracy(run: RunView, split: Split) -> Figure | None:
    series = run.split(split)
    where = {key: name for key, name, _ in _SPLITS}[split]
    figure = go.Figure()
    lines: tuple[tuple[str, str, str, Callable[[SplitRecord], float | None]], ...] = (
        ("samples", BLUE, "solid", lambda one: one.accuracy.sample),
        ("greedy", PURPLE, "dash", lambda one: one.accuracy.greedy),
        ("modes", GREEN, "dot", lambda one: one.accuracy.mode),
    )
    said = []
    for name, colour, dash, value in lines:
        if _line(figure, series, value, name, colour, dash=dash):
            said.append(f"{name} {_from_to(series, lambda one, value=value: numbers.share(value(one)))}")
    if not said:
        return None
    ceiling = series[0][1].accuracy.mode
    if ceiling is not None and len(series) > 1:
        figure.add_hline(y=ceiling, line={"color": GREY, "width": 1, "dash": "dot"})
    _percent(figure)
    caption = (
        "Share of right answers. The thin line is the accuracy of the base model's modes, where exact rounds would "
        "end (P5)."
    )
    return Figure(
        f"accuracy{split.replace('_', '')}", f"Accuracy, {where}", caption, f"{'; '.join(said)}.", finished_spec(figure)
    )


def _length(run: RunView) -> Figure | None:
    figure, said = go.Figure(), []
    for split, where, colour in _SPLITS:
        series = run.split(split)
        if _line(figure, series, lambda one: one.mean_response_tokens, where, colour):
            said.append(f"{where} {_from_to(series, lambda one: numbers.number(one.mean_response_tokens))} tokens")
    if not said:
        return None
    figure.update_yaxes(rangemode="tozero", title="tokens")
    longest = run.record.configuration.get("max_completion_length")
    caption = "Mean length of a sample. The reward is a sum over tokens, so shorter responses are favoured"
    caption += f"; {longest} tokens is the most allowed." if isinstance(longest, int) else "."
    return Figure("length", "Response length", caption, f"{'; '.join(said)}.", finished_spec(figure))


def _sameness(run: RunView) -> Figure | None:
    figure, said = go.Figure(), []
    for split, where, colour in _SPLITS:
        series = run.split(split)
        if _line(figure, series, lambda one: one.mode_drift, f"moved modes, {where}", colour):
            said.append(f"moved modes on {where} {_from_to(series, lambda one: numbers.share(one.mode_drift))}")
    series = run.split(run.main_split())
    if _line(figure, series, lambda one: one.informative_pairs, "pairs that differ", GREY, dash="dot"):
        said.append(f"pairs that differ {_from_to(series, lambda one: numbers.share(one.informative_pairs))}")
    if not said:
        return None
    _percent(figure)
    caption = (
        "Modes that are no longer the base model's (the theory says none), and the share of sampled pairs whose two "
        "responses differ: only those teach anything."
    )
    return Figure("sameness", "Mode drift and informative pairs", caption, f"{'; '.join(said)}.", finished_spec(figure))


def _time(run: RunView) -> Figure | None:
    figure = go.Figure()
    names = [f"round {one.round}" for one in run.rounds]
    stages = (("sample", "sampling", BLUE), ("certify", "finding modes", GREEN), ("train", "training", PURPLE))
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
    words = f"{numbers.duration(total)} in all."
    return Figure(
        "time", "Where the time went", f"Wall time by stage: {words}", words, finished_spec(figure, rounds=False)
    )


def _shares(
    run: RunView,
    key: str,
    title: str,
    caption: str,
    value: Callable[[SplitRecord], float | None],
    bracket: Callable[[SplitRecord], Bracket] | None = None,
) -> Figure | None:
    figure, said = go.Figure(), []
    for split, where, colour in _SPLITS:
        series = run.split(split)
        if _line(figure, series, value, where, colour, bracket=bracket):
            said.append(f"{where} {_from_to(series, lambda one: numbers.share(value(one)))}")
    _percent(figure)
    return Figure(key, title, caption, f"{'; '.join(said)}.", finished_spec(figure)) if said else None


def _line(
    figure: go.Figure,
    series: Series,
    value: Callable[[SplitRecord], float | None],
    name: str,
    colour: str,
    dash: str = "solid",
    bracket: Callable[[SplitRecord], Bracket] | None = None,
) -> bool:
    """Add one line over the rounds that have the value; whether there was any."""
    points = [(number, known, one) for number, one in series if (known := value(one)) is not None]
    if not points:
        return False
    error = None
    if bracket is not None and not all(bracket(one).exact for _, _, one in points):
        # Lines run through the upper ends, the cautious ones; the bar reaches down to the lower ends.
        down = [bracket(one).upper - bracket(one).lower for _, _, one in points]
        error = {"type": "data", "array": [0.0] * len(down), "arrayminus": down, "thickness": 1.5, "width": 5}
    figure.add_scatter(
        x=[number for number, _, _ in points],
        y=[known for _, known, _ in points],
        name=name,
        mode="lines+markers",
        line={"color": colour, "width": 2.5, "dash": dash},
        marker={"size": 7, "color": colour},
        error_y=error,
        hovertemplate=f"{name}, round %{{x}}: %{{y:.3~g}}<extra></extra>",
    )
    return True


def _marks(figure: go.Figure, x: list[int], y: list[float], name: str, symbol: str, size: int) -> None:
    figure.add_scatter(
        x=x,
        y=y,
        name=name,
        mode="markers",
        marker={"symbol": symbol, "size": size, "color": GREY, "line": {"width": 2, "color": GREY}},
        hovertemplate=f"{name}, round %{{x}}: %{{y:.3~g}}<extra></extra>",
    )


def _percent(figure: go.Figure) -> None:
    figure.update_yaxes(range=[-0.04, 1.04], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])


def _traces(figure: go.Figure) -> Any:
    return figure.data  # plotly types this as the keys of a dictionary


def _log(figure: go.Figure, title: str) -> None:
    """A log axis labelled 1, 2, 5, 10, ... (powers of ten where there are many), never plotly's bare digits."""
    values = [value for trace in _traces(figure) for value in trace.y if value > 0]
    low, high = (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))) if values else (0, 1)
    decades = high - low
    steps = (1, 2, 5) if decades <= 3 else (1,)
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


def _cycle(count: int) -> list[str]:
    return [RUN_COLOURS[at % len(RUN_COLOURS)] for at in range(count)]
