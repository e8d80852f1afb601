"""What `srlm simulate` leaves behind: result, table, picture, page; and one page of several experiments.

Knows: file names. Nothing half-written stays: each file is renamed into place, the result last. Refuses to know: how
charts are drawn.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from srlm.errors import InputError
from srlm.records.atomic import write_bytes, write_json
from srlm.report.experiment_charts import experiment_charts, experiment_svg
from srlm.report.page import html_target, render
from srlm.simulation.experiments import ExperimentResult


def experiment_record(result: ExperimentResult) -> dict[str, Any]:
    """The contents of `result.json`."""
    return {
        "name": result.name,
        "question": result.question,
        "conclusion": result.conclusion,
        "numbers": dict(result.numbers),
        "caveats": list(result.caveats),
        "settings": dict(result.settings),
        "columns": {name: list(values) for name, values in result.columns.items()},
    }


def write_experiment(result: ExperimentResult, out: Path) -> Path:
    """Write `table.parquet`, `figure.svg`, `figure.html` and `result.json` into a folder, and return it.

    Raises:
        InputError: the folder is a file.
        OSError: it cannot be written.
    """
    if out.is_file():
        raise InputError(f"--out {out} is a file; give a folder")
    sink = io.BytesIO()
    pq.write_table(pa.table({name: list(values) for name, values in result.columns.items()}), sink)
    write_bytes(out / "table.parquet", sink.getvalue())
    write_bytes(out / "figure.svg", experiment_svg(result))
    write_experiments_page([result], out / "figure.html")
    write_json(out / "result.json", experiment_record(result))
    return out


def write_experiments_page(results: Sequence[ExperimentResult], out: Path) -> Path:
    """One self-contained page of one or more experiments."""
    parts = [
        {
            "result": result,
            "figures": experiment_charts(result),
            "settings": [(name, _value(value)) for name, value in result.settings.items()],
            "head": list(result.columns),
            "rows": [[_value(cell) for cell in row] for row in zip(*result.columns.values(), strict=True)],
        }
        for result in results
    ]
    figures = [figure for part in parts for figure in part["figures"]]
    title = results[0].name if len(results) == 1 else f"{len(results)} experiments on self-rewarding"
    command = f"srlm simulate {results[0].name if len(results) == 1 else 'all'}"
    return render("experiments.html", html_target(out), {"title": title, "parts": parts}, command, figures)


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return ", ".join(_value(one) for one in value)
    return str(value)
