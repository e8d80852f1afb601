"""`srlm verify`: every numbered statement of the theory, checked numerically.

Knows: the command's arguments, the table, and that a failed check exits with 1. Refuses to know: any statement.
"""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from srlm.verification import Verification


def command(
    seed: Annotated[int, typer.Option(help="Random policies and parameters follow from it.", min=0, max=2**32 - 1)] = 0,
    notes: Annotated[bool, typer.Option(help="Print what to know about each statement.")] = True,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Check every statement of the theory, each by a route of its own; the kind says what agreement shows."""
    from srlm.cli.output import print_json
    from srlm.verification import verify

    verified = verify(seed)
    if json_output:
        print_json(verified.as_dict())
    else:
        width, gap = max(len(check.id) for check in verified.checks), max(map(len, verified.kinds))
        numbers = f"{'predicted':>12}  {'observed':>12}  {'tightness':>9}"
        typer.echo(f"{'':4} {'statement':<{width}}  {'kind':<{gap}}  {numbers}")
        for check in verified.checks:
            tightness = "" if check.tightness is None else f"{check.tightness:.4g}"
            numbers = f"{check.predicted:>12.6g}  {check.observed:>12.6g}  {tightness:>9}"
            mark = f"{'ok' if check.ok else 'FAIL':4} {check.id:<{width}}  {check.kind:<{gap}}"
            typer.echo(f"{mark}  {numbers}  {check.statement}")
            if notes and check.note:
                typer.echo(f"{'':4} {'':<{width}}  {check.note}")
        typer.echo(_summary(verified))
    if not verified.ok:
        raise typer.Exit(1)


def _summary(verified: "Verification") -> str:
    """What held, by kind: nothing is called checked that was only written down twice."""
    failed = [check.id for check in verified.checks if not check.ok]
    held = Counter(check.kind for check in verified.checks if check.ok)
    outcome = f"FAILED: {', '.join(failed)}" if failed else "all hold"
    return (
        f"{len(verified.checks)} checks, {outcome}. Of those that hold "
        f"{held['identity']} are identities (two routes, one number), {held['inequality']} inequalities (no random "
        f"instance violates them), {held['simulation']} simulations (equal within their error), and "
        f"{held['transcription']} transcriptions: there the code says what the formula says, not that it is true."
    )
