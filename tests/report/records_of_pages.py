"""Which numbers of a page are not those of its records: every `<data>` element, the charts, and what stands in prose.

Knows: how numbers are written, anew: no format of `srlm.report` is used. Refuses to know: how a page is made.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_NUMBER = re.compile(r"(?<![\w./^])[-+−]?(\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?)(?:×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?")
# Labels, levels, halves, and what sentences say for themselves ("beyond 10³⁰⁸", "1,000 steps").
CONSTANTS = {"0", "1", "2", "3", "00", "01", "50", "95", "10", "1,000", "1e308"}
_HIDDEN = ("script", "style", "pre", "code", "title")


class Page(HTMLParser):
    """The `<data>` elements of a page as (value, path, text), its prose outside them, and what its script reads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.marks: list[tuple[str, str, str]] = []
        self.prose: list[str] = []
        self.data: dict[str, Any] = {}
        self._in: list[tuple[str, dict[str, str | None]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("data", *_HIDDEN):
            self._in.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self._in and self._in[-1][0] == tag:
            self._in.pop()

    def handle_data(self, data: str) -> None:
        tag, attrs = self._in[-1] if self._in else ("", {})
        if tag == "data":
            self.marks.append((attrs["value"] or "", attrs["data-path"] or "", data))
            self.prose.append("\x00")
        elif tag == "script" and attrs.get("id") == "page":
            self.data = json.loads(data)
        elif tag not in _HIDDEN:
            self.prose.append(data)


def at(folder: Path, path: str) -> Any:
    """What stands in a record: "rounds/03/metrics.json#/kappa/upper"."""
    name, _, pointer = path.partition("#")
    value: Any = json.loads((folder / name).read_text(encoding="utf-8"))
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def reads(text: str, value: float) -> bool:
    """Whether a text writes a number: itself, in percent, or what it is the logarithm of, up to the last digit."""
    found = _NUMBER.search(text)
    if found is None:
        return text == "∞" and math.isinf(value)
    mantissa, power = found.group(1).replace(",", ""), Decimal(10) ** int((found.group(2) or "0").translate(_DIGITS))
    decimals = len(mantissa.partition(".")[2]) if "e" not in mantissa else 0
    shown, unit = Decimal(mantissa) * power, Decimal(10) ** -decimals * power
    if "e" not in mantissa and decimals == 0 and abs(shown) >= 1 and "," not in found.group(1):
        unit = max(unit, Decimal(10) ** (len(mantissa.lstrip("0")) - 3))  # three figures
    exact = abs(Decimal(repr(float(value))))
    same = [exact, 100 * exact]
    if abs(value) < 5000:
        grown = Decimal(repr(float(value))).exp()
        same += [grown, 100 * grown]
    return any(abs(one - shown) <= unit * Decimal("0.501") for one in same)


def numbers_of(document: Any) -> Iterator[float]:
    """Every number of a JSON document."""
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for one in document:
            yield from numbers_of(one)
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield document


def strings_of(document: Any) -> Iterator[str]:
    """Every text of a JSON document, names of fields too."""
    if isinstance(document, dict):
        for name, one in document.items():
            yield name
            yield from strings_of(one)
    elif isinstance(document, list):
        for one in document:
            yield from strings_of(one)
    elif isinstance(document, str):
        yield document


def strangers(page: Path, folder: Path, derived: Iterable[float] = ()) -> list[str]:
    """Numbers of a page that its records do not hold; none where all is well.

    Args:
        page: the HTML file.
        folder: of the records, from which paths in the page begin.
        derived: numbers that sentences compute from the records, computed here again.
    """
    shown, wrong = Page(page), []
    for value, path, text in shown.marks:
        held = at(folder, path)
        if held != json.loads(value) or not reads(text, held):
            wrong.append(f"{path} holds {held}, the page says {text} ({value})")
    documents = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.rglob("*.json"))]
    pool = sorted({*(one for document in documents for one in numbers_of(document)), *derived})
    said = " ".join(text for document in documents for text in strings_of(document))
    known = {match.group(1) for match in _NUMBER.finditer(said)} | CONSTANTS
    for year, _, day, hour, minute in re.findall(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)", said):
        known |= {year, day.lstrip("0"), hour, minute}
    for chart in shown.data.get("charts", []):
        wrong += _of_chart(chart, folder, pool)
    # Charts say the same in words, without marks; prompts stand in sentences as they are.
    prompts = [one["prompt"] for run in shown.data.get("runs", []) for one in run["prompts"]]
    known |= {match.group(1) for text in prompts for match in _NUMBER.finditer(text)}
    prose = " ".join(shown.prose)
    for match in _NUMBER.finditer(prose):
        if match.group(1) not in known and not any(reads(match.group(), one) for one in pool):
            wrong.append(f"nothing holds {prose[max(0, match.start() - 40) : match.end() + 20]!r}")
    return wrong


def _of_chart(chart: dict[str, Any], folder: Path, pool: list[float]) -> Iterator[str]:
    for line in chart["lines"]:
        paths = line.get("paths") or [""] * len(line["points"])
        for (_, y, *ends), path in zip(line["points"], paths, strict=True):
            if path and not math.isclose(y, at(folder, path), rel_tol=1e-5):
                yield f"{chart['key']}: {line['name']} has {y}, {path} holds {at(folder, path)}"
            for one in ends if path else [y, *ends]:
                if one is not None and not any(math.isclose(one, held, rel_tol=1e-5) for held in pool):
                    yield f"{chart['key']}: nothing holds {one} of {line['name']}"
