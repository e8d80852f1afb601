"""The gallery: its page is what the script writes, its pictures are small, runs that are there are taken."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def gallery() -> Any:
    """docs/gallery.py."""
    spec = importlib.util.spec_from_file_location("gallery_script", ROOT / "docs" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gallery_script"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(gallery: Any) -> None:
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.text_of_page()


def test_pictures_are_small_and_belong_to_a_page(gallery: Any) -> None:
    for picture in gallery.SHOWN.glob("*.png"):
        assert picture.stem in [one.name for one in gallery.ENTRIES]
        assert picture.stat().st_size <= gallery.LARGEST


def test_a_finished_run_is_taken_and_an_unfinished_one_is_not(gallery: Any, tmp_path: Path, monkeypatch: Any) -> None:
    entry, calls = gallery.ENTRIES[0], []
    monkeypatch.setattr(gallery, "ROOT", tmp_path)
    monkeypatch.setattr(gallery, "MADE", tmp_path / "gallery")
    monkeypatch.setattr(gallery, "srlm", lambda *arguments: calls.append(arguments) or 0)
    (tmp_path / "demo").mkdir()
    record = tmp_path / "demo" / "run.json"
    record.write_text(json.dumps({"status": "running"}), encoding="utf-8")
    out = tmp_path / "gallery" / "default"
    assert gallery.folder_of(entry, {}) == out
    assert calls == [("run", "--out", str(out), "--resume")]
    record.write_text(json.dumps({"status": "finished"}), encoding="utf-8")
    assert gallery.folder_of(entry, {}) == tmp_path / "demo"
    monkeypatch.setattr(gallery, "srlm", lambda *arguments: 1)
    with pytest.raises(SystemExit, match="collapse: srlm ended with 1"):
        gallery.folder_of(next(one for one in gallery.ENTRIES if one.name == "collapse"), {})


def test_names_that_are_no_pages_are_refused(gallery: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["gallery.py", "nonsense=x"])
    with pytest.raises(SystemExit, match="no such pages: nonsense"):
        gallery.main()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_a_page_is_photographed(gallery: Any, tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text("<body style='margin:0;background:rgb(255,0,0)'>", encoding="utf-8")
    gallery.photograph(page, picture)
    from PIL import Image

    shown = Image.open(picture).convert("RGB")
    assert shown.size == (gallery.PICTURE, gallery.PICTURE * gallery.HEIGHT // gallery.WIDTH)
    assert shown.getpixel((5, 5)) == (255, 0, 0)
