"""The theory's pictures are what the library draws today."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from tests.docs.pages import ROOT

_PICTURES = ROOT / "docs" / "pictures"


@pytest.fixture(scope="module")
def draw() -> Any:
    """docs/pictures/draw.py."""
    spec = importlib.util.spec_from_file_location("draw_script", _PICTURES / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _curves(text: str) -> list[list[float]]:
    """The numbers of every path of a picture."""
    return [
        [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path)]
        for path in re.findall(r'<path[^>]* d="([^"]*)"', text)
    ]


def test_every_picture_is_drawn_by_the_script(draw: Any) -> None:
    names = {one.__name__.replace("_", "-") for one in draw.PICTURES}
    assert names == {path.stem for path in _PICTURES.glob("*.svg")}


@pytest.mark.parametrize("path", sorted(_PICTURES.glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_is_what_the_library_draws(path: Path, draw: Any, tmp_path: Path, monkeypatch: Any) -> None:
    kept = path.read_text(encoding="utf-8")
    if f"Matplotlib v{matplotlib.__version__}," not in kept:
        pytest.skip("drawn by another Matplotlib, which sets its letters otherwise")
    monkeypatch.setattr(draw, "_HERE", tmp_path)
    getattr(draw, path.stem.replace("-", "_"))()
    drawn = (tmp_path / path.name).read_text(encoding="utf-8")
    then, now = _curves(kept), _curves(drawn)
    assert len(then) == len(now)
    for one, other in zip(then, now, strict=True):
        assert other == pytest.approx(one, abs=0.5)  # of 460 points in width: what rounding moves nobody sees
