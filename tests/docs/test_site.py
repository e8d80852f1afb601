"""The site: built strictly, with the tables of benchmarks in it; a reader's browser fetches nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

import srlm

pytest.importorskip("mkdocs", reason="mkdocs is not installed; it comes with `make docs` (the extra docs)")
pytest.importorskip("mkdocstrings_handlers.python", reason="mkdocstrings is not installed (the extra docs)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-2000:]
    return folder


def test_tables_of_benchmarks_are_pages_that_others_link_to(site: Path) -> None:
    for table in (ROOT / "benchmarks" / "results").glob("*.md"):
        assert (site / "results" / table.stem / "index.html").is_file()
    assert 'href="../results/quality/"' in (site / "claims" / "index.html").read_text(encoding="utf-8")


def test_a_reader_s_browser_fetches_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("index.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(
            r'<(?:script|img|iframe|link rel="(?:stylesheet|preconnect)")[^>]*"(https?://[^"]*)"', text
        )
        assert not fetched, (page, fetched)


def test_the_round_in_thirty_lines_shows_the_code(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "rounds" / "index.html").read_text(encoding="utf-8"))
    assert "class " in text
    assert "def fit" in text


def test_the_reference_has_every_name_that_the_package_promises(site: Path) -> None:
    text = (site / "reference" / "index.html").read_text(encoding="utf-8")
    for name, module in srlm._PUBLIC.items():
        assert re.search(rf'href="#{module}.{name}"[^>]*><code>srlm.{name}</code>', text), name
        assert f'id="{module}.{name}"' in text, name
