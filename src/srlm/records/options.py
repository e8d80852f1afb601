"""The facts of a settings field, written in the field: meaning, domain, option, whether a resumed run may change it.

Knows: dataclasses. Refuses to know: which settings there are, and how a command line or a page shows them.
"""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, get_args


@dataclass(frozen=True, slots=True)
class Facts:
    """What a settings field knows beside its name, type and default.

    Attributes:
        help: its meaning, in a sentence.
        flag: its option on a command line, without dashes; None where it has none. That of a bool takes no value and
            sets the opposite of the default.
        low, above, below: domain of a number: at least `low`, greater than `above`, less than `below`.
        choices: domain of a text.
        on_resume: a resumed run must be told the "same", is "free" to be told something new, or does not even record
            the field, because it changes nothing that a run computes ("unrecorded").
        shown: what the default None stands for.
    """

    help: str
    flag: str | None = None
    low: float = -math.inf
    above: float = -math.inf
    below: float = math.inf
    choices: tuple[str, ...] = ()
    on_resume: Literal["same", "free", "unrecorded"] = "same"
    shown: str = ""

    @property
    def domain(self) -> str:
        """The domain in words; "" where the type says it all."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        ends = ("at least", self.low), ("greater than", self.above), ("less than", self.below)
        return " and ".join(f"{word} {end:g}" for word, end in ends if math.isfinite(end))

    def holds(self, value: float) -> bool:
        """Whether a number lies in the domain."""
        return self.low <= value and self.above < value < self.below


def option(default: Any, help: str, flag: str | None = None, **facts: Any) -> Any:
    """A dataclass field with its facts (those of `Facts`)."""
    return field(default=default, metadata={"facts": Facts(help, flag, **facts)})


def facts_of(settings: Any) -> list[tuple[Field[Any], Facts]]:
    """The fields of a dataclass (or of an object of one) that `option` made, in order."""
    return [(one, one.metadata["facts"]) for one in fields(settings) if "facts" in one.metadata]


def resolve(settings: Any, by_level: Mapping[str, Mapping[str, Any]]) -> None:
    """Put in place what None stands for at the settings' level; a level that there is not is left alone."""
    for name, value in by_level.get(settings.level, {}).items():
        if getattr(settings, name) is None:
            object.__setattr__(settings, name, value)  # settings may be frozen


def problems(settings: Any) -> list[str]:
    """One sentence for every field outside its domain."""
    checked = (_problem(one, facts, getattr(settings, one.name)) for one, facts in facts_of(settings))
    return [problem for problem in checked if problem]


def _problem(one: Field[Any], facts: Facts, value: Any) -> str | None:
    kinds = get_args(one.type) or (one.type,)
    optional = type(None) in kinds or one.default is None
    if not facts.domain or (value is None and optional):
        return None
    if facts.choices:
        return None if value in facts.choices else f"{one.name} is {value!r}; use {facts.domain}"
    number, what = ((int, float), "a number") if float in kinds else ((int,), "a whole number")
    if isinstance(value, number) and not isinstance(value, bool) and facts.holds(value):
        return None
    return (
        f"{one.name} is {value!r}; it must be {what}, {facts.domain}{', or None' if optional else ''} "
        f"({facts.help.rstrip('.')})"
    )
