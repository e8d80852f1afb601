"""What an experiment returns: a table, charts described as data, and a sentence computed from both.

Knows: the record. Drawing it is the report's work, so that a chart can be drawn as SVG and as an interactive figure
from the same numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

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
    """One panel."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False


@dataclass(frozen=True)
class ExperimentResult:
    """One experiment's outcome.

    Attributes:
        name: as in the registry.
        question: what was asked.
        settings: every setting used.
        columns: the table, one list a column, all of one length.
        charts: panels.
        conclusion: a sentence computed from the data, with its uncertainty.
        numbers: what the conclusion rests on.
        caveats: what the experiment does not show, and negative results.
    """

    name: str
    question: str
    settings: Mapping[str, Any]
    columns: Mapping[str, Sequence[Any]]
    charts: tuple[Chart, ...]
    conclusion: str
    numbers: Mapping[str, Any]
    caveats: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval (normal approximation over independent seeds)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"


def interval(values: ArrayLike) -> Interval:
    """Mean and 95 % interval of independent values, (S,)."""
    found = np.asarray(values, dtype=np.float64).ravel()
    half = 1.96 * found.std(ddof=1) / math.sqrt(len(found)) if len(found) > 1 else 0.0
    return Interval(float(found.mean()), float(found.mean() - half), float(found.mean() + half))


def band(label: str, x: Sequence[Any], values: np.ndarray, colour: int = 0, style: Style = "line") -> Series:
    """A curve of means over seeds with 95 % intervals; `values` is (S, len(x))."""
    found = [interval(values[:, at]) for at in range(values.shape[1])]
    return Series(
        label,
        tuple(x),
        tuple(one.mean for one in found),
        tuple(one.low for one in found),
        tuple(one.high for one in found),
        style,
        colour,
    )


def curve(label: str, x: ArrayLike, y: ArrayLike, colour: int = 0, style: Style = "line") -> Series:
    """A curve of plain numbers."""
    return Series(label, _numbers(x), _numbers(y), style=style, colour=colour)


def slope(x: ArrayLike, values: np.ndarray, rng: np.random.Generator, draws: int = 400) -> Interval:
    """Exponent of a power law: slope of log mean(values) on log x, with a bootstrap interval over seeds.

    Args:
        x: (N,) positive.
        values: (S, N), positive means.
        rng: for the bootstrap.
        draws: resamples.
    """
    logs = np.log(np.asarray(x, dtype=np.float64))
    centred = logs - logs.mean()

    def fit(means: np.ndarray) -> float:
        return float(centred @ np.log(np.maximum(means, 1e-300)) / (centred @ centred))

    whole = fit(values.mean(axis=0))
    fits = [fit(values[rng.integers(0, len(values), len(values))].mean(axis=0)) for _ in range(draws)]
    low, high = np.quantile(fits, [0.025, 0.975])
    return Interval(whole, float(low), float(high))


def _numbers(values: ArrayLike) -> tuple[Any, ...]:
    found = np.asarray(values)
    if found.dtype.kind in "OUS":
        return tuple(found.tolist())
    return tuple(float(v) if math.isfinite(v) else None for v in found.astype(float))
