"""The facts of a settings field, written in the field: meaning, domain, option, whether a resumed run may change it.

Knows: dataclasses. Refuses to know: which settings there are, and how a command line or a page shows them.
"""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Facts:
    """What a settings field knows beside its name, type and default.

    Attributes:
        help: its meaning, in a sentence.
        flag: its option on a command line, without dashes; None where it has none. That of a bool takes no value and
            sets the opposite of the default.
        low, high, above, below: domain of a number: at least `low`, at most `high`, greater than `above`, less than
            `below`.
        choices: domain of a text.
        on_resume: a resumed run must be told the "same", is "free" to be told something new, or does not even record
            the field, because it changes nothing that a run computes ("unrecorded").
        shown: what the default None stands for.
    """

    help: str
    flag: str | None = None
    low: float = -math.inf
    high: float = math.inf
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
        ends = ("at least", self.low), ("greater than", self.above), ("at most", self.high), ("less than", self.below)
        return " and ".join(f"{word} {end:.15g}" for word, end in ends if math.isfinite(end))

    def holds(self, value: Any) -> bool:
        """Whether a number lies in the domain."""
        return self.low <= value <= self.high and self.above < value < self.below


def option(default: Any, help: str, flag: str | None = None, **facts: Any) -> Any:
    """A dataclass field with its facts (those of `Facts`)."""
    return field(default=default, metadata={"facts": Facts(help, flag, **facts)})


def facts_of(settings: Any) -> list[tuple[Field[Any], Facts]]:
    """The fields of a dataclass (or of an object of one) that `option` made, in order."""
    return [(one, one.metadata["facts"]) for one in fields(settings) if "facts" in one.metadata]


def resolve(settings: Any, by_level: Mapping[str, Mapping[str, Any]]) -> None:
    """Put in place what None stands for at the settings' level; a level that there is not is left alone."""
    level = settings.level if isinstance(settings.level, str) else None
    for name, value in by_level.get(level or "", {}).items():
        if getattr(settings, name) is None:
            object.__setattr__(settings, name, value)  # settings may be frozen


def problems(settings: Any) -> list[str]:
    """One sentence for every field that is of another type than its annotation, or outside its domain."""
    kinds, known = get_type_hints(type(settings)), {one.name: facts for one, facts in facts_of(settings)}
    checked = (
        _problem(one, kinds[one.name], known.get(one.name, Facts("")), getattr(settings, one.name))
        for one in fields(settings)
        if one.init
    )
    return [problem for problem in checked if problem]


def _problem(one: Field[Any], kind: Any, facts: Facts, value: Any) -> str | None:
    optional = one.default is None or _fits(None, kind)
    if (value is None and optional) or (value is not None and value is one.metadata.get("const")):
        return None  # transformers' `const` stands for a flag without a value, whatever the annotation
    if _fits(value, kind) and (value in facts.choices if facts.choices else not facts.domain or facts.holds(value)):
        return None
    if facts.choices:
        return f"{one.name} is {_shown(value)}; use {facts.domain}"
    kinds = [word for of, word in _WORDS.items() if of in map(_plain, get_args(kind) or (kind,))] or ["left out"]
    wanted = ", ".join(filter(None, [" or ".join(kinds), facts.domain, "or None" if optional else ""]))
    meant = f" ({facts.help.rstrip('.')})" if facts.help else ""
    return f"{one.name} is {_shown(value)}; it must be {wanted}{meant}"


# How types are called; an int is a number, too, and a name stands for the members of an enumeration.
_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path", list: "a list",
    dict: "names with values",
}  # fmt: skip
_MOST = 2.0**63  # what no library counts beyond


def _plain(kind: Any) -> Any:
    return get_origin(kind) or kind


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type; of a type that is none of `_WORDS`, anything is."""
    plain, inner = _plain(kind), get_args(kind)
    if plain in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if plain in (int, float):
        number = isinstance(value, int | plain) and not isinstance(value, bool)
        return number and (-_MOST < value < _MOST if isinstance(value, int) else math.isfinite(value))
    if plain is str:
        text = str(value) if isinstance(value, str | Path) else "\0"
        return text == text.encode("utf-8", "replace").decode() and "\0" not in text
    if plain is list:
        return isinstance(value, list | tuple) and all(_fits(one, inner[0]) for one in value if inner)
    if plain is dict:
        whole = isinstance(value, Mapping)
        return whole and all(_fits(of, inner[0]) and _fits(one, inner[1]) for of, one in value.items() if inner)
    if plain is Path:
        return isinstance(value, str | Path)
    return plain is Any or not isinstance(plain, type) or isinstance(value, plain)


def _shown(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 200 else f"{told[:199]}…"
