"""Links of the documentation lead somewhere: files, their anchors, the navigation."""

import re
from pathlib import Path

import pytest
from tests.docs import pages


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    wrong = []
    for line, target in pages.links(page):
        path, _, anchor = target.partition("#")
        if re.match(r"https?://", target):
            continue
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and goal.suffix == ".md" and anchor not in pages.anchors(goal)):
            wrong.append(f"{pages.name(page)}:{line}: {target}")
    assert not wrong


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page() -> None:
    listed = re.findall(r": ([\w/-]+\.md)$", (pages.ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    there = [str(one.relative_to(pages.ROOT / "docs")) for one in (pages.ROOT / "docs").rglob("*.md")]
    assert sorted(listed) == sorted(there)


def test_what_pages_take_from_other_files_is_there() -> None:
    """A formatter that takes the line for Python would pull it apart, and mkdocs would show it as it stands."""
    for page in pages.PAGES:
        text = page.read_text(encoding="utf-8")
        for path, _, section in (one.partition(":") for one in re.findall(r'^--8<-- "([^"]+)"$', text, re.MULTILINE)):
            source = (pages.ROOT / path).read_text(encoding="utf-8")
            assert not section or f"--8<-- [start:{section}]" in source
        assert not re.search(r"--8 < --", text), page
