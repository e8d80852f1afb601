"""Numbers that know where they are from, and texts that keep it until a page is drawn.

Knows: a record's numbers are numbered by JSON pointers into the file that holds it; a written number carries its mark
through sentences in characters for private use, which no text of a model or user holds (`records.text.visible`), and
becomes a `<data>` element at the end. Numbers that are computed from others carry none. Refuses to know: formats.
"""

import re
from typing import Any, TypeVar

from markupsafe import Markup, escape

from srlm.records.bracket import Record
from srlm.records.rounds import RoundRecord
from srlm.records.text import visible

_OPEN, _BAR, _CLOSE = "\ue000", "\ue001", "\ue002"
_MARK = re.compile(f"{_OPEN}([^{_BAR}]*){_BAR}([^{_BAR}]*){_BAR}([^{_CLOSE}]*){_CLOSE}")
_Record = TypeVar("_Record", bound=Record)


class _Float(float):
    path = ""


class _Int(int):
    path = ""


def trace(record: _Record, where: str) -> _Record:
    """A record whose numbers know where they are from.

    Args:
        record: as it was read.
        where: its file, as seen from the folder of the records: "rounds/03/metrics.json".
    """
    return _traced(record, f"{where}#")


def _traced(value: Any, path: str) -> Any:
    if isinstance(value, Record):
        # Measurements of trained prompts lie at the top level (`RoundRecord.to_document`).
        top = "train" if isinstance(value, RoundRecord) else None
        parts = ((name, f"{path}{'' if name == top else f'/{name}'}") for name in type(value).model_fields)
        copy = value.model_copy(update={name: _traced(getattr(value, name), inside) for name, inside in parts})
        if copy.__pydantic_extra__:
            copy.__pydantic_extra__.update(_traced(copy.__pydantic_extra__, path))
        return copy
    if isinstance(value, dict):
        return {name: _traced(part, f"{path}/{_pointer(name)}") for name, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_traced(part, f"{path}/{at}") for at, part in enumerate(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    number = _Int(value) if isinstance(value, int) else _Float(value)
    number.path = path
    return number


def _pointer(name: Any) -> str:
    return visible(str(name), 80).replace("~", "~0").replace("/", "~1")


def path_of(value: Any) -> str:
    """Where a number is from; "" where it was computed."""
    return getattr(value, "path", "")


def marked(value: float | None, text: str) -> str:
    """The text of a number, with where the number is from, if it knows."""
    path = path_of(value)
    return f"{_OPEN}{path}{_BAR}{value!r}{_BAR}{text}{_CLOSE}" if path else text


def plain(text: str) -> str:
    """The text alone."""
    return _MARK.sub(r"\3", text)


def drawn(value: Any) -> Any:
    """What a template writes: marks as elements, the rest escaped; jinja calls it on everything that it writes."""
    if isinstance(value, _Int | _Float):
        value = marked(value, str(value))
    if not isinstance(value, str) or _OPEN not in value or isinstance(value, Markup):
        return value
    element = Markup('<data value="{}" data-path="{}">{}</data>')
    parts, end = [], 0
    for mark in _MARK.finditer(value):
        path, number, text = mark.groups()
        parts += [escape(value[end : mark.start()]), element.format(number, path, text)]
        end = mark.end()
    return Markup("").join([*parts, escape(value[end:])])
