"""What an experiment returns: a table, and a reading of it: charts described as data, and a sentence.

Knows: the records. Refuses to know: how they are drawn (the report does, as SVG and as an interactive figure from the
same numbers) and how a table is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Style = Literal["line", "dashed", "points", "bars"]


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        label: its name in the legend.
        x, y: numbers; a y that is not finite leaves a gap. x may be words for bars.
        low, high: an interval around y, or empty.
        style: how it is drawn; a bound is "dashed".
        colour: curves of one number belong together and share a colour.
    """

    label: str
    x: tuple[Any, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    style: Style = "line"
    colour: int = 0


@dataclass(frozen=True)
class Chart:
    """One panel. Its title says what its numbers show, so it is computed from them."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False


@dataclass(frozen=True)
class Reading:
    """What a table says; computed from the table and the settings alone, so that another table reads otherwise.

    Attributes:
        conclusion: a sentence, with its uncertainty.
        charts: panels.
        numbers: what the conclusion rests on.
        caveats: what the experiment does not show, and negative results.
    """

    conclusion: str
    charts: tuple[Chart, ...]
    numbers: Mapping[str, Any]
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExperimentResult(Reading):
    """One experiment's outcome: what was asked, the table, and its reading.

    Attributes:
        name: as in the registry.
        question: what was asked.
        settings: every setting used.
        columns: the table, one list a column, all of one length.
    """

    name: str = ""
    question: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
