"""`srlm verify`: every numbered statement of the theory, checked numerically.

Knows: the command's arguments, the table, and that a failed check exits with 1. Refuses to know: any statement.
"""

from typing import Annotated

import typer


def command(
    seed: Annotated[int, typer.Option(help="Random policies and parameters follow from it.", min=0)] = 0,
    notes: Annotated[bool, typer.Option(help="Print what to know about each statement.")] = True,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Check every statement of the theory by a route that shares no code with it."""
    from srlm.cli.output import print_json
    from srlm.verification import verify

    result = verify(seed)
    if json_output:
        print_json(result.as_dict())
    else:
        width = max(len(check.id) for check in result.checks)
        typer.echo(f"{'':4} {'statement':<{width}}  {'predicted':>12}  {'observed':>12}  {'tightness':>9}")
        for check in result.checks:
            tightness = "" if check.tightness is None else f"{check.tightness:.4g}"
            numbers = f"{check.predicted:>12.6g}  {check.observed:>12.6g}  {tightness:>9}"
            typer.echo(f"{'ok' if check.ok else 'FAIL':4} {check.id:<{width}}  {numbers}  {check.statement}")
            if notes and check.note:
                typer.echo(f"{'':4} {'':<{width}}  {check.note}")
        failed = [check.id for check in result.checks if not check.ok]
        typer.echo(f"{len(result.checks)} checks, " + ("all hold." if result.ok else f"FAILED: {', '.join(failed)}"))
    if not result.ok:
        raise typer.Exit(1)
