"""Every label resolves: what is cited stands in `theory.statements`, in the documentation and in `srlm verify`.

`python -m tests.theory.test_statements` writes docs/theory/labels.md anew.
"""

import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from srlm import theory
from srlm.theory.statements import STATEMENTS, Statement
from srlm.verification import verify

_ROOT = Path(__file__).parents[2]
_SRC, _DOCS = _ROOT / "src" / "srlm", _ROOT / "docs"
_LABELS = _DOCS / "theory" / "labels.md"
_OUTSIDE = r"theory\.md|(?<!\w)\[[WH]\]"  # what was cited before the specification stood in the documentation
_OTHER_PAPERS = r"arXiv (?!2601\.22513|2412\.01951)\d{4}\.\d{5}\)?, eq\. \d+"
_NUMBER = r"(?:[A-Z]\.)?\d+(?:\.\d+)?(?![\d.]*\d)"
_NUMBERED = (
    r"\b(theorem|lemma|corollary|corollarie|proposition|definition|assumption|section)s?"
    rf" ({_NUMBER}(?:(?:,? and |,? or |, ){_NUMBER})*)"
)
_PREFACE = """# Labels

What docstrings, records and pages cite. Equations, theorems, lemmas, corollaries, propositions, definitions and appendices are
those of S. Fu, Y. Wang, S. Hu, P. Wang, D. Tao, *Why Self-Rewarding Works: Theoretical Guarantees for Iterative Alignment of
Language Models*, [arXiv 2601.22513](https://arxiv.org/abs/2601.22513), which builds on A. Huang et al., *Self-Improvement in
Language Models: The Sharpening Mechanism*, [arXiv 2412.01951](https://arxiv.org/abs/2412.01951). P1, P2, ... are this project's
own results, each with its proof in a line; Care 1, ... say what must be said beside a result; sections are the pages here.
Identities, bounds and rates are checked by `srlm verify` under their label. The functions are those of `srlm.theory`, and
`srlm.theory.statements` holds this table.
"""  # noqa: E501
# Arithmetic and conversions that no statement is about.
_TOOLS = {"from_log", "log_mean_exp", "plan"}
_PROMISED = {name for name, _ in inspect.getmembers(theory, inspect.isfunction)}


def labels_in(text: str) -> Iterator[str]:
    """Every label that a text cites, in the spelling of `STATEMENTS` where it is one of them."""
    text = re.sub(r"\s+(?:# )?", " ", text)  # labels may be broken over lines, of comments too
    text = re.sub(_OTHER_PAPERS, "", text)
    yield from re.findall(r"\bP\d+\b", text)
    yield from (f"appendix {one}" for one in re.findall(r"\b[Aa]ppendix ([A-Z])\b", text))
    for first, last in re.findall(r"\b[Ee]qs?\. (\d+)(?:-(\d+))?", text):
        yield _equation(int(first), int(last or first))
    yield from re.findall(r"\bCare \d+", text)
    for name, numbers in re.findall(_NUMBERED, text, re.IGNORECASE):
        kind = name.lower().replace("corollarie", "corollary")
        yield from (f"{kind} {one}" for one in re.split(r",? and |,? or |, ", numbers))


def _equation(first: int, last: int) -> str:
    """The label whose range holds these equations, the narrowest of several."""
    for label in sorted(STATEMENTS, key=len):
        if found := re.fullmatch(r"eq\. (\d+)(?:-(\d+))?", label):
            low, high = int(found[1]), int(found[2] or found[1])
            if low <= first <= last <= high:
                return label
    return f"eq. {first}" if first == last else f"eq. {first}-{last}"


def _page(rows: dict[str, Statement]) -> str:
    """The labels as the documentation lists them."""
    lines = [_PREFACE, "| label | kind | what it says | functions |", "|---|---|---|---|"]
    for one in rows.values():
        sentence = re.sub(r"([|*])", r"\\\1", one.sentence)
        functions = ", ".join(f"`{name}`" for name in one.functions)
        page, anchor = one.anchor.split("#")
        lines.append(
            f'| <a id="{anchor}"></a>[{one.label}]({page}.md#{anchor}) | {one.kind} | {sentence} | {functions} |'
        )
    return "\n".join(lines) + "\n"


@cache
def _checked() -> tuple[str, ...]:
    return tuple(check.id for check in verify().checks)


def test_the_labels_page_lists_the_statements() -> None:
    assert _LABELS.read_text(encoding="utf-8") == _page(STATEMENTS), "run python -m tests.theory.test_statements"


@pytest.mark.parametrize("label", STATEMENTS)
def test_a_statement_has_its_place_in_the_documentation_its_functions_and_its_check(label: str) -> None:
    one = STATEMENTS[label]
    page, anchor = one.anchor.split("#")
    text = (_DOCS / "theory" / f"{page}.md").read_text(encoding="utf-8")
    assert text.count(f'<a id="{anchor}"></a>') == 1, one.anchor
    assert set(one.functions) <= _PROMISED
    if one.functions and one.kind in ("identity", "bound", "rate"):
        assert any(re.match(rf"{re.escape(label)}(?![\d.-]*\d)", check) for check in _checked()), label


def test_every_check_is_of_a_statement() -> None:
    for check in _checked():
        cited = list(labels_in(check))
        assert cited, check
        assert set(cited) <= STATEMENTS.keys(), check


def test_every_formula_states_something() -> None:
    stated = {name for one in STATEMENTS.values() for name in one.functions}
    assert _PROMISED - stated == _TOOLS


def _cited(path: Path) -> tuple[set[str], list[str]]:
    """(labels that a file cites, references to documents outside the repository)."""
    text = path.read_text(encoding="utf-8")
    return set(labels_in(text)), re.findall(_OUTSIDE, text)


@pytest.mark.parametrize("part", sorted(path.name for path in _SRC.iterdir() if path.name != "__pycache__"))
def test_every_citation_of_the_code_resolves(part: str) -> None:
    # The raw text of a file holds its docstrings, descriptions of fields, comments and sentences of pages alike.
    paths = [_SRC / part] if (_SRC / part).is_file() else sorted((_SRC / part).rglob("*"))
    wrong = {}
    for path in paths:
        if path.suffix in (".py", ".html", ".js", ".css"):
            labels, outside = _cited(path)
            if outside or labels - STATEMENTS.keys():
                wrong[str(path.relative_to(_SRC))] = (sorted(labels - STATEMENTS.keys()), outside)
    assert not wrong


@pytest.mark.parametrize("path", sorted([*_DOCS.rglob("*.md"), _ROOT / "README.md"]), ids=lambda path: path.name)
def test_every_citation_of_the_documentation_resolves(path: Path) -> None:
    labels, outside = _cited(path)
    assert labels <= STATEMENTS.keys()
    assert not outside


def test_labels_are_read_as_people_write_them() -> None:
    text = """Corollaries 6.4, G.5 and G.6; sections 1 and 2, Lemma
    # C.1, eq. 59, eq. 12-14 and Eq. 66 (P3 to P5), appendix D, theorem 5.3. Not this:
    arXiv 2305.18290, eq. 17."""
    expected = {"corollary 6.4", "corollary G.5", "corollary G.6", "section 1", "section 2", "lemma C.1", "eq. 59-66"}
    assert set(labels_in(text)) == expected | {"eq. 12-14", "P3", "P5", "appendix D", "theorem 5.3"}
    assert set(labels_in("eq. 9999, eq. 50-60, section 6.4")) == {"eq. 9999", "eq. 50-60", "section 6.4"}


if __name__ == "__main__":
    _LABELS.write_text(_page(STATEMENTS), encoding="utf-8")
