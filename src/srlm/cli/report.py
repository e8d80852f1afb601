"""`srlm report`: one self-contained page about a run, or about several side by side.

Knows: the command's arguments. Refuses to know: what a page says.
"""

from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders that `srlm run --out` or `srlm diagnose --out` wrote.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The HTML file; needed for several runs.", show_default="RUN/report.html"),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Draw the page of a run, finished or not, of a diagnosis, or of several side by side."""
    from srlm.cli.output import print_json
    from srlm.records.diagnosis import holds_diagnosis
    from srlm.report.diagnosis_page import report_diagnoses
    from srlm.report.page import report

    summary = report_diagnoses(runs, out) if all(map(holds_diagnosis, runs)) else report(runs, out)
    if json_output:
        print_json(summary)
    else:
        for one in summary.get("paired", ()):
            typer.echo(f"{one['sentence']}.")
        typer.echo(f"{summary['report']}")
