"""`srlm audit`: what somebody else's run did to its answers, read from the files that its trainer wrote.

Knows: the words on the terminal, the exit code. Refuses to know: formats, alarms, any default of a setting.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from srlm.cli._options import with_options
from srlm.records.lock import holding
from srlm.watching.alarms import ALARMS
from srlm.watching.audit import Audit, AuditSettings

_ALARMS = 3


@with_options(settings=AuditSettings)
def command(
    settings: dict[str, Any],
    folder: Annotated[Path, typer.Argument(help="What a trainer wrote: a folder, or one file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder for a run directory with its page; without it nothing is written.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Keep reading while the run writes; Ctrl-C ends.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Audit a run of trl, verl, prime-rl or any trainer from its completions: exit code 0 clean, 3 alarms."""
    from srlm.cli.output import print_json
    from srlm.report.page import write_report
    from srlm.watching import audit

    chosen = AuditSettings(**settings)
    with holding(out):
        if follow:
            one = _follow(folder, chosen, out)
        else:
            one = audit.audit(folder, chosen, out)
            if out is not None:
                write_report(out)
    if json_output:
        print_json(one.to_document())
    else:
        typer.echo("\n".join(lines(one, out)))
    if one.watcher.alarms:
        raise typer.Exit(_ALARMS)


def _follow(folder: Path, settings: AuditSettings, out: Path | None) -> Audit:
    """Tells alarms as they come, on stderr, until the run is over or Ctrl-C."""
    from srlm.report.page import write_report
    from srlm.watching.audit import follow

    last: Audit | None = None
    try:
        for one, fired in follow(folder, settings, out):
            last = one
            for alarm in fired:
                typer.echo(f"ALARM at step {alarm.step}: {_shown(alarm.evidence)}", err=True)
            if out is not None:
                write_report(out)
    except KeyboardInterrupt:
        if last is None:
            raise
    assert last is not None  # a run that never began raised
    return last


def lines(one: Audit, out: Path | None) -> list[str]:
    """The verdict, the alarms with their evidence, the numbers of the last step, notes."""
    from srlm.report.numbers import plural

    watcher = one.watcher
    read = one.to_document()
    counted = ", ".join(plural(read[f"{noun}s"], noun) for noun in ("step", "prompt", "completion"))
    verdict = plural(len(watcher.alarms), "alarm") if watcher.alarms else "No alarm"
    told = [f"{verdict} in {counted} ({one.format})", ""]
    for alarm in watcher.alarms:
        told += [f"! Step {alarm.step}, {alarm.signature}: {ALARMS[alarm.signature].definition}"]
        told += [f"  {_shown(alarm.evidence[:1].upper() + alarm.evidence[1:])}."]
        if (rate := alarm.false_alarms_per_1000_steps) is not None:
            told += [f"  On healthy runs: {rate.value:.2g} ({rate.lower:.2g} to {rate.upper:.2g}) in 1,000 steps."]
        told += [f"  {alarm.advice}", ""]
    if watcher.facts:
        told += [
            "Last step: " + ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in watcher.facts.items())
        ]
    told += [f"Note: {_shown(note)}" for note in read["notes"]]
    return told if out is None else [*told, f"Page: {out / 'report.html'}"]


def _shown(text: str) -> str:
    from srlm.records.text import visible

    return visible(text, 600)
