"""Pages: one run, or several side by side, each a single HTML file that needs nothing but a browser.

Knows: the templates. Whatever a model or a user wrote goes through `visible` and jinja's escaping; figures and texts
come from the modules beside this one. No request leaves the page: plotly.js is in it. Refuses to know: models.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from srlm.errors import InputError
from srlm.measure.fates import FATES, fates, moved
from srlm.records.atomic import write_text
from srlm.records.responses import Response
from srlm.records.rounds import SPLITS
from srlm.records.text import visible
from srlm.report import (
    answer_figures,
    answer_findings,
    findings,
    forecasts,
    majorities,
    numbers,
    paired,
    promises,
    updates,
)
from srlm.report._pieces import MOST_ROWS, NAMES, cut, filters, first_rows, flat
from srlm.report.figures import comparison_figures, run_figures
from srlm.report.reading import Answer, RunView, read_run

_TAGS = (
    *((fate, fate.replace("_", " ")) for fate in FATES),
    ("changed", "answer changed"),
    ("moved", "mode moved"),
    ("held_out", "held out"),
    ("train", "trained"),
)
_ANSWER_TAGS = (
    *_TAGS[: len(FATES)],
    ("moved", "majority changed"),
    ("certain", "majority certain"),
    *_TAGS[-2:],
)


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


def _words(run: RunView) -> ModuleType:
    """What says a run in words, at its level."""
    return answer_findings if run.of_answers else findings


def _summary(folder: Path) -> dict[str, Any]:
    run = read_run(folder, answers=False)
    return {
        "run": str(folder),
        "status": run.record.status,
        "rounds": [one.round for one in run.rounds],
        "headline": _words(run).headline(run),
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
    run = read_run(run_folder)
    figures, forecast = run_figures(run, answer_figures.figures(run)), forecasts.figures(run)
    said, tags = _words(run), _ANSWER_TAGS if run.of_answers else _TAGS
    rows = [_row(one) for one in first_rows(run.answers, _changed)]
    rows += [majorities.row(one) for one in first_rows(run.questions, lambda one: one.changed)]
    context = {
        "title": f"{visible(str(run.record.configuration.get('model', 'a model')), 60)}: "
        + ("another trainer’s run" if run.watched else "self-rewarding run"),
        "run": run,
        "figures": figures,
        "forecast_figures": forecast,
        "forecast_headers": forecasts.headers(run),
        "forecasts": [(split, told) for split in SPLITS if (told := forecasts.rows(run, split))],
        "headline": said.headline(run),
        "standfirst": said.standfirst(run),
        "points": said.points(run),
        "facts": said.facts(run),
        "tables": [(split, *answer_findings.table(run, split)) for split in SPLITS if run.of_answers],
        "updates": updates.rows(run),
        "update_words": updates.words(run),
        "promises": promises.promise_texts(run),
        "alarms": findings.alarms(run),
        "troubles": findings.troubles(run),
        "caveats": ([visible(run.damage, 600)] if run.damage else []) + (said.caveats(run) if run.rounds else []),
        "answers": rows,
        "filters": filters(rows, tags),
        "answers_left_out": max(0, len(run.answers) + len(run.questions) - MOST_ROWS),
        "configuration": flat(run.record.configuration | _chosen(run)),
    }
    return render("run.html", target, [*figures, *forecast], context)


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
    target = html_target(out)
    runs = _named(run_folders)
    if len({run.of_answers for _, run in runs}) > 1:
        told = ", ".join(f"{name} at level {'answer' if run.of_answers else 'response'}" for name, run in runs)
        raise InputError(f"{told}: κ of responses and κ_A of answers cannot be compared; compare runs of one level")
    figures = comparison_figures(runs)
    settings = {name: flat(run.record.configuration | _chosen(run)) for name, run in runs}
    fields = sorted({field for one in settings.values() for field in one})
    differing = [field for field in fields if len({one.get(field, "") for one in settings.values()}) > 1]
    context = {
        "title": f"{len(runs)} self-rewarding runs side by side",
        "runs": runs,
        "paired": [one.sentence for one in paired.pairs(runs)],
        "figures": figures,
        "rows": [(name, run, _words(run).headline(run), promises.theory_sentence(run)) for name, run in runs],
        "differences": [(field, [settings[name].get(field, "") for name, _ in runs]) for field in differing],
    }
    return render("comparison.html", target, figures, context)


def _named(folders: Sequence[Path]) -> list[tuple[str, RunView]]:
    return [(name, read_run(folder)) for name, folder in zip(names_of(folders), folders, strict=True)]


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


def render(template: str, target: Path, figures: Sequence[Any], context: dict[str, Any]) -> Path:
    """Write one self-contained page.

    Args:
        template: a file in `templates`.
        target: the HTML file.
        figures: what plotly draws; the page finds each by its key.
        context: what the template says; untrusted text passes through `visible` there or before.
    """
    environment = Environment(
        loader=PackageLoader("srlm.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible,
        "moment": _moment,
        "kappa": numbers.kappa,
        "confidence": numbers.confidence,
        "margins": numbers.margins,
        "proved": numbers.proved,
        "share": numbers.share,
        "measured": numbers.measured,
        "mass": numbers.mass,
        "share_bracket": numbers.share_bracket,
        "number": numbers.number,
    }
    room = files("srlm.report") / "templates"
    page = environment.get_template(template).render(
        style=Markup((room / "style.css").read_text(encoding="utf-8")),
        script=Markup((room / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()) if figures else None,
        names=NAMES,
        specs={figure.key: figure.spec for figure in figures},
        **context,
    )
    write_text(target, page)
    return target


def _row(answer: Answer) -> dict[str, Any]:
    base, last = answer.rounds[0], answer.rounds[-1]
    before, after = ((at.bracket.mode.correct, at.majority) for at in (base, last))
    modes = [at.bracket for at in answer.rounds]
    mode, majority = fates(before, after) if len(answer.rounds) > 1 else (None, None)
    tags: list[str] = [answer.split, *([mode] if mode else [])]
    if _changed(answer):
        tags.append("changed")
    if answer.base.mode.text != answer.last.mode.text:
        tags.append("moved")
    return {
        "prompt": cut(answer.prompt),
        "known": visible(", ".join(answer.known), 80),
        "held_out": answer.split == "held_out",
        "tags": tags,
        "fate": mode and mode.replace("_", " "),
        "majority": majority and majority.replace("_", " "),
        "flips": sum(bool(one) for one in moved(modes[1:], modes[:-1])),
        "columns": [
            {
                "greedy": _reply(at.bracket.greedy),
                "mode": _reply(at.bracket.mode),
                "same": at.bracket.greedy.text == at.bracket.mode.text,
                "certified": at.bracket.certified,
                "samples": at.sample_accuracy,
            }
            for at in (base, last)
        ],
    }


def _changed(answer: Answer) -> bool:
    return (answer.base.greedy.text, answer.base.mode.text) != (answer.last.greedy.text, answer.last.mode.text)


def _reply(response: Response) -> dict[str, Any]:
    return cut(response.text, correct=response.correct)


def _moment(value: str) -> str:
    try:
        return datetime.fromisoformat(value).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
    except ValueError:
        return visible(value, 40)
