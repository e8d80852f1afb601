"""Tables as experiments fill and read them: columns with intervals, parts below each other, curves, fits.

Knows: that a column NAME may have its 95 % interval beside it, in NAME_low and NAME_high. Refuses to know: what the
numbers mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from srlm.simulation.experiments._result import Chart, Series, Style

Table = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval (normal approximation over independent seeds)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"

    @property
    def percent(self) -> str:
        """As shares are written, which lie in [0, 1] whatever the normal approximation says."""
        return f"{self.mean:.1%} ({max(self.low, 0.0):.1%} to {min(self.high, 1.0):.1%})"

    @property
    def points(self) -> str:
        """As changes of shares are written."""
        return f"{self.mean:+.1%} ({self.low:+.1%} to {self.high:+.1%})"

    def over(self, scale: float, less: float = 0.0) -> "Interval":
        """(value - less)/scale, scale > 0 and known exactly."""
        return Interval(*((value - less) / scale for value in (self.mean, self.low, self.high)))

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies on one side of 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


def interval(values: ArrayLike) -> Interval:
    """Mean and 95 % interval of independent values, (S,)."""
    sample = np.asarray(values, dtype=np.float64).ravel()
    half = 1.96 * sample.std(ddof=1) / math.sqrt(len(sample)) if len(sample) > 1 else 0.0
    return Interval(float(sample.mean()), float(sample.mean() - half), float(sample.mean() + half))


def spread(name: str, values: np.ndarray) -> dict[str, list[float]]:
    """Columns of means over seeds and their intervals; `values` is (S, N)."""
    cells = [interval(values[:, at]) for at in range(values.shape[1])]
    return {
        name: [one.mean for one in cells],
        f"{name}_low": [one.low for one in cells],
        f"{name}_high": [one.high for one in cells],
    }


def stacked(*parts: Mapping[str, Any]) -> dict[str, list[Any]]:
    """One table from several: columns below each other. A value that is no list is repeated down its part; a column
    that a part lacks is None there; a number that is not finite becomes None.
    """
    table: dict[str, list[Any]] = {name: [] for part in parts for name in part}
    for part in parts:
        lists = {name: list(cells) for name, cells in part.items() if isinstance(cells, list | tuple | np.ndarray)}
        length = max(map(len, lists.values()), default=1)
        for name, cells in table.items():
            cells += [_cell(one) for one in lists.get(name, [part.get(name)] * length)]
    return table


def select(table: Table, **where: Any) -> dict[str, list[Any]]:
    """The rows in which the named columns have the named values."""
    rows = range(len(next(iter(table.values()))))
    kept = [at for at in rows if all(table[name][at] == value for name, value in where.items())]
    return {name: [cells[at] for at in kept] for name, cells in table.items()}


def column(table: Table, name: str) -> np.ndarray:
    """A column of numbers, None as nan."""
    return np.array([math.nan if v is None else v for v in table[name]], dtype=np.float64)


def kinds(table: Table, name: str) -> list[Any]:
    """A column's values, each once, in order."""
    return list(dict.fromkeys(table[name]))


def entry(table: Table, name: str, row: int = -1) -> Interval:
    """One cell with its interval (the cell itself where the table has none)."""
    cells = [table.get(f"{name}{end}", table[name])[row] for end in ("", "_low", "_high")]
    return Interval(*(math.nan if v is None else float(v) for v in cells))


_STYLES: dict[str, Style] = {" --": "dashed", " o": "points", " |": "bars"}


def chart(
    title: str,
    table: Table,
    x: str,
    y_label: str,
    lines: Mapping[str, str],
    *,
    by: str = "",
    x_label: str = "",
    less: float = 0.0,
    least: float = -math.inf,
    log: str = "",
) -> Chart:
    """A panel of columns of one table against its column x, each with its interval where the table has one.

    Args:
        title: computed from the table.
        lines: column by label. A label that ends in " --" is dashed, in " o" points, in " |" bars; one with {} stands
            for a series for each value of column `by`; one without is drawn for the first value only.
        x_label: where it is not the column's name.
        less: subtracted from y, as in kappa - 1.
        least: numbers below it are drawn there, since a logarithmic axis has no zero.
        log: which axes are logarithmic, "x", "y" or "xy".
    """

    def numbers(part: Table, name: str) -> tuple[Any, ...]:
        return tuple(None if v is None else max(v - less, least) for v in part.get(name, ()))

    drawn: list[Series] = []
    for label, y in lines.items():
        mark = next((mark for mark in _STYLES if label.endswith(mark)), "")
        for value in kinds(table, by)[: None if "{}" in label else 1] if by else [None]:
            part = select(table, **{by: value}) if by else table
            text = label.removesuffix(mark).format(f"{value:g}" if isinstance(value, float) else value)
            low, high = numbers(part, f"{y}_low"), numbers(part, f"{y}_high")
            style = _STYLES.get(mark, "line")
            drawn.append(Series(text, tuple(part[x]), numbers(part, y), low, high, style, len(drawn)))
    return Chart(title, x_label or x, y_label, tuple(drawn), "x" in log, "y" in log)


def course(name: str, first: float, last: float, form: str = ".3g") -> str:
    """How a number went, in words: it "falls from", "rises from" or, within 1 %, "stays at"."""
    if abs(last - first) <= 0.01 * max(abs(first), abs(last)):
        return f"{name} stays at {first:{form}}"
    return f"{name} {'falls' if last < first else 'rises'} from {first:{form}} to {last:{form}}"


def listed(names: Sequence[Any]) -> str:
    """Names with commas, or "none"."""
    return ", ".join(map(str, names)) or "none"


@dataclass(frozen=True)
class PowerLaw:
    """A parabola fitted to logarithms: the exponent at the middle of the range, and how it changes along it.

    Attributes:
        exponent: slope of log y on log x.
        curvature: change of the slope per unit of log x; where its interval leaves out 0 there is no one exponent.
    """

    exponent: Interval
    curvature: Interval


def power_law(x: ArrayLike, y: ArrayLike, error: ArrayLike) -> PowerLaw:
    """Weighted fit of y ~ x^a, x, y > 0 with standard errors of y, (N,) each, N >= 3; where the curvature is
    insignificant the exponent is that of the straight line.
    """
    logs = np.log(np.asarray(x, dtype=np.float64))
    mean, scale = np.asarray(y, dtype=np.float64), np.asarray(error, dtype=np.float64)
    weights = (mean / scale) ** 2
    centred = logs - np.average(logs, weights=weights)

    def fit(degree: int) -> list[Interval]:
        design = centred[:, None] ** np.arange(degree + 1)
        covariance = np.linalg.inv(design.T @ (design * weights[:, None]))
        values = covariance @ design.T @ (weights * np.log(mean))
        half = 1.96 * np.sqrt(np.diag(covariance))
        return [Interval(float(v), float(v - h), float(v + h)) for v, h in zip(values, half, strict=True)]

    bent = fit(2)
    curvature = Interval(2 * bent[2].mean, 2 * bent[2].low, 2 * bent[2].high)
    return PowerLaw(bent[1] if curvature.sign else fit(1)[1], curvature)


def _cell(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
