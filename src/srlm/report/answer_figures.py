"""Figures that only a run of answers has: what is certain, and which diversity goes.

Knows: how the figures beside it are drawn. Refuses to know: where numbers come from.
"""

import plotly.graph_objects as go

from srlm.records.rounds import SplitRecord
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.figures import GREY, SPLIT_COLOURS, Figure, Line, by_split, chart
from srlm.report.reading import RunView


def figures(run: RunView) -> list[Figure]:
    """Certified majorities and entropies; none of a run of responses."""
    return [one for one in (_certain(run), _entropies(run)) if one is not None] if run.of_answers else []


def _certain(run: RunView) -> Figure | None:
    level = f"{numbers.number(100 * run.confidence)}%"
    lines = [
        *by_split(run, lambda one: one.answers and one.prompts and one.answers.certified / one.prompts),
        Line("without an answer", run.split(run.main_split()), _unread, GREY, "dot"),
    ]
    caption = (
        f"Share of prompts whose majority is certified at {level} by the draws, or proved by the responses seen; "
        "dotted, responses in which no answer was found."
    )
    return chart("certain", "Certain majorities", caption, lines)


def _unread(one: SplitRecord) -> float | None:
    return one.answers and one.answers.unparseable_share


def _entropies(run: RunView) -> Figure | None:
    lines = [
        Line(f"{what}, {NAMES[split]}", run.split(split), value, colour, dash)
        for split, colour in SPLIT_COLOURS.items()
        for what, value, dash in (
            ("answers", lambda one: one.answers and one.answers.entropy, "solid"),
            ("reasoning", lambda one: one.answers and one.answers.entropy_within, "dot"),
        )
    ]

    def axis(figure: go.Figure) -> None:
        figure.update_yaxes(rangemode="tozero", title="nats")

    caption = (
        "Entropy of a prompt's answers, which sharpening takes away, and of the reasoning within an answer, which "
        "exact rounds leave as it was (P10)."
    )
    return chart("entropy", "Diversity of answers and of reasoning", caption, lines, axis, numbers.number)
