"""The Makefile's long commands as a user gives them: the demo, and the documentation built strictly."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_ROOT = Path(__file__).parents[2]


def _make_demo(out: Path) -> str:
    # A make within a make would take over the flags of the outer one.
    surroundings = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    ended = subprocess.run(
        ["make", "demo", f"OUT={out}"], cwd=_ROOT, env=surroundings, stdout=subprocess.PIPE, text=True, check=True
    )
    return ended.stdout


def test_the_demo_draws_its_page_once_and_kappa_falls(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    assert f"Open {out / 'report.html'} in a browser" in _make_demo(out)
    assert "kappa" in (out / "report.html").read_text(encoding="utf-8")
    kappa = [json.loads(path.read_text())["kappa"] for path in sorted((out / "rounds").glob("*/metrics.json"))]
    assert len(kappa) == 4
    # The brackets do not touch: what is proved of the last round lies below what is proved of the base model.
    assert kappa[-1]["upper"] < kappa[0]["lower"]

    written = {path: path.stat().st_mtime_ns for path in [*out.rglob("*"), _ROOT / ".venv" / ".run"]}
    assert _make_demo(out).startswith("Open ")
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    subprocess.run(command, cwd=_ROOT, check=True)
    assert (tmp_path / "site" / "index.html").is_file()


def test_the_tiny_reasoner_reaches_its_ceiling(tmp_path: Path) -> None:
    out = tmp_path / "answers"
    command = [Path(sys.executable).with_name("srlm"), "run", "--model", "tiny-reasoner", "--out", out]
    subprocess.run(command, cwd=_ROOT, check=True)
    held = [json.loads(path.read_text())["held_out"] for path in sorted((out / "rounds").glob("*/metrics.json"))]
    right = [one["accuracy"]["sample"] for one in held]
    assert len(right) == 5
    assert right[-1] >= right[0] + 0.1
    assert right[-1] >= held[0]["accuracy"]["mode"] - 0.05  # the majorities before training: the ceiling
    assert min(right) >= right[0] - 0.02
