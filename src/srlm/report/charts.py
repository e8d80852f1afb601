"""The charts of runs: what is drawn against what, as values that the page's script draws.

Knows: the records' fields through `reading`; what was forecast before training stands in the chart of what was
measured. Points say where they are from (`traced`). Refuses to know: colours, scales, sizes.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from srlm.records.bracket import Bracket, Interval
from srlm.records.forecast import ForecastRecord
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.records.text import duration, visible
from srlm.report import forecasts, numbers
from srlm.report._pieces import NAMES
from srlm.report.payload import Axis, Chart, Colour, Line, Rule, Stop
from srlm.report.prompts import six
from srlm.report.reading import RunView
from srlm.report.traced import path_of

Series = Sequence[tuple[int, SplitRecord]]
Value = Callable[[SplitRecord], float | None]
Ends = Callable[[SplitRecord], Bracket | Interval | None]
PERCENT = Axis(percent=True, lowest=0.0, highest=1.0)
ROUNDS = Axis(title="round")
SPLIT_COLOURS: dict[Split, Colour] = {"train": "blue", "held_out": "orange"}
COLOURS: tuple[Colour, ...] = ("blue", "orange", "green", "purple", "red", "soft")


def line(
    name: str,
    rows: Iterable[tuple[Any, float | None, Bracket | Interval | tuple[float | None, float | None] | None]],
    **look: Any,
) -> Line:
    """A line through (x, y, its ends), with where every y is from."""
    points, paths = [], []
    for x, y, ends in rows:
        low, high = ends or (None, None) if isinstance(ends, tuple | None) else (ends.lower, ends.upper)
        points.append((float(x), *map(six, (y, low, high))))
        paths.append(path_of(y))
    return Line(name=name, points=points, paths=paths if any(paths) else [], **look)


def over_rounds(name: str, series: Series, value: Value, ends: Ends = lambda one: None, **look: Any) -> Line:
    """A quantity at the rounds that have it; ends that are equal draw no bar."""
    known = [(number, at, ends(one)) for number, one in series if (at := value(one)) is not None]
    shown = [(x, y, None if isinstance(of, Bracket) and of.exact else of) for x, y, of in known]
    return line(name, shown, **look)


def chart(
    key: str, title: str, caption: str, lines: Sequence[Line], y: Axis, words: str = "", **more: Any
) -> Chart | None:
    """The lines that have points, with what they say in words; None where none has."""
    known = [one for one in lines if one.points]
    if not known:
        return None
    form = numbers.share if y.percent else numbers.number
    told = [
        f"{one.name} {numbers.went(form(one.points[0][1]), form(one.points[-1][1]))}"
        for one in known
        if one.points[0][1] is not None and one.points[-1][1] is not None
    ]
    more = {"x": ROUNDS} | more
    return Chart(key=key, title=title, caption=caption, words=words or f"{'; '.join(told)}.", y=y, lines=known, **more)


def forecast_charts(run: RunView, stop: Stop | None) -> list[Chart]:
    """kappa, failure and accuracy of every split, as forecast and as measured; a mark where one should have stopped."""
    here = [] if stop is None else [Rule(axis="x", at=stop.round, label="stop here")]
    builders = (_accuracy, _kappa, _failure) if run.of_answers else (_kappa, _failure, _accuracy)
    splits: list[Split] = [split for split in (SPLITS[::-1] if run.of_answers else SPLITS) if run.split(split)]
    return [drawn for split in splits for one in builders if (drawn := one(run, split, here)) is not None]


def run_charts(run: RunView) -> list[Chart]:
    """The other charts of a run, in reading order; those without a measurement are left out."""
    if not run.rounds:
        return []
    beside = (_certain(run), _entropies(run)) if run.of_answers else ()
    figures = (*beside, _moved(run), _sameness(run), _length(run), _time(run))
    return [one for one in figures if one is not None]


def _told(
    run: RunView, split: Split, name: str, value: Callable[[ForecastRecord], Any], style: str = "dash", **look: Any
) -> Line:
    """A forecast: a band where it is a bracket, a line where it is a number."""
    rows = [(one.round, value(one)) for one in run.forecast(split)]
    known = [(number, at) for number, at in rows if at is not None]
    if known and isinstance(known[0][1], Bracket | Interval):
        ends = [(number, None, at) for number, at in known if at.lower is not None and at.upper is not None]
        return line(name, ends, colour="theory", style="none", mark="none", band=True, **look)
    return line(name, [(number, at, None) for number, at in known], colour="theory", style=style, mark="none", **look)


def _bands(run: RunView, certified: bool = True) -> str:
    if not run.of_answers:
        return f"exact rounds, {numbers.proved(run.widened)}"
    return f"{'certificates of draws, ' if certified else ''}95% bootstrap over prompts"


def _kappa(run: RunView, split: Split, here: list[Rule]) -> Chart | None:
    series = run.split(split)
    bars = f"Bars: what the draws certify at {numbers.mass(run.confidence)}, without an upper end where a "
    bars += "prompt repeats no answer."
    if not run.of_answers:
        bars = f"Bars: certification brackets (none where every mode was {numbers.proved(run.widened)})."
        if any(one.kappa.upper is None for _, one in series):
            bars += " κ beyond 10³⁰⁸ is not drawn; the table of numbers has it."
    lines = [
        _told(run, split, _bands(run), _band_of(run, "kappa"), estimated=run.of_answers or run.widened > 0),
        _told(run, split, "forecast" if run.of_answers else "estimate from samples", lambda one: one.kappa_point),
        _told(run, split, "projections onto what is known", _projection, "dot"),
        *(_exact_rounds(run) if split == run.main_split() else ()),
        over_rounds("measured", series, kappa_of, lambda one: one.kappa, estimated=run.of_answers or run.widened > 0),
    ]  # fmt: skip
    if split == run.main_split() and run.exact_rounds():
        bars += " Triangles: between which ends (P8) an exact round from the round before would bring it."
    words = forecasts.sentence(run, split) if run.forecast(split) else None
    words = words or f"{run.kappa_name} {numbers.went(*(numbers.kappa(one) for _, one in (series[0], series[-1])))}."
    title = f"Condition number {run.kappa_name}, {NAMES[split]}"
    axis = Axis(title=run.kappa_name, log=True, lowest=1.0)
    return chart(f"kappa-{split}", title, bars, lines, axis, words, rules=here)


def _projection(one: ForecastRecord) -> float | None:
    """What an update aims at; round 0 has none."""
    return one.projection_kappa if one.round else None


def _band_of(run: RunView, name: str) -> Callable[[ForecastRecord], Any]:
    """Certificates of answers are too wide to be a forecast; the bootstrap is one."""
    return lambda one: one.intervals.get(name) if run.of_answers else getattr(one, name)


def kappa_of(one: SplitRecord) -> float | None:
    """The cautious end, or the estimate from draws."""
    return one.kappa.upper if one.answers is None else one.answers.kappa_estimate


def _exact_rounds(run: RunView) -> list[Line]:
    """Where an exact round from the round before would have ended."""
    ends, marks = run.exact_rounds(), {"colour": "theory", "style": "none"}
    upper = [(at, high, None) for at, _, high in ends if high is not None]
    lower = [(at, low, None) for at, low, _ in ends if low is not None]
    return [
        line("exact round from the round before, most", upper, mark="down", **marks),
        line("exact round, least", lower, mark="up", **marks),
    ]


def _failure(run: RunView, split: Split, here: list[Rule]) -> Chart | None:
    caption = f"Prompts whose likeliest {'answer' if run.of_answers else 'response'} has probability at most ½."
    caption += f" Bars: what the draws certify at {numbers.mass(run.confidence)}." if run.of_answers else ""
    lines = [
        _told(run, split, _bands(run), _band_of(run, "failure_rate"), estimated=run.of_answers),
        over_rounds("measured", run.split(split), failure_of, lambda one: one.failure_rate, estimated=run.of_answers),
    ]
    return chart(f"failure-{split}", f"Failure rate, {NAMES[split]}", caption, lines, PERCENT, rules=here)


def failure_of(one: SplitRecord) -> float | None:
    """The cautious end, or the estimate from draws."""
    return one.failure_rate.upper if one.answers is None else one.answers.failure_estimate


def _accuracy(run: RunView, split: Split, here: list[Rule]) -> Chart | None:
    series, label = run.split(split), "P10" if run.of_answers else "P5"
    ceiling = series[0][1].accuracy.mode
    lines = [
        _told(run, split, _bands(run, False), lambda one: one.sample_accuracy, estimated=run.of_answers),
        _told(run, split, "forecast", lambda one: one.sample_accuracy_point),
        over_rounds("measured: samples", series, lambda one: one.accuracy.sample,
                    lambda one: one.intervals.get("sample_accuracy"), estimated=True),
        over_rounds("greedy", series, lambda one: one.accuracy.greedy, colour="purple", style="dash"),
        over_rounds(run.modes_name, series, lambda one: one.accuracy.mode, colour="green", mark="diamond", style="dot"),
    ]  # fmt: skip
    rules = [] if ceiling is None else [Rule(axis="y", at=ceiling, label=f"ceiling {numbers.share(ceiling)}")]
    caption = (
        f"Share of right answers. Ceiling: the accuracy of {run.base_name}'s {run.modes_name}, where exact rounds "
    )
    caption += f"would end ({label})."
    if any("sample_accuracy" in one.intervals for _, one in series):
        caption += " Bars: 95% intervals over prompts like these."
    title = f"Right answers, {NAMES[split]}"
    return chart(f"accuracy-{split}", title, caption, lines, PERCENT, rules=[*rules, *here])


def _by_split(run: RunView, value: Value, what: str = "", **look: Any) -> list[Line]:
    return [
        over_rounds(f"{what}{NAMES[split]}", run.split(split), value, colour=colour, **look)
        for split, colour in SPLIT_COLOURS.items()
    ]


def _certain(run: RunView) -> Chart | None:
    unread = over_rounds(
        "without an answer", run.split(run.main_split()), lambda one: one.answers and one.answers.unparseable_share,
        colour="soft", style="dot",
    )  # fmt: skip
    lines = [*_by_split(run, lambda one: one.answers and one.prompts and one.answers.certified / one.prompts), unread]
    caption = (
        f"Share of prompts whose majority is certified at {numbers.mass(run.confidence)} by the draws, or proved "
        "by the responses seen; dotted, responses in which no answer was found."
    )
    return chart("certain", "Certain majorities", caption, lines, PERCENT)


def _entropies(run: RunView) -> Chart | None:
    ways: tuple[tuple[str, Value, str], ...] = (
        ("answers", lambda one: one.answers and one.answers.entropy, "solid"),
        ("reasoning", lambda one: one.answers and one.answers.entropy_within, "dot"),
    )
    lines = [one for what, value, style in ways for one in _by_split(run, value, f"{what}, ", style=style)]
    caption = (
        "Entropy of a prompt's answers, which sharpening takes away, and of the reasoning within an answer, which "
        "exact rounds leave as it was (P10)."
    )
    axis = Axis(title="nats", lowest=0.0)
    return chart("entropy", "Diversity of answers and of reasoning", caption, lines, axis)


def _moved(run: RunView) -> Chart | None:
    lines = _by_split(run, lambda one: one.mode_drift, "since round 0, ")
    lines.append(
        over_rounds(
            "since the round before", run.split(run.main_split()), lambda one: one.flips, colour="soft", style="dot"
        )
    )
    caption = "Exact rounds never move one (P10); near a tie draws alone do." if run.of_answers else ""
    title = f"Share of {run.modes_name} that moved"
    return chart("moved", title, caption or "Exact rounds never move one (P5).", lines, PERCENT)


def _sameness(run: RunView) -> Chart | None:
    caption = (
        "Distinct responses among a prompt's samples, and sampled pairs whose two responses differ: a sharper model "
        "repeats itself."
    )
    pairs = run.split(run.main_split())
    lines = [
        *_by_split(run, lambda one: one.distinct, "distinct, "),
        over_rounds("pairs that differ", pairs, lambda one: one.informative_pairs, colour="soft", style="dot"),
    ]
    return chart("sameness", "How different samples are", caption, lines, PERCENT)


def _length(run: RunView) -> Chart | None:
    longest = run.record.configuration.get("max_completion_length")
    unit = visible(str(run.record.configuration.get("length_unit") or "tokens") if run.watched else "tokens", 20)
    caption = "Mean length of a sample, in tokens. The reward is a sum over tokens, so shorter responses are favoured"
    if run.of_answers:
        caption = "Mean length of a sample, in tokens. The reward sees the answer alone, whatever the length"
    caption += f"; {longest} tokens is the most allowed." if isinstance(longest, int) else "."
    caption = f"Mean length of a completion, in {unit}." if run.watched else caption
    lines = _by_split(run, lambda one: one.mean_response_tokens)
    return chart("length", "Response length", caption, lines, Axis(title=unit, lowest=0.0))


def _time(run: RunView) -> Chart | None:
    stages: tuple[tuple[str, str, Colour], ...] = (
        ("sample", "sampling", "blue"),
        *(() if run.of_answers else (("certify", "finding modes", "green"),)),
        ("train", "training", "purple"),
        ("measure", "scoring beside", "soft"),
    )
    total = sum(one.seconds.get(stage, 0.0) for stage, _, _ in stages for one in run.rounds)
    if total == 0:
        return None
    lines = [
        line(name, [(one.round, one.seconds.get(stage, 0.0), None) for one in run.rounds], colour=colour, style="bars")
        for stage, name, colour in stages
    ]
    ticks = [(float(one.round), f"round {one.round}") for one in run.rounds]
    words, caption = f"{duration(total)} in all.", f"Wall time by stage: {duration(total)} in all."
    more = {"x": Axis(ticks=ticks), "horizontal": True, "stacked": True}
    return chart("time", "Where the time went", caption, lines, Axis(title="seconds", lowest=0.0), words, **more)


def comparison_charts(runs: Sequence[tuple[str, RunView]]) -> list[Chart]:
    """kappa and accuracy of several named runs."""
    charts: list[Chart | None] = []
    for split, where in NAMES.items():
        measured = [(name, COLOURS[at % len(COLOURS)], run.split(split)) for at, (name, run) in enumerate(runs)]
        if not any(series for _, _, series in measured):
            continue
        symbol, modes = runs[0][1].kappa_name, runs[0][1].modes_name
        kappas = [
            over_rounds(name, series, kappa_of, lambda one: one.kappa, colour=colour)
            for name, colour, series in measured
        ]
        axis, bars = Axis(title=symbol, log=True, lowest=1.0), "Log scale; bars are certification brackets."
        charts.append(chart(f"kappa-{split}", f"{symbol} on {where}", bars, kappas, axis))
        shares = [
            over_rounds(f"{name}: {what}", series, value, colour=colour, style=style)
            for name, colour, series in measured
            for what, value, style in (
                ("samples", lambda one: one.accuracy.sample, "solid"),
                (modes, lambda one: one.accuracy.mode, "dot"),
            )
        ]
        caption = f"Solid: share of right samples. Dotted: share of right {modes}."
        charts.append(chart(f"accuracy-{split}", f"Accuracy on {where}", caption, shares, PERCENT))
    return [one for one in charts if one is not None]
