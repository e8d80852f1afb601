"""One self-contained page about a run.

Knows: the run directory and the template. Everything a model wrote is escaped; the page makes no request.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from srlm.errors import InputError
from srlm.records.atomic import write_text
from srlm.records.run_directory import RunDirectory
from srlm.records.text import visible
from srlm.report import figures, story

_CONFIG = {"displayModeBar": False, "responsive": True}


def environment() -> Environment:
    """The templates, with autoescape on and model text made visible by the filter `shown`."""
    found = Environment(loader=PackageLoader("srlm.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters["shown"] = visible
    return found


def write_report(run_folder: Path, out: Path | None = None) -> Path:
    """Write the page of a run, finished or not.

    Args:
        run_folder: what `srlm run --out` wrote.
        out: where the page goes, by default `report.html` in the run's folder.

    Returns:
        The page's path.

    Raises:
        InputError: no run there, or none of its rounds is complete.
    """
    directory = RunDirectory.open(run_folder)
    numbers = directory.completed_rounds()
    if not numbers:
        raise InputError(f"{run_folder} has no complete round yet; resume the run first")
    rounds = [directory.round(number).metrics() for number in numbers]
    record = directory.record()
    page = environment().get_template("run.html").render(
        record=record,
        rounds=rounds,
        headline=story.headline(rounds),
        tiles=story.tiles(rounds),
        statements=story.statements(rounds, record["configuration"]["beta"]),
        panels=_panels(rounds),
        answers=_answers(directory, numbers[-1]),
        configuration=sorted(record["configuration"].items()),
        times=_times(rounds),
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - plotly's own library, shipped with the package
    )
    path = out or run_folder / "report.html"
    write_text(path, page)
    return path


def _panels(rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    drawn: list[tuple[str, str, go.Figure | None]] = [
        (
            "How far from certain",
            "kappa is the mean of 1 / (probability of the most likely answer); 1 means certain. "
            "Grey marks: what an exact round would have given.",
            figures.kappa_figure(rounds),
        ),
        ("Failure rate", "Share of prompts whose most likely answer has probability at most one half.", figures.failure_figure(rounds)),
        ("Accuracy", "Right answers among samples, greedy answers and proved modes. Dashed: held-out prompts.", figures.accuracy_figure(rounds)),
        ("Answer length", "Tokens of a sampled answer. A fall to almost nothing is a collapse.", figures.length_figure(rounds)),
        (
            "What still moves",
            "Pairs of samples that differ teach something; modes that moved are a departure from exact sharpening.",
            figures.movement_figure(rounds),
        ),
    ]
    return [
        {"title": title, "note": note, "label": f"{title}: {note}", "html": Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG))}  # noqa: S704 - numbers only
        for title, note, figure in drawn
        if figure is not None
    ]


def _answers(directory: RunDirectory, last: int) -> list[dict[str, Any]]:
    """One row a prompt: base greedy answer, base mode, last mode, and what changed."""
    base = directory.round(0).read_table("modes").to_pylist()
    end = directory.round(last).read_table("modes").to_pylist()
    return [
        {
            "prompt": before["prompt"],
            "split": before["split"],
            "answer": ", ".join(before["answer"]),
            "greedy": before["greedy_text"],
            "greedy_correct": before["greedy_correct"],
            "before": before["mode_text"],
            "before_correct": before["mode_correct"],
            "before_p": _probability(before["mode_logprob_lower"]),
            "after": after["mode_text"],
            "after_correct": after["mode_correct"],
            "after_p": _probability(after["mode_logprob_lower"]),
            "moved": before["mode_tokens"] != after["mode_tokens"],
            "greedy_missed": before["greedy_tokens"] != before["mode_tokens"],
        }
        for before, after in zip(base, end, strict=True)
    ]


def _probability(logprob: float) -> str:
    value = 2.718281828459045**logprob
    return f"{value:.2g}" if value < 0.0995 else f"{value:.2f}"


def _times(rounds: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "round": one["round"],
            **{name: f"{one['seconds'][name]:.1f}" for name in ("sample", "certify", "train")},
            "all": str(timedelta(seconds=round(sum(one["seconds"].values())))),
            "sampled": one["tokens"]["sampled"],
            "trained": one["tokens"]["trained"],
        }
        for one in rounds
    ]
