"""What pages have in common: texts cut to a length, rows and their filters, flat settings, the names of splits.

Knows: how much of a text a page shows. Refuses to know: what the rows are about.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from srlm.records.rounds import Split
from srlm.records.text import visible

NAMES: Mapping[Split, str] = {"train": "trained prompts", "held_out": "held-out prompts"}
MOST_ROWS = 400
_SHORT, _LONG = 140, 4000
_Row = TypeVar("_Row")


def cut(text: str | None, **beside: Any) -> dict[str, Any]:
    """A text as the templates show it: its beginning, the whole where it is longer, and what stands beside it."""
    shown = visible(text or "", _LONG)
    return {"short": visible(text or "", _SHORT), "whole": shown if len(shown) > _SHORT else None, **beside}


def flat(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as pairs of harmless texts, by name."""
    return {visible(str(name), 80): visible(str(value), 300) for name, value in sorted(values.items())}


def first_rows(rows: Sequence[_Row], matters: Callable[[_Row], Any]) -> list[_Row]:
    """At most `MOST_ROWS`: where there are more, those where something is the matter come first."""
    return list(rows) if len(rows) <= MOST_ROWS else sorted(rows, key=lambda one: not matters(one))[:MOST_ROWS]


def filters(rows: Sequence[Mapping[str, Any]], tags: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """(tag, button text, rows) of every filter that would show some rows but not all."""
    counts = Counter(tag for row in rows for tag in row["tags"])
    return [(tag, name, counts[tag]) for tag, name in tags if 0 < counts[tag] < len(rows)]
