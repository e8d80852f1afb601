"""`srlm report`: one self-contained page about a run, or about several side by side; what else of it is to be taken
along; and the page of a run that still works.

Knows: the command's arguments. Refuses to know: what a page, a card or a table says.
"""

from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders that run, diagnose or audit wrote with --out.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The HTML file; needed for several runs.", show_default="RUN/report.html"),
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="Beside the page: card.svg, card.png and card.md, a block for a model card.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Folder for every table as a CSV file.")] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show the page on this machine, renewed while the run works; Ctrl-C ends.")
    ] = False,
    port: Annotated[int, typer.Option(help="Where --serve listens; 0: any port that is free.", min=0, max=65535)] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Draw the page of a run, finished or not, of a diagnosis, or of several side by side."""
    from srlm.cli.output import print_json
    from srlm.errors import InputError
    from srlm.records.atomic import write_text

    if serve:
        if out or card or csv:
            raise InputError("--serve shows a page and writes nothing; leave out --out, --card and --csv")
        _serve(runs, port, json_output)
        return
    if len(runs) > 1 and (card or csv):
        raise InputError(f"--card and --csv are of one run, and {len(runs)} were given; give one")
    if csv is not None and any(one.is_file() for one in (csv, *csv.parents)):
        raise InputError(f"--csv {csv} is a file, or lies below one; give the name of a folder")
    drawn, tables = None, {}  # what is wrong with them is said before anything is written
    if card:
        from srlm.report.card import card_of

        drawn = card_of(runs[0])
    if csv is not None:
        from srlm.report.csv_tables import tables_of

        tables = {str(csv / name): text for name, text in tables_of(runs[0]).items()}
    summary = _draw(runs, out)
    if drawn is not None:
        from srlm.report.card import write_card

        sentence = (summary.get("runs") or summary["diagnoses"])[0]["headline"]
        summary["card"] = write_card(drawn, sentence, Path(summary["report"]).parent)
    for file, text in tables.items():
        write_text(Path(file), text)
        summary.setdefault("csv", []).append(file)
    if json_output:
        print_json(summary)
        return
    for one in summary.get("paired", ()):
        typer.echo(f"{one['sentence']}.")
    for file in (summary["report"], *summary.get("card", {}).values(), *summary.get("csv", ())):
        typer.echo(file)


def _draw(runs: list[Path], out: Path | None) -> dict[str, Any]:
    from srlm.records.diagnosis import holds_diagnosis
    from srlm.report.diagnosis_page import report_diagnoses
    from srlm.report.page import report

    return report_diagnoses(runs, out) if all(map(holds_diagnosis, runs)) else report(runs, out)


def _serve(runs: list[Path], port: int, json_output: bool) -> None:
    import time

    from srlm.cli._following import following
    from srlm.cli.output import print_json
    from srlm.report.live import Live, serving

    with serving(live := Live(runs, lambda file: _draw(runs, file)), port) as address:
        if json_output:
            print_json({"serving": address})
        else:
            typer.echo(f"{address} shows {', '.join(map(str, runs))}; Ctrl-C ends it and loses nothing.")
        try:
            with following(runs, live.stamp) as look:
                while True:
                    look()
                    time.sleep(1)
        except KeyboardInterrupt:
            pass
