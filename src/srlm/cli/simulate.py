"""`srlm simulate`: the laboratory's experiments from the shell.

Knows: the command's arguments, and that "all" is every experiment on one page. Refuses to know: any experiment.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from srlm.errors import InputError
from srlm.records.lock import holding


def command(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment, or all; --list shows them.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for result, table and figures.", show_default="simulations")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE, repeatable.", metavar="KEY=VALUE")] = None,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.", min=0, max=2**32 - 1)] = 0,
    jobs: Annotated[int, typer.Option(help="Workers; -1 takes every core. Changes no number.", min=-1, max=4096)] = 1,
    backend: Annotated[str, typer.Option(help="loky (processes here), threading, ray or dask.")] = "loky",
    list_: Annotated[bool, typer.Option("--list", help="Print the experiments and their settings.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run an experiment on exact policies: a figure, a table and a conclusion."""
    from srlm.cli.output import print_json
    from srlm.simulation.experiments import EXPERIMENTS, run_experiment

    if list_:
        for one in EXPERIMENTS.values():
            typer.echo(f"{one.name}: {one.question}")
            for name, setting in one.settings.items():
                typer.echo(f"    {name} = {setting.default}  {setting.help}")
        return
    if not experiment:
        raise InputError(f"name an experiment: {', '.join(EXPERIMENTS)}, or all")
    given: dict[str, str] = {}
    for pair in set_ or []:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise InputError(f"--set {pair!r} is not KEY=VALUE")
        given[key] = value
    whole = experiment == "all"
    if whole and given:
        raise InputError("--set goes with one experiment; all runs each with its defaults")
    names = list(EXPERIMENTS) if whole else [experiment]
    from srlm.report.experiment_page import experiment_record, write_experiment, write_experiments_page

    folder = out or Path("simulations")
    results = []
    with holding(folder):
        for name in names:
            began = time.perf_counter()
            result = run_experiment(name, given, seed=seed, jobs=jobs, backend=backend)
            results.append(result)
            write_experiment(result, folder / name if whole or out is None else folder)
            typer.echo(f"{name} ({time.perf_counter() - began:.0f} s): {result.conclusion}", err=json_output)
        if whole:
            page = write_experiments_page(results, folder / "index.html")
            typer.echo(f"{page} shows all of them.", err=json_output)
    if json_output:
        documents = [experiment_record(one) for one in results]
        print_json({"experiments": documents} if whole else documents[0])
