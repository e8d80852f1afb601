"""The card: what it says, that it fits whatever it is given, and that its two pictures are one."""

import hashlib
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from srlm.errors import InputError
from srlm.report import card_drawing
from srlm.report.card import card_of, card_of_run, markdown, write_card
from srlm.report.card_drawing import Card, Chart, Ends, Fact
from srlm.report.reading import read_run

_HOSTILE = (
    "</svg><script>alert(1)</script> $\\frac{1}{0}$ & ]]> ![x](http://x.example) | "
    "\u202e\u0000\ud800 =1+1 中文 \U0001f600"
)
_LEDGER = {"kept": 30, "learned": 5, "corrupted": 2, "still_wrong": 11}


def _texts(card: Card, sentence: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, float, float]]:
    """(text, left, right, size) of every line drawn, in pixels as the renderer measures them."""
    drawn = []
    put = card_drawing._put

    def watched(figure: Any, text: str, x: float, y: float, size: float, *rest: Any, **more: Any) -> float:
        width = put(figure, text, x, y, size, *rest, **more)
        box = figure.artists[-1].get_window_extent(FigureCanvasAgg(figure).get_renderer())
        drawn.append((text, box.x0, box.x1, size))
        return width

    monkeypatch.setattr(card_drawing, "_put", watched)
    card_drawing.draw(card, sentence, "png")
    return drawn


def _card(model: str = "a model", value: str = "1 → 2") -> Card:
    facts = tuple(Fact(f"Fact {at}", value, "a note") for at in range(6))
    chart = Chart("Right samples", ((0, 0.3), (1, 0.8)), (Ends(0, 0.2, 0.3, 0.4), Ends(1, 0.7, 0.8, 0.9)), 0.85)
    return Card(model, "self-rewarding, 1 round", facts, chart, _LEDGER, "48 prompts")


def test_a_card_says_what_the_records_say(make_run: Callable[..., Path], tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"), False)
    card = card_of_run(run)
    facts = {fact.name: fact.value for fact in card.facts}
    base, last = (run.rounds[at].held_out for at in (0, -1))
    assert base is not None
    assert last is not None
    assert facts["κ"] == f"{base.kappa.upper:.3g} → {last.kappa.upper:.3g}"
    assert facts["Right samples"] == f"{100 * base.accuracy.sample:.0f}% → {100 * last.accuracy.sample:.0f}%"
    assert facts["Ceiling"] == f"{100 * base.accuracy.mode:.0f}%"
    fates = last.fates["mode"]
    assert facts["Corrupted"] == f"{fates['corrupted']} of {sum(fates.values())}"
    assert facts["Cost"] == "35 s"  # ten seconds a round, and five less where nothing was trained
    assert card.ledger == fates
    assert card.chart is not None
    assert card.chart.measured == [(one.round, one.held_out.accuracy.sample) for one in run.rounds]


def test_a_run_that_kept_an_earlier_round_shows_that_one(make_run: Callable[..., Path], tmp_path: Path) -> None:
    card = card_of_run(read_run(make_run(tmp_path / "run", exported=1), False))
    kappa = next(fact.value for fact in card.facts if fact.name == "κ")
    kept = read_run(tmp_path / "run", False).rounds[1].held_out
    assert kept is not None
    assert kappa.endswith(f"→ {kept.kappa.upper:.3g}")


def test_both_pictures_show_the_same(make_run: Callable[..., Path], tmp_path: Path) -> None:
    write_card(card_of(make_run(tmp_path / "run")), "κ fell from 2.65 to 1.44 in 3 rounds", tmp_path)
    with Image.open(tmp_path / "card.png") as picture:
        assert picture.size == (1200, 630)
        pixels = np.asarray(picture.convert("RGB"), dtype=float)
    svg = (tmp_path / "card.svg").read_text(encoding="utf-8")
    root = ET.fromstring(svg)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("1200pt", "630pt", "0 0 1200 630")
    assert "<text" not in svg  # letters are outlines: no font of the reader's machine stands in
    # The same figure was saved twice: every rectangle of the drawing has its colour at its middle in both.
    boxes = re.findall(
        r'<path d="M ([\d.]+) ([\d.]+) \nL ([\d.]+) [\d.]+ \nL [\d.]+ ([\d.]+) [^"]*" style="fill: (#\w+)', svg
    )
    shown = [one for one in boxes if float(one[2]) - float(one[0]) > 8]
    assert len(shown) >= 8
    for left, bottom, right, top, colour in shown:
        if abs(float(top) - float(bottom)) > 8:
            at = pixels[int((float(top) + float(bottom)) / 2), int((float(left) + float(right)) / 2)]
            assert np.abs(at - [int(colour[one : one + 2], 16) for one in (1, 3, 5)]).max() < 3 or colour == "#fdfdfb"


def test_the_same_records_give_the_same_bytes(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder, digests = make_run(tmp_path / "run"), set()
    for name in ("one", "two"):
        files = write_card(card_of(folder), "It helped", tmp_path / name)
        digests.add(tuple(hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files.values()))
    assert len(digests) == 1


@pytest.mark.parametrize("sentence", ["No", "a word " * 90, "W" * 400, _HOSTILE * 4, "κ fell", "∫" * 80], ids=range(6))
@pytest.mark.parametrize("model", ["m", "organisation/" + "long-model-name-" * 12, _HOSTILE], ids=range(3))
def test_every_text_fits_its_room(sentence: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _texts(_card(model, value="123,456,789,012 → 987,654,321,098"), sentence, monkeypatch)
    assert all(left >= 60 - 0.5 and right <= 1140.5 for _, left, right, _ in lines), lines
    facts = [one for one in lines if "→" in one[0] and one[1] < 700]
    assert len(facts) == 6
    assert all(right - left <= 195 for _, left, right, _ in facts)
    (model_line,) = (one for one in lines if one[2] < 1140 and one[1] > 130 and one[3] <= 19 and one[0] == model)
    assert model_line[1] > 150  # right of the name of the program


def test_hostile_text_stays_text(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", word=_HOSTILE.replace("\ud800", "").replace("\u0000", ""))
    write_card(card_of(folder), _HOSTILE, tmp_path)
    root = ET.fromstring((tmp_path / "card.svg").read_text(encoding="utf-8"))
    tags = {one.tag.rpartition("}")[2] for one in root.iter()}
    assert tags.isdisjoint({"script", "a", "image", "foreignObject"})
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "\\!\\[x\\]\\(http" in text
    assert "\u202e" not in text
    rows = [line for line in text.splitlines() if line.startswith("|") and "→" in line]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


def test_no_letter_is_missing_silently(recwarn: pytest.WarningsRecorder) -> None:
    picture = card_drawing.draw(_card("中文"), "中文 \U0001f600 κ", "png")
    assert not recwarn.list
    assert Image.open(io.BytesIO(picture)).size == (1200, 630)


def test_the_block_for_a_model_card_has_figures_and_rounds(
    make_answer_run: Callable[..., Path], tmp_path: Path
) -> None:
    run = read_run(make_answer_run(tmp_path / "run"), False)
    text = markdown(card_of_run(run), "It helped")
    assert not text.startswith("---")  # it goes into a card that has a head of its own
    assert "![It helped](card.png)" in text
    assert sum(line.startswith(("| 0 |", "| 1 |", "| 2 (this model) |")) for line in text.splitlines()) == 3


def test_without_a_complete_round_there_is_no_card(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    for manifest in folder.glob("rounds/*/metrics.manifest.json"):
        manifest.unlink()
    with pytest.raises(InputError, match="no complete round"):
        card_of(folder)
