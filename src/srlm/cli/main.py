"""The `srlm` command: finds the subcommand, turns exceptions into exit codes.

Knows: the table of commands, exit codes. Each command lives in its own module, loaded only when asked for, and
imports what it needs inside its function, so that `srlm plan` starts without torch. Refuses to know: what a command
does.
"""

import errno
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from srlm.errors import InputError, what_to_install

COMMANDS = ("plan", "verify", "simulate", "diagnose", "run", "audit", "report")


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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 the input is wrong, 1 anything else."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The exit code of one command line (`arguments` default to `sys.argv[1:]`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for at, (one, following) in enumerate(zip(given, [*given[1:], "-"], strict=True)):
        if one == "--ray" and following.startswith("-"):  # its address may be left out
            given[at] = "--ray=auto"
    try:
        code = app(args=given, prog_name="srlm", standalone_mode=False)
    except InputError as error:
        return _complain(str(error), 2)
    except TyperException as error:
        return _complain(error.format_message(), 2)
    except ModuleNotFoundError as error:
        sentence = what_to_install(error)
        if sentence is None:
            raise
        return _complain(sentence, 2)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("stopped; what was finished is kept, and --resume goes on from there", 1)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO):
            raise
        return _complain(
            f"{error.strerror or error}: {error.filename or 'output'}; nothing already written is damaged",
            1,
        )
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    print("srlm: " + " ".join(message.split()), file=sys.stderr)
    return code
