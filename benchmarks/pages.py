"""How large pages are and how fast a browser opens them.

Usage: PYTHONPATH=. python benchmarks/pages.py [FOLDER ...]      Prints Markdown; the committed output is
benchmarks/results/pages.md. Folders are runs and diagnoses, drawn here afresh; of the first also a page beside itself
is drawn. Runs of 500 prompts, 10 rounds and 16 samples are made up. Needs Chromium; times are from the request to the
first picture after the script has run, the whole file read from a disk's cache.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.report.browser import Browser
from tests.report.synthetic import answer_run, response_run, written

from srlm.records.diagnosis import holds_diagnosis
from srlm.report.diagnosis_page import report_diagnoses
from srlm.report.explorer import fitting
from srlm.report.page import report

LOADS = 7


def pages(folders: list[Path], scratch: Path) -> Iterator[tuple[str, Path]]:
    """What a page is of, and the page."""
    for at, folder in enumerate(folders):
        target = scratch / f"{at}.html"
        (report_diagnoses if holds_diagnosis(folder) else report)([folder], target)
        yield folder.name, target
        if at == 0:
            report([folder, folder], scratch / "two.html")
            yield f"{folder.name}, twice side by side", scratch / "two.html"
    made = {
        "responses": response_run(prompts=500, rounds=10, sampled=16),
        "answers": answer_run(prompts=500, rounds=10, draws=16),
    }
    for name, one in made.items():
        yield f"{name}: 500 prompts, 10 rounds, 16 samples", written(scratch / f"{name}.html", fitting([one]))


def main() -> None:
    print("| page | kB | open after, seconds: min | median | max |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, page in pages([Path(one) for one in sys.argv[1:]], Path(folder)):
            with Browser(Path(folder) / f"profile-{page.stem}") as browser:
                seconds = sorted(browser.open(page) for _ in range(LOADS))
            times = " | ".join(f"{one:.2f}" for one in (seconds[0], median(seconds), seconds[-1]))
            print(f"| {name} | {page.stat().st_size / 1000:.0f} | {times} |", flush=True)


if __name__ == "__main__":
    main()
