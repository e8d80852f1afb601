"""The documentation as tests read it: pages, their fenced blocks, the commands in these, their links.

A comment on the line before a fence says what a test may do with the block:

    <!-- not run: a GPU -->     needs what is named; its commands are only read by the command line's parser
    <!-- slow -->              takes minutes: run by `make test-slow`

Every other block of shell commands or Python is run by the tests.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run|slow)(?:: (?P<why>[^>]+?))? -->\n+)?^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def name(page: Path) -> str:
    """A page as it is written in the lists of the tests."""
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: where it stands.
        line: of its fence, from 1.
        language: as written after the fence.
        text: without the fences.
        mark: "not run", "slow" or "".
        why: what a block that is not run needs.
    """

    page: Path
    line: int
    language: str
    text: str = field(repr=False)
    mark: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The commands of a block of shell, each as its words; comments, redirections and variables left out."""
        found = []
        for line in self.text.replace("\\\n", " ").splitlines():
            read = shlex.shlex(re.sub(r"\$\([^)]*\)", "substituted", line), posix=True, punctuation_chars="|;&")
            read.whitespace_split = True
            words: list[str] = []
            for word in [*read, ";"]:
                if word.strip("|;&"):
                    # A variable before a command is for it alone.
                    words += [] if not words and re.fullmatch(r"\w+=\S*", word) else [word]
                else:
                    found += [words] if words else []
                    words = []
        return found

    @property
    def of_srlm(self) -> list[list[str]]:
        """The arguments of every call of `srlm` in it."""
        found = []
        for words in self.commands:
            at = [n for n, word in enumerate(words) if Path(word).name == "srlm"]
            found += [words[at[0] + 1 :]] if at else []
        return found


def blocks(language: str) -> list[Block]:
    """The fenced blocks of one language on all pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for one in _FENCE.finditer(text):
            if one["language"] == language:
                line = text.count("\n", 0, one.start("language")) + 1
                found.append(Block(page, line, language, one["text"], one["mark"] or "", one["why"] or ""))
    return found


def links(page: Path) -> list[tuple[int, str]]:
    """(line, target) of every link and picture of a page that is no example in a block."""
    text = page.read_text(encoding="utf-8")
    bare = re.sub(r"^```.*?^```$", lambda one: "\n" * one[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    bare = re.sub(r"`[^`\n]*`", "", bare)
    return [(bare.count("\n", 0, one.start()) + 1, one[1]) for one in re.finditer(r"\]\(([^)\s]+)\)", bare)]


def anchors(page: Path) -> set[str]:
    """What may stand after # in a link to the page: headings as mkdocs and GitHub spell them, and named places."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = set(re.findall(r'<a id="([^"]+)"', text))
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        found.add(re.sub(r"[\s]+", "-", plain))
    return found
