"""Builds the gallery: real pages of real runs under docs/gallery/, a small picture of each, and docs/gallery.md.

Usage: python docs/gallery.py [NAME[=FOLDER] ...]     (make gallery)

Builds the pages that are named, or all. A run that is there already is taken (FOLDER, or what `make demo` and `make
demo-answers` leave); what is missing is made under gallery/: the default run takes eight minutes, all others together
six. Pictures need Chromium; without it pages are built all the same. Pages are not committed, their pictures are.
"""

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHOWN, PAGE, MADE = ROOT / "docs" / "gallery", ROOT / "docs" / "gallery.md", ROOT / "gallery"
WIDTH, HEIGHT, PICTURE, COLOURS, LARGEST = 1200, 1500, 720, 64, 150_000  # pixels, pixels, pixels, -, bytes
TRAINED = MADE / "trl"  # what trl wrote, which the audit reads


@dataclass(frozen=True)
class Entry:
    """A page of the gallery.

    Attributes:
        name: of its files, and of its folder under gallery/.
        title, text: what one sees there.
        command: of srlm; {out} is its folder.
        others: where such a folder may be already, below the repository.
    """

    name: str
    title: str
    text: str
    command: str
    others: tuple[str, ...] = ()

    def arguments(self, out: Path) -> list[str]:
        return [word.format(out=out, trl=TRAINED) for word in self.command.split()]


ENTRIES = (
    Entry(
        "default",
        "The default run",
        "The embedded 135M model on the bundled questions, three rounds: modes proved by search, kappa from 50 to "
        "about 1.1, what was learned and what corrupted, the forecast made before training.",
        "run --out {out}",
        ("demo",),
    ),
    Entry(
        "foretold",
        "Before training",
        "A diagnosis at answer level: by how much training would help the tiny reasoner, and the prompts at which it "
        "would make it surer of a wrong answer.",
        "diagnose --model tiny-reasoner --out {out}",
        ("demo-answers-before",),
    ),
    Entry(
        "answers",
        "Answers, certified from draws",
        "The same reasoner trained for four rounds: single draws climb to the accuracy of the majorities, and stop "
        "there.",
        "run --model tiny-reasoner --out {out}",
        ("demo-answers",),
    ),
    Entry(
        "collapse",
        "A collapse",
        "The same reasoner with a reward that knows nothing and five times the learning rate. It goes wrong; the run "
        "says so and how it noticed, and keeps the model from before.",
        "run --model tiny-reasoner --limit 96 --rounds 3 --reward random --learning-rate 0.005 --out {out}",
    ),
    Entry(
        "audit",
        "Somebody else's run, audited",
        "A run of trl's GRPOTrainer on a tiny model, whose reward pays for wrong answers: 60 steps of completions as "
        "trl logs them, and what `srlm audit` makes of them.",
        "audit {trl} --out {out}",
    ),
)


def srlm(*arguments: str) -> int:
    """Runs the command as a user does; returns its exit code."""
    short = [one.removeprefix(f"{ROOT}/") for one in arguments]  # pages show their command
    print("srlm", *short, flush=True)
    return subprocess.run([Path(sys.executable).with_name("srlm"), *short], cwd=ROOT, check=False).returncode


def planted(folder: Path) -> None:
    """A real run of trl that goes wrong, with its tables of completions and the known answers in them."""
    sys.path.insert(0, str(ROOT))
    from tests.watching import real_runs

    def paid_for_errors(completions: list[str], solution: list[str], log_extra: Any, **_: Any) -> list[float]:
        log_extra("solution", list(solution))
        return real_runs.wrong(completions, solution)

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # trl tells every step, and tables
        warnings.simplefilter("ignore")
        real_runs.train(folder, paid_for_errors, steps=60, log_completions=True)


def finished(folder: Path) -> bool:
    """Whether what srlm writes into a folder last is there: a diagnosis, or a run's record that says how it ended."""
    if (folder / "diagnosis.json").is_file():
        return True
    record = folder / "run.json"
    return record.is_file() and json.loads(record.read_text(encoding="utf-8"))["status"] != "running"


def folder_of(entry: Entry, given: dict[str, Path | None]) -> Path:
    """Where the run of an entry is; makes it where there is none."""
    for folder in [given.get(entry.name), *(ROOT / one for one in entry.others)]:
        if folder is not None and finished(folder):
            return folder
    out = MADE / entry.name
    if not finished(out):
        if entry.name == "audit" and not (TRAINED / "completions").is_dir():
            planted(TRAINED)
        resumed = ["--resume"] if entry.command.startswith("run") else []
        if (code := srlm(*entry.arguments(out), *resumed)) not in (0, 3):  # 3: an audit with alarms
            raise SystemExit(f"{entry.name}: srlm ended with {code}")
    return out


def photograph(page: Path, picture: Path) -> None:
    """The top of a page as a PNG of at most 150 kB, by whichever Chromium there is."""
    from PIL import Image

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser is None:
        print(f"no Chromium: no picture of {page.name}")
        return
    with tempfile.TemporaryDirectory() as work:
        shot = Path(work) / "shot.png"
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
        waits = ["--virtual-time-budget=8000", f"--user-data-dir={work}/profile", f"--screenshot={shot}"]
        subprocess.run([browser, *options, *waits, page.as_uri()], check=True, capture_output=True, timeout=180)
        small = Image.open(shot).convert("RGB").resize((PICTURE, PICTURE * HEIGHT // WIDTH), Image.Resampling.LANCZOS)
    for colours in (COLOURS, COLOURS // 2, COLOURS // 4):
        held = io.BytesIO()
        small.quantize(colours).save(held, "PNG", optimize=True)
        if held.tell() <= LARGEST:
            break
    picture.write_bytes(held.getvalue())


def text_of_page() -> str:
    """docs/gallery.md: of every entry what it is, its command, and its picture where there is one."""
    parts = [
        "# Gallery\n",
        "Pages as `srlm` wrote them, each one file without a request to anywhere. `make gallery` builds them into "
        "`docs/gallery/` and takes the pictures; runs that `make demo` and `make demo-answers` left are taken as they "
        "are.\n",
    ]
    for entry in ENTRIES:
        command = " ".join(entry.arguments(Path(entry.name))).replace(str(TRAINED), "outputs/my-grpo-run")
        parts += [f"## {entry.title}\n{entry.text}\n"]
        mark = "" if entry.name == "audit" else "<!-- not run: minutes; make gallery runs it -->\n"
        parts += [f"{mark}```sh\nsrlm {command}\n```\n"]
        if (SHOWN / f"{entry.name}.png").is_file():
            parts.append(f"![{entry.title}: the top of its page](gallery/{entry.name}.png)\n")
    return "\n".join(parts)


def main() -> None:
    named = [one.partition("=") for one in sys.argv[1:]]
    given = {name: Path(folder).resolve() if folder else None for name, _, folder in named}
    names = [entry.name for entry in ENTRIES]
    if wrong := given.keys() - set(names):
        raise SystemExit(f"no such pages: {', '.join(sorted(wrong))}; there are {', '.join(names)}")
    SHOWN.mkdir(exist_ok=True)
    for entry in [one for one in ENTRIES if one.name in given or not given]:
        page = SHOWN / f"{entry.name}.html"
        if (code := srlm("report", str(folder_of(entry, given)), "--out", str(page))) != 0:
            raise SystemExit(f"{entry.name}: srlm report ended with {code}")
        photograph(page, SHOWN / f"{entry.name}.png")
        print(f"{page}: {page.stat().st_size / 1e3:.0f} kB")
    PAGE.write_text(text_of_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
