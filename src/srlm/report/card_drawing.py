"""The picture of a card, 1200 x 630, as SVG or PNG from one drawing.

Knows: matplotlib, without its global state, and where things stand; texts are measured, wrapped and made smaller until
they fit, and letters that no font here has are drawn as boxes. The same card gives the same bytes. Refuses to know:
what the numbers mean.
"""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from srlm.records.text import visible
from srlm.report import numbers

WIDTH, HEIGHT, _MARGIN = 1200, 630, 60
PAPER, INK, SOFT, LINE, RIGHT, WRONG, THEORY = (
    "#fdfdfb", "#1c2024", "#59626b", "#dcdfe0", "#17699f", "#b4500f", "#6d5aa5",
)  # fmt: skip
_LEDGER = {"kept": RIGHT, "learned": "#74b8e6", "corrupted": WRONG, "still_wrong": "#f0c9a6"}
_SANS, _SERIF = ("DejaVu Sans", "STIXGeneral"), ("STIXGeneral", "DejaVu Serif", "DejaVu Sans")
_BOX = "□"


class Fact(NamedTuple):
    """A figure: what it is, its value or "before → after", and a word on it."""

    name: str
    value: str
    note: str = ""


class Ends(NamedTuple):
    """What was forecast for a round; None where it is not known."""

    round: int
    lower: float | None
    point: float | None
    upper: float | None


class Chart(NamedTuple):
    """One quantity by round, as (round, value) where it was measured.

    Attributes:
        ceiling: a level that stays; None where there is none.
        log: on a logarithmic axis, in numbers; else in percent.
    """

    title: str
    measured: Sequence[tuple[int, float]]
    forecast: Sequence[Ends] = ()
    ceiling: float | None = None
    log: bool = False


class Card(NamedTuple):
    """Everything on a card but its sentence.

    Attributes:
        model, what: of which model, and what was done with it.
        facts: at most six.
        chart: None where there is nothing to draw.
        ledger: fates to counts of prompts, in order; empty where no answer is known.
        prompts: which prompts the ledger counts.
        table: Markdown of every round; empty for a diagnosis.
    """

    model: str
    what: str
    facts: Sequence[Fact]
    chart: Chart | None
    ledger: Mapping[str, int]
    prompts: str = ""
    table: Sequence[str] = ()


def draw(card: Card, sentence: str, kind: str) -> bytes:
    """The file of a card.

    Args:
        card, sentence: what is on it.
        kind: "svg" or "png".
    """
    settings: Any = {"svg.hashsalt": "srlm", "svg.fonttype": "path", "text.hinting": "none", "path.simplify": False}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, facecolor=PAPER)  # a point is a pixel
        down = 0 if card.ledger else 26
        _head(figure, card, sentence, down)
        wide = card.chart is None
        columns = 3
        step = (WIDTH - 2 * _MARGIN + 24) / columns if wide else 218
        for at, fact in enumerate(card.facts):
            _fact(figure, fact, _MARGIN + step * (at % columns), 318 + down + 118 * (at // columns), step - 24)
        if card.chart is not None:
            _chart(figure, card.chart, down)
        if card.ledger:
            _ledger(figure, card)
        sink = io.BytesIO()
        about = {"Date": None, "Title": visible(sentence)} if kind == "svg" else {"Software": None}
        figure.savefig(sink, format=kind, metadata=about, facecolor=PAPER)
    return sink.getvalue()


def _head(figure: Figure, card: Card, sentence: str, down: int) -> None:
    _put(figure, "srlm", _MARGIN, 68, 34, _SERIF, weight="bold")
    taken = _put(figure, card.what, WIDTH - _MARGIN, 66, 19, right=True, colour=SOFT) + 24
    room = WIDTH - 2 * _MARGIN - 130 - taken
    _put(figure, card.model, WIDTH - _MARGIN - taken, 66, 19, room=room, right=True, weight="bold")
    size, lines = _fitted(sentence, WIDTH - 2 * _MARGIN, 182)
    top = 102 + (182 + down - len(lines) * size * 1.16) / 2  # in the middle of its room
    for at, line in enumerate(lines):
        _put(figure, line, _MARGIN, top + size * (0.84 + 1.16 * at), size, _SERIF, weight="bold")


def _fact(figure: Figure, fact: Fact, x: float, y: float, room: float) -> None:
    _rectangle(figure, x, y, room, 1.5, INK)
    _put(figure, fact.name, x, y + 28, 17, room=room, colour=SOFT)
    _put(figure, fact.value, x, y + 64, 30, room=room)
    _put(figure, fact.note, x, y + 89, 14, room=room, colour=SOFT)


def _ledger(figure: Figure, card: Card) -> None:
    total, x, room = sum(card.ledger.values()), float(_MARGIN), WIDTH - 2 * _MARGIN
    for fate, count in card.ledger.items():
        width = room * count / total
        _rectangle(figure, x, 560, max(0.0, width - 2), 14, _LEDGER[fate])
        x += width
    x = _MARGIN
    for fate, count in card.ledger.items():
        _rectangle(figure, x, 589, 12, 12, _LEDGER[fate])
        x += 20 + _put(figure, f"{count} {fate.replace('_', ' ')}", x + 19, 600, 16) + 26
    what = f"the favourites of {card.prompts}"
    _put(figure, what, WIDTH - _MARGIN, 600, 16, room=WIDTH - _MARGIN - x - 20, right=True, colour=SOFT)


def _chart(figure: Figure, chart: Chart, down: int) -> None:
    left, top, width, height = 772, 344 + down, WIDTH - _MARGIN - 772, 166
    _put(figure, chart.title, 716, 334 + down, 17, colour=INK)
    axes: Any = figure.add_axes((left / WIDTH, 1 - (top + height) / HEIGHT, width / WIDTH, height / HEIGHT))
    axes.set_facecolor(PAPER)
    style = {"color": THEORY, "linewidth": 2.5, "linestyle": (0, (4, 2.5)), "clip_on": False}
    band = [(at, low, high) for at, low, _, high in chart.forecast if low is not None and high is not None]
    points = [(at, point) for at, _, point, _ in chart.forecast if point is not None]
    if len(band) > 1:
        axes.fill_between(*zip(*band, strict=True), color=THEORY, alpha=0.16, linewidth=0)
    for line in (
        [points] if points else [[(at, end) for at, *ends in band for end in ends[side:][:1]] for side in (0, 1)]
    ):
        if line:
            axes.plot(*zip(*line, strict=True), **style)
    if chart.ceiling is not None:
        axes.axhline(chart.ceiling, color=INK, linewidth=1.5, linestyle=(0, (1, 2)))
    if chart.measured:
        axes.plot(*zip(*chart.measured, strict=True), color=RIGHT, marker="o", markersize=9, linewidth=3, clip_on=False)
    _axes(axes, chart)
    keys = [("measured", RIGHT, bool(chart.measured)), ("forecast", THEORY, bool(points or band))]
    keys.append(("ceiling", INK, chart.ceiling is not None))
    x = float(WIDTH - _MARGIN)
    for name, colour, there in reversed(keys):
        if there:
            x -= _put(figure, name, x, 334 + down, 15, right=True, colour=colour, weight="bold") + 16


def _axes(axes: Any, chart: Chart) -> None:
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)
    rounds = [one[0] for one in (*chart.measured, *chart.forecast)]
    axes.set_xlim(min(rounds) - 0.15, max(max(rounds), min(rounds) + 1) + 0.15)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{'round ' if at == rounds[0] else ''}{at:.0f}"))
    if chart.log:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 30 * low else (1.0,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.number(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        values = [one for _, one in chart.measured] + [
            one for row in chart.forecast for one in row[1:] if one is not None
        ]
        values += [] if chart.ceiling is None else [chart.ceiling]
        low, high = min(values), max(values)
        room = max(0.05, 0.12 * (high - low))
        axes.set_ylim(max(-0.03, low - room), min(1.03, high + room))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="y", color=LINE, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=SOFT, labelsize=14, length=0, pad=7)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontfamily(list(_SANS))


def _rectangle(figure: Figure, x: float, y: float, width: float, height: float, colour: str) -> None:
    place = (x / WIDTH, 1 - (y + height) / HEIGHT)
    figure.add_artist(Rectangle(place, width / WIDTH, height / HEIGHT, color=colour, linewidth=0))


def _put(
    figure: Figure,
    text: str,
    x: float,
    y: float,
    size: float,
    family: tuple[str, ...] = _SANS,
    *,
    weight: str = "normal",
    room: float | None = None,
    right: bool = False,
    colour: str = INK,
) -> float:
    """One line with its baseline at y pixels from the top, made smaller, then cut, to fit its room; its width."""
    text = _drawable(text, family)
    if room is not None:
        least = 0.7 * size
        while size > least and _width(text, size, family, weight) > room:
            size -= 0.5
        text = _cut(text, room, size, family, weight)
    place = {"x": x / WIDTH, "y": 1 - y / HEIGHT, "ha": "right" if right else "left", "va": "baseline"}
    properties = FontProperties(family=list(family), weight=weight, size=size)
    figure.add_artist(Text(text=text, color=colour, fontproperties=properties, parse_math=False, **place))
    return _width(text, size, family, weight)


def _fitted(text: str, width: float, height: float) -> tuple[float, list[str]]:
    """Largest size, and the lines, at which a text fits; what does not fit at the smallest is cut."""
    text, size = _drawable(text, _SERIF), 52.0
    while True:
        lines = _wrapped(text, width, size)
        most = int(height / (1.16 * size))
        if len(lines) <= most:
            return size, lines
        if size <= 26:
            return size, [*lines[: most - 1], _cut(" ".join(lines[most - 1 :]), width, size, _SERIF, "bold")]
        size -= 2


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """Lines no wider than `width`; a word that is too long is broken."""
    lines, line = [], ""
    for word in text.split():
        if line and _width(f"{line} {word}", size, _SERIF, "bold") <= width:
            line = f"{line} {word}"
            continue
        lines += [line] if line else []
        while _width(word, size, _SERIF, "bold") > width:
            most = next(at for at in range(len(word) - 1, 0, -1) if _width(word[:at], size, _SERIF, "bold") <= width)
            lines, word = [*lines, word[:most]], word[most:]
        line = word
    return [*lines, line]


def _cut(text: str, room: float, size: float, family: tuple[str, ...], weight: str) -> str:
    """The text, or as much of it as fits with "…" after it."""
    shown = text
    while text and _width(shown, size, family, weight) > room:
        text = text[:-1]
        shown = text.rstrip() + "…"
    return shown


def _width(text: str, size: float, family: tuple[str, ...], weight: str) -> float:
    """In pixels, without kerning, which brings letters nearer."""
    return size * sum(_advance(letter, family, weight) or 0.0 for letter in text)


def _drawable(text: str, family: tuple[str, ...]) -> str:
    return "".join(_BOX if _advance(letter, family, "bold") is None else letter for letter in visible(text))


@cache
def _advance(letter: str, family: tuple[str, ...], weight: str) -> float | None:
    """How wide a letter is at size 1 in the first of the fonts that has it."""
    for name in family:
        font = get_font(findfont(FontProperties(family=name, weight=weight)))
        if font.get_char_index(ord(letter)):
            font.set_size(100, 72)
            return font.load_char(ord(letter)).linearHoriAdvance / 65536 / 100
    return None
