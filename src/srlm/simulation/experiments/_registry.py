"""How an experiment is described, given settings, measured and read.

Knows: settings with defaults and domains, and workers for sweeps. Refuses to know: the experiments, one file each.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from srlm.errors import InputError
from srlm.simulation.experiments._result import ExperimentResult, Reading
from srlm.simulation.experiments._table import Table
from srlm.simulation.sweep import Cell, sweep


@dataclass(frozen=True)
class Setting:
    """One setting: a whole number, a number, or a list of numbers, as its default is.

    Attributes:
        default: its value unless given.
        low, high: the closed interval that every number must lie in.
        help: what it is.
    """

    default: int | float | tuple[float, ...]
    low: float
    high: float = math.inf
    help: str = ""

    def read(self, name: str, given: Any) -> Any:
        """The value that a user gave, as text or as a number.

        Raises:
            InputError: not of the default's kind, or outside the interval.
        """
        several = isinstance(self.default, tuple)
        parts = given.split(",") if isinstance(given, str) else list(given) if several else [given]
        whole = all(isinstance(v, int) for v in (self.default if isinstance(self.default, tuple) else (self.default,)))
        try:
            values = [int(part) if whole else float(part) for part in parts]
            if whole and any(float(part) != value for part, value in zip(parts, values, strict=True)):
                raise ValueError
        except (TypeError, ValueError) as error:
            kind = "whole number" if whole else "number"
            raise InputError(
                f"{name} is {given!r}; give a {kind}{', or several with commas' if several else ''}"
            ) from error
        if not values or (not several and len(values) > 1):
            raise InputError(f"{name} is {given!r}; give one number")
        for value in values:
            if not (math.isfinite(value) and self.low <= value <= self.high):
                raise InputError(f"{name} is {value}; it must lie in [{self.low:g}, {self.high:g}]")
        return tuple(values) if several else values[0]


@dataclass(frozen=True)
class Workers:
    """Where sweeps run; see `sweep`."""

    seed: int = 0
    jobs: int = 1
    backend: str = "loky"

    def sweep(self, function: Callable[[Cell, np.random.SeedSequence], Any], cells: Iterable[Cell]) -> list[Any]:
        """`function(cell, stream)` for every cell, in order."""
        return sweep(function, cells, seed=self.seed, jobs=self.jobs, backend=self.backend)


@dataclass(frozen=True)
class Experiment:
    """One entry of the registry.

    Attributes:
        name: as users type it.
        question: what it asks, in a sentence.
        settings: by name.
        measure: `measure(values, workers)`, the table.
        read: `read(table, values)`, what a table says: sentence, charts, numbers.
    """

    name: str
    question: str
    settings: Mapping[str, Setting]
    measure: Callable[[Mapping[str, Any], Workers], Table]
    read: Callable[[Table, Mapping[str, Any]], Reading]

    def run(self, values: Mapping[str, Any], workers: Workers) -> ExperimentResult:
        """The table and its reading, for values as `values` gives them."""
        table = self.measure(values, workers)
        reading = self.read(table, values)
        return ExperimentResult(
            **vars(reading), name=self.name, question=self.question, settings=dict(values), columns=table
        )

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every setting's value, checked.

        Raises:
            InputError: an unknown setting (the valid ones are listed) or values outside their domain, all at once.
        """
        unknown = sorted(set(given) - self.settings.keys())
        problems = [
            f"{name!r} is no setting of {self.name}; it has {', '.join(sorted(self.settings))}" for name in unknown
        ]
        found: dict[str, Any] = {}
        for name, setting in self.settings.items():
            try:
                found[name] = setting.read(name, given[name]) if name in given else setting.default
            except InputError as error:
                problems.append(str(error))
        if problems:
            raise InputError(problems)
        return found
