"""Commands and code of the documentation: read by the parser, and run, unless a block says what it needs."""

import re
import subprocess
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.docs import pages
from tests.docs.pages import Block

from srlm.cli import _app, main

# What is not run, and why: a new entry needs a reason that no test machine can meet.
_NOT_RUN = {
    ("docs/audit.md", "jq"): 1,
    ("docs/audit.md", "a run that writes"): 1,
    ("docs/diagnosis.md", "a cluster"): 1,
    ("docs/endpoints.md", "a server"): 1,
    ("docs/gallery.md", "minutes; make gallery runs it"): 4,
    ("docs/helps.md", "make demo-answers"): 1,
    ("docs/pages.md", "a run that works"): 1,
    ("docs/scaling.md", "GPUs"): 3,
}
_SHELL, _PYTHON = pages.blocks("sh"), pages.blocks("python")
# Alarms are an answer of audit, not a mistake of the page.
_GOOD = {"audit": {0, 3}}
_RUN: set[tuple[str, ...]] = set()


def by_page(*found: Block) -> list[Any]:
    """Blocks that one test runs one after the other, as a reader does: those of a page."""
    of: dict[str, list[Block]] = defaultdict(list)
    for one in found:
        of[pages.name(one.page)].append(one)
    return [pytest.param(blocks, id=page) for page, blocks in of.items()]


def test_what_is_not_run_is_counted() -> None:
    assert Counter((pages.name(one.page), one.why) for one in [*_SHELL, *_PYTHON] if one.mark == "not run") == _NOT_RUN


def test_commands_stand_in_fences() -> None:
    for page in pages.PAGES:
        bare = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"^ {4,}(?:srlm|pip|make|python) .*$", bare, flags=re.MULTILINE), page


@pytest.mark.parametrize("block", _SHELL, ids=str)
def test_a_block_of_commands_is_one_that_can_be_typed(block: Block) -> None:
    """Every block is shell; every `srlm` line is understood; every extra and every target exists."""
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for arguments in block.of_srlm:
        group = typer.main.get_command(_app.app)
        context = group.make_context("srlm", list(arguments), resilient_parsing=False)
        command = group.get_command(context, arguments[0])  # pyright: ignore[reportAttributeAccessIssue]
        assert command is not None, arguments
        command.make_context(arguments[0], arguments[1:], parent=context)
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = re.findall(r"^([\w-]+):", (pages.ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for words in block.commands:
        if words[:2] == ["pip", "install"]:
            for extras in re.findall(r"^(?:srlm|\.)\[([\w,]+)\]$", "\n".join(words), flags=re.MULTILINE):
                assert set(extras.split(",")) <= project["optional-dependencies"].keys(), words
        elif words[0] == "make":
            assert words[1] in targets, words
        elif not block.mark:
            assert Path(words[0]).name == "srlm", f"{block}: say above it what `{words[0]}` needs"


def _call(arguments: list[str]) -> None:
    assert main.run(arguments) in _GOOD.get(arguments[0], {0}), arguments


@pytest.mark.usefixtures("workbench")
@pytest.mark.parametrize("blocks", by_page(*(one for one in _SHELL if not one.mark and one.of_srlm)))
def test_the_commands_of_a_page_run(blocks: list[Block]) -> None:
    for block in blocks:
        for arguments in block.of_srlm:
            _call(arguments)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("workbench")
@pytest.mark.parametrize("blocks", by_page(*(one for one in _SHELL if one.mark == "slow")))
def test_the_long_commands_of_a_page_run(blocks: list[Block]) -> None:
    for block in blocks:
        for arguments in block.of_srlm:
            what = tuple(arguments[: arguments.index("--out")] if "--out" in arguments else arguments)
            if what not in _RUN:  # pages that show the same command share its minutes
                _RUN.add(what)
                _call(arguments)


# What trl and transformers say of themselves while they start.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("blocks", by_page(*(one for one in _PYTHON if not one.mark)))
def test_the_python_of_a_page_runs(blocks: list[Block], named: Callable[[str], dict[str, Any]]) -> None:
    space = named(pages.name(blocks[0].page))
    for block in blocks:
        exec(compile(block.text, str(block), "exec"), space)
