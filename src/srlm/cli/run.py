"""`srlm run`: T rounds of self-rewarding on a real model, each one certified, recorded and shown.

Knows: how progress is drawn. Refuses to know: any default or domain; its options are the fields of a run's settings.
"""

from typing import Annotated, Any

import typer

from srlm.cli._options import with_options
from srlm.cli.output import print_json
from srlm.records.lock import holding
from srlm.training.processes import is_main_process
from srlm.training.settings import Request, RunSettings


@with_options(request=Request, options=RunSettings)
def command(
    request: dict[str, Any],
    options: dict[str, Any],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print plan, memory and time from a short calibration; write nothing.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Self-reward a model: sample, certify, update, T times; ends with DIR/report.html and the model in DIR/model."""
    asked: dict[str, Any] = request | {"options": options}
    if dry_run:
        from srlm.training.start import dry_run as estimated

        estimate = estimated(**asked)
        if json_output:
            print_json(estimate.as_json())
        else:
            typer.echo("\n".join(estimate.lines()))
        return
    folder = Request(**asked).folder()
    if not is_main_process():  # one of several: it works, and leaves talking to the main one
        from srlm.training.start import start_run

        start_run(**asked)
        return
    from srlm.cli._progress import RoundProgress
    from srlm.report.page import write_report

    with holding(folder):
        from srlm.training.start import start_run  # another process in the folder is found before torch is imported

        with RoundProgress(write_report) as observer:
            directory = start_run(**asked, observer=observer)
            page = write_report(directory.path)
    summary: dict[str, Any] = directory.summary() | {"report": str(page), "model": str(directory.path / "model")}
    if json_output:
        print_json(summary)
    else:
        if summary["status"] == "stopped":
            observer.say(f"Ended early: {summary['reason']}.")
        elif summary.get("choice"):
            observer.say(f"Kept: {summary['choice']['reason']}.")
        observer.say(f"Done: {summary['report']} is the page to look at, {summary['model']} the trained model.")
