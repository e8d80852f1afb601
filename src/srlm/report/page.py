"""Pages: one run, or several side by side, each a single HTML file that needs nothing but a browser.

Knows: the templates. Whatever a model or a user wrote goes through `visible` and jinja's escaping; charts and texts
come from the modules beside this one, and numbers in them say where they are from (`traced`). No request leaves the
page. Refuses to know: models.
"""

import hashlib
import json
import shlex
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from srlm.errors import InputError
from srlm.records.atomic import write_text
from srlm.records.rounds import SPLITS
from srlm.records.text import visible
from srlm.report import (
    charts,
    findings,
    forecasts,
    numbers,
    paired,
    promises,
    traced,
    updates,
    verdict,
)
from srlm.report._pieces import NAMES, flat
from srlm.report.explorer import runs_of
from srlm.report.payload import Chart, Page, Run
from srlm.report.reading import RunView, read_run

# Parts of the one script, in this order.
_SCRIPTS = ("base", "theory", "chart", "explorer", "prompt", "page")


def report(run_folders: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
    """Draw the page of one run or of several, and say in JSON values what it says.

    Args:
        run_folders: one or more run folders.
        out: the HTML file; may be left out for one run.

    Returns:
        `report` (the file), and `runs`: for each its folder, status, complete rounds, headline, and the verdicts on
        the theory; of several `paired`: the first beside every other at the prompts that both have.

    Raises:
        InputError: as for `write_report`; several runs and no `out`; no run at all.
        OSError: as for `write_report`.
    """
    if not run_folders:
        raise InputError("no run was given; name at least one folder that `srlm run --out` wrote")
    if len(run_folders) > 1 and out is None:
        raise InputError("several runs have no folder of their own to put a page in; give --out FILE.html")
    if out is None or len(run_folders) == 1:
        page = write_report(run_folders[0], out)
    else:
        page = write_comparison(run_folders, out)
    summary = {"report": str(page), "runs": [_summary(folder) for folder in run_folders]}
    if len(run_folders) > 1:
        summary["paired"] = [one.to_document() for one in paired.pairs(_named(run_folders))]
    return summary


def _summary(folder: Path) -> dict[str, Any]:
    run = read_run(folder, prompts=False)
    return {
        "run": str(folder),
        "status": run.record.status,
        "rounds": [one.round for one in run.rounds],
        "headline": verdict.headline(run),
        "theory": [asdict(one) for one in promises.promise_texts(run)],
        "splits": {
            split: {"first": series[0][1].model_dump(mode="json"), "last": series[-1][1].model_dump(mode="json")}
            for split in SPLITS
            if (series := run.split(split))
        },
    }


def write_report(run_folder: Path, out: Path | None = None) -> Path:
    """Draw the page of one run, finished or not.

    Args:
        run_folder: what `srlm run --out` wrote.
        out: the HTML file; by default `report.html` in the run's folder.

    Returns:
        The file written.

    Raises:
        InputError: no run there, damaged records, or `out` is a folder.
        OSError: the file cannot be written; an older page stays as it was.
    """
    target = html_target(out or run_folder / "report.html")
    run = read_run(run_folder, traced="")
    shown = runs_of([(names_of([run_folder])[0], run)])
    forecast, figures = charts.forecast_charts(run, shown[0].stop), charts.run_charts(run)
    command = command_of("report", [run_folder])
    context = {
        "title": f"{visible(str(run.record.configuration.get('model', 'a model')), 60)}: "
        + ("another trainer’s run" if run.watched else "self-rewarding run"),
        "run": run,
        "names": NAMES,
        "headline": verdict.headline(run),
        "standfirst": verdict.standfirst(run),
        "chips": verdict.chips(run),
        "points": findings.points(run),
        "forecast_figures": forecast,
        "forecast_headers": forecasts.headers(run),
        "forecasts": [(split, told) for split in SPLITS if (told := forecasts.rows(run, split))],
        "figures": figures,
        "tables": [(split, *findings.table(run, split)) for split in SPLITS],
        "updates": updates.rows(run),
        "update_words": updates.words(run),
        "promises": promises.promise_texts(run),
        "alarms": findings.alarms(run),
        "troubles": findings.troubles(run),
        "caveats": findings.caveats(run),
        "configuration": flat(run.record.configuration | _chosen(run)),
    }
    return render("run.html", target, context, command, [*forecast, *figures], shown)


def _chosen(run: RunView) -> dict[str, Any]:
    """Settings that were left to the run, as it chose them."""
    unset = run.of_answers and run.record.configuration.get("beta") is None and run.beta is not None
    return {"beta": f"{numbers.number(run.beta)}, chosen from the draws of round 0"} if unset else {}


def write_comparison(run_folders: Sequence[Path], out: Path) -> Path:
    """Draw several runs side by side.

    Args:
        run_folders: two or more run folders.
        out: the HTML file.

    Raises:
        InputError, OSError: as for `write_report`.
    """
    target, command = html_target(out), command_of("report", run_folders, out)
    runs = _named(run_folders, traced=True)
    if len({run.of_answers for _, run in runs}) > 1:
        told = ", ".join(f"{name} at level {'answer' if run.of_answers else 'response'}" for name, run in runs)
        raise InputError(f"{told}: κ of responses and κ_A of answers cannot be compared; compare runs of one level")
    figures, tested = charts.comparison_charts(runs), paired.pairs(runs)
    settings = {name: flat(run.record.configuration | _chosen(run)) for name, run in runs}
    fields = sorted({field for one in settings.values() for field in one})
    differing = [field for field in fields if len({one.get(field, "") for one in settings.values()}) > 1]
    differences = [(field, *(settings[name].get(field, "–") for name, _ in runs)) for field in differing]
    context = {
        "title": f"{len(runs)} self-rewarding runs side by side",
        "over": "self-rewarding runs",
        "headline": paired.headline(runs, tested),
        "headers": ["Run", "In a sentence", "Samples right, trained", "Samples right, held out", "Theory"],
        "rows": [_compared(name, run) for name, run in runs],
        "css": "compared",
        "said_title": "At the same prompts",
        "said": [f"{one.sentence[0].upper()}{one.sentence[1:]}." for one in tested],
        "notes": [],
        "figures": figures,
        "runs_shown": True,
        "differences": (["Setting", *(name for name, _ in runs)], differences) if differences else [],
        "footer": f"Drawn by srlm from the records of {', '.join(f'{name}/' for name, _ in runs)}.",
    }
    return render("comparison.html", target, context, command, figures, runs_of(runs))


def _compared(name: str, run: RunView) -> tuple[str, ...]:
    """A run's row: its sentence, right samples of both splits, and what came of the theory."""
    update = run.rounds[run.now].projection if run.rounds else None
    said = [verdict.headline(run)]
    said += [f"τ {numbers.mass(update.tau)}"] if update and update.tau is not None else []
    told = "; ".join(said) + "".join(f". This is {control}" for control in run.controls)
    right = []
    for split in SPLITS:
        ends = [one for _, one in run.shown(split) if one.accuracy.sample is not None]
        shares = [numbers.measured(one, "sample_accuracy") for one in (*ends[:1], *ends[-1:])]
        right.append(numbers.went(*shares) if shares else "–")
    status = "" if run.record.status == "done" else f" ({run.record.status})"
    return f"{name}{status}", told, *right, promises.theory_sentence(run) or "–"


def _named(folders: Sequence[Path], traced: bool = False) -> list[tuple[str, RunView]]:
    named = zip(names_of(folders), folders, strict=True)
    return [(name, read_run(folder, traced=f"{name}/" if traced else None)) for name, folder in named]


def command_of(command: str, folders: Sequence[Path], out: Path | None = None) -> str:
    """A line for a shell that makes a page again."""
    told = ["srlm", command, *map(str, folders), *([] if out is None else ["--out", str(out)])]
    return visible(shlex.join(told), 2000)


def names_of(folders: Sequence[Path]) -> list[str]:
    """Short names that tell folders apart: the last part of each path, or the whole path where that is not enough."""
    last = [visible(folder.resolve().name) for folder in folders]
    counts = Counter(last)
    whole = [visible(str(folder)) for folder in folders]
    named = [name if counts[name] == 1 else path for name, path in zip(last, whole, strict=True)]
    seen: Counter[str] = Counter()
    for at, name in enumerate(named):
        seen[name] += 1
        if seen[name] > 1:
            named[at] = f"{name} ({seen[name]})"
    return named


def html_target(out: Path) -> Path:
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give the name of an HTML file, for example {out / 'report.html'}")
    return out


def render(
    template: str, target: Path, context: dict[str, Any], command: str, drawn: Sequence[Chart], runs: Sequence[Run] = ()
) -> Path:
    """Write one self-contained page.

    Args:
        template: a file in `templates`, which says what its context is.
        target: the HTML file.
        context: what the template says; untrusted text passes through `visible` there or before.
        command: a line that makes the page again; "" where there is none.
        drawn: charts; the template gives each a place by its key.
        runs: what the script lets a reader open.
    """
    environment = Environment(
        loader=PackageLoader("srlm.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=traced.drawn,
    )
    environment.filters |= {
        "visible": visible,
        "moment": _moment,
        "kappa": numbers.kappa,
        "share": numbers.share,
        "share_bracket": numbers.share_bracket,
        "number": numbers.number,
    }
    room = files("srlm.report") / "templates"
    script = "\n".join((room / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template(template).render(
        style=Markup((room / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=f"'sha256-{digest}'",
        command=command,
        commands=[("This page again", command)] if command else [],
        page=Markup(_embedded(Page(runs=list(runs), charts=list(drawn)))),
        **context,
    )
    write_text(target, page)
    return target


def _embedded(page: Page) -> str:
    """JSON that can stand in a script element."""
    document = page.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate({ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"})


def _moment(value: str) -> str:
    try:
        return datetime.fromisoformat(value).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    except ValueError:
        return visible(value, 40)
