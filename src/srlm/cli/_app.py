"""The table of commands, as typer wants it.

Knows: each command lives in its own module, loaded only when asked for, and imports what it needs inside its function,
so that `srlm plan` starts without torch. Refuses to know: what a command does.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from srlm.errors import InputError

COMMANDS = ("plan", "verify", "simulate", "diagnose", "run", "audit", "report")

_INTERRUPTED = 130  # what typer makes of KeyboardInterrupt


class _LazyGroup(TyperGroup):
    """Loads `srlm.cli.<name>` and takes its function `command` when the command is first looked up."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in COMMANDS if _exists(name)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS or not _exists(cmd_name):
            return None
        app = typer.Typer(add_completion=False)
        app.command(cmd_name)(import_module(f"srlm.cli.{cmd_name}").command)
        return typer.main.get_command(app)


def _exists(name: str) -> bool:
    return find_spec(f"srlm.cli.{name}") is not None


app = typer.Typer(
    cls=_LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Self-rewarding language models with certificates.",
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True)) -> None:
    if version:
        from srlm import __version__

        typer.echo(f"srlm {__version__}")
        raise typer.Exit


def call(arguments: Sequence[str]) -> int:
    """Carry out one command line; its exit code.

    Raises:
        InputError: it is no command line of srlm.
        KeyboardInterrupt: Ctrl-C.
    """
    given = list(arguments)
    for at, (one, following) in enumerate(zip(given, [*given[1:], "-"], strict=True)):
        if one == "--ray" and following.startswith("-"):  # its address may be left out
            given[at] = "--ray=auto"
    try:
        code = app(args=given, prog_name="srlm", standalone_mode=False)
    except TyperException as error:
        raise InputError(error.format_message()) from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
