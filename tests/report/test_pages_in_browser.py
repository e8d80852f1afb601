"""Every page that srlm writes, in a real browser: silent, within its edges, readable by all, its numbers recorded."""

import base64
import hashlib
import io
import json
import math
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.report.browser import Browser, needs_chromium
from tests.report.synthetic import answer_run, charts, response_run, written

from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import DiagnosisSettings, settings_for
from srlm.lm.subject import TINY_REASONER
from srlm.records.atomic import write_json
from srlm.records.run_directory import RunDirectory
from srlm.report.diagnosis_page import report_diagnoses
from srlm.report.experiment_page import write_experiments_page
from srlm.report.page import write_comparison, write_report
from srlm.report.reading import read_run
from srlm.simulation.experiments import run_experiment

pytestmark = needs_chromium
MakeRun = Callable[..., Path]
KINDS = ("run", "answers", "watched", "empty", "comparison", "diagnosis", "diagnosis of answers", "diagnoses",
         "experiments")  # fmt: skip
PICTURES = Path(__file__).parent / "pictures"
# axe-core 4.10.3 is under MPL 2.0 and 560 kB: it is fetched for the test, and not kept here.
AXE = "axe-core@4.10.3"
AXE_DIGEST = "Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg=="


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def pages(
    room: Path, make_run: MakeRun, make_answer_run: MakeRun, tiny_model_folder: Path
) -> dict[str, Callable[[], Path]]:
    """What writes each kind of page, once."""
    made: dict[str, Path] = {}
    asked = room / "prompts.jsonl"
    rows = [{"prompt": f"w{n} w{n + 1}", "answer": [f"w{n}", "w9"], "kind": "ab"[n % 2]} for n in range(6)]
    asked.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def once(name: str, write: Callable[[Path], Any]) -> Callable[[], Path]:
        def page() -> Path:
            if name not in made:
                made[name] = room / f"{name.replace(' ', '-')}.html"
                write(made[name])
            return made[name]

        return page

    def diagnosis(out: Path) -> None:
        found = diagnose(str(tiny_model_folder), str(asked), settings=DiagnosisSettings(max_new_tokens=2, samples=8))
        write_json(room / "tiny/diagnosis.json", found.as_dict())
        report_diagnoses([room / "tiny"], out)

    def of_answers(out: Path) -> None:
        found = diagnose(TINY_REASONER, limit=6, settings=settings_for(TINY_REASONER, {"rounds": 2}))
        write_json(room / "reasoner/diagnosis.json", found.as_dict())
        report_diagnoses([room / "reasoner"], out)

    def watched(out: Path) -> None:
        configuration = {"loss_type": "watched", "format": "trl", "beta": None}
        write_report(make_answer_run(room / "watched", configuration=configuration), out)

    def empty(out: Path) -> None:
        write_report(RunDirectory.create(room / "none", {"model": "toy"}, {}).path, out)

    def experiments(out: Path) -> None:
        write_experiments_page([run_experiment("hard-instance", {"trials": 50, "pairs": (50, 100)})], out)

    def several(out: Path) -> None:
        pages["diagnosis"]()
        report_diagnoses([room / "tiny", room / "tiny"], out)

    pages = {
        "run": once("run", lambda out: write_report(make_run(room / "run", slack=0.1), out)),
        "answers": once("answers", lambda out: write_report(make_answer_run(room / "answers", unread=0.1), out)),
        "watched": once("watched", watched),
        "empty": once("empty", empty),
        "comparison": once(
            "comparison",
            lambda out: write_comparison(
                [make_run(room / "one"), make_run(room / "two", move_modes=True, configuration={"seed": 1})], out
            ),
        ),
        "diagnosis": once("diagnosis", diagnosis),
        "diagnosis of answers": once("diagnosis of answers", of_answers),
        "diagnoses": once("diagnoses", several),
        "experiments": once("experiments", experiments),
    }
    return pages


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_draws_all_its_figures_in_silence_and_within_its_edges(
    browser: Browser, pages: dict[str, Callable[[], Path]], kind: str
) -> None:
    page = pages[kind]()
    assert page.stat().st_size < 1_000_000
    for width, theme in ((1280, "light"), (390, "dark")):
        seconds = browser.open(page, width=width, theme=theme)
        print(f"{kind}: {page.stat().st_size / 1e3:.0f} kB, open after {seconds:.2f} s")
        figures, drawn = browser.all("figure[data-chart]"), browser.all("figure[data-chart] svg.chart")
        assert len(figures) == len(drawn)
        assert drawn or kind == "empty"
        assert browser.run("document.documentElement.scrollWidth") <= width
        attributes = " ".join(browser.all("svg *", "[...one.attributes].map(({value}) => value).join(' ')"))
        assert not re.search("NaN|undefined|Infinity", attributes)
        assert not re.search(r"\bNaN\b|\bundefined\b|\bnull\b", browser.text("main"))
        assert browser.said == []
        assert len(browser.asked) == 1
        for link in browser.all("main a[href^='#']:not([href*='='])", "one.getAttribute('href').slice(1)"):
            assert browser.run(f"document.getElementById({json.dumps(link)}) !== null"), link


def test_every_number_of_a_prompt_is_in_the_records(
    browser: Browser, pages: dict[str, Callable[[], Path]], room: Path
) -> None:
    seen = 0
    for kind in ("run", "answers"):
        page, folder = pages[kind](), room / kind
        prompts = {one.id: one for one in read_run(folder).prompts}
        for number, round_ in ((0, 0), (3, 2), (7, 1), (13, 2)):
            browser.open(page, f"#prompt={number}&round={round_}")
            for path, value in browser.all("#view [data-path]", "[one.dataset.path, one.dataset.value]"):
                file, _, pointer = path.partition("#")
                at, _, column = pointer.partition("/")
                assert int(at) == number
                assert f"rounds/{round_:02d}/" in file
                rows = pq.read_table(folder / file).to_pylist()
                mine = [one for one in rows if one["prompt_id"] == number]
                column, _, item = column.partition(":")
                text = item and prompts[number].items[int(item)].text
                if column == "answer":
                    assert int(value) == sum(one["answer"] == text for one in mine)
                elif column == "logprob":
                    modes = pq.read_table(folder / f"rounds/{round_:02d}/modes.parquet").to_pylist()[number]
                    kept = [*mine, *modes["best"]]
                    known = [one["logprob"] for one in kept if one.get("response", one.get("text")) == text]
                    assert float(value) == pytest.approx(known[0], rel=1e-5)
                elif column in ("lower", "upper"):
                    assert float(value) == getattr(prompts[number].rounds[round_], column)
                else:
                    assert float(value) == pytest.approx(mine[0][column], rel=1e-5)
                seen += 1
    assert seen >= 25


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, from npm."""
    room, npm = tmp_path_factory.mktemp("axe"), shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here, so axe-core cannot be fetched")
    try:
        subprocess.run([npm, "pack", AXE, "--silent"], cwd=room, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("axe-core cannot be fetched from npm here")
    (archive,) = room.glob("*.tgz")
    assert base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() == AXE_DIGEST
    with tarfile.open(archive) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(browser: Browser, pages: dict[str, Callable[[], Path]], axe: str, kind: str) -> None:
    page = pages[kind]()
    for width, theme in ((1280, "light"), (390, "dark")):
        browser.open(page, width=width, theme=theme)
        browser.run(axe)
        found = browser.run("axe.run(document, {resultTypes: ['violations']}).then((of) => of.violations)")
        grave = [
            (one["id"], node["html"][:200], node["failureSummary"][:300])
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        assert grave == [], theme


def _small(png: bytes, step: int = 10) -> np.ndarray:
    """Grey means of blocks of `step` pixels: what is left of a picture when letters are not told apart."""
    grey = matplotlib.image.imread(io.BytesIO(png))[..., :3].mean(axis=2)
    rows, columns = (size // step * step for size in grey.shape)
    return grey[:rows, :columns].reshape(rows // step, step, columns // step, step).mean(axis=(1, 3))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("what", ["responses", "answers"])
def test_pages_look_as_they_did(browser: Browser, room: Path, what: str, width: int, theme: str) -> None:
    """Against small pictures kept beside this file, coarse enough for other fonts; where a change of the look is meant,
    delete those of the old look and run this once.
    """
    page = room / "look.html"
    if not page.is_file():
        written(page, [response_run(), answer_run()], charts())
    browser.open(page, f"#run={what}&prompt=3&round=2", width=width, theme=theme)
    browser.run("document.querySelector('#view').scrollIntoView()")
    now = _small(browser.screenshot())
    kept = PICTURES / f"{what}-{width}-{theme}.png"
    if not kept.is_file():
        PICTURES.mkdir(exist_ok=True)
        matplotlib.image.imsave(kept, now, cmap="gray", vmin=0, vmax=1)
        pytest.fail(f"{kept} was not there; it is now: look at it, and keep it")
    then = matplotlib.image.imread(kept)[..., 0]
    assert now.shape == then.shape
    assert float(np.abs(now - then).mean()) < 0.035
    assert math.isclose(float(now.mean()), float(then.mean()), abs_tol=0.03)
