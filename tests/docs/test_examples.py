"""Examples in the documentation and in the theory's docstrings give what they say they give."""

import doctest
import importlib
from pathlib import Path

import pytest

_DOCS = Path(__file__).parents[2] / "docs"
_PAGES = sorted(path for path in _DOCS.rglob("*.md") if ">>>" in path.read_text(encoding="utf-8"))
_MODULES = (
    "conditioning", "objective", "contraction", "lower_bound", "guarantees", "spectrum", "planning", "projection",
    "search_bounds", "answers", "certificates", "forecasting",
)  # fmt: skip


@pytest.mark.parametrize("page", _PAGES, ids=lambda path: str(path.relative_to(_DOCS)))
def test_a_page_shows_what_its_examples_give(page: Path) -> None:
    outcome = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("name", _MODULES)
def test_docstring_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"srlm.theory.{name}")).failed == 0


def test_every_section_of_the_theory_has_a_page_with_a_picture() -> None:
    pages = sorted(path for path in (_DOCS / "theory").glob("*.md") if path.name != "labels.md")
    assert len(pages) >= 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for part in ("**Statement", "**Meaning.**", f"![{''}", ">>>"):
            assert part in text, (page.name, part)
        picture = page.parent / text.split("](")[1].split(")")[0]
        assert picture.is_file(), picture
