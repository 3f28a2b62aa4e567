"""The ``taskrack`` command: its verbs, and what each exit code means."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import typer

from core.errors import (
    ConfigurationError,
    LedgerError,
    StateError,
    TaskrackError,
    UnknownRunError,
    UnknownTaskError,
)
from manager.cli import (
    config,
    control,
    foretelling,
    linting,
    looking,
    planning,
    project,
    running,
    verifying,
)

# The base of all that typer raises for a wrong call; where it lives differs between releases.
WrongCall: Final[type[typer.BadParameter]] = typer.BadParameter.__mro__[2]
NOT_IN_ORDER: Final = 1
WRONG_CALL: Final = 2
NO_DATABASE: Final = 3
_INTERRUPTED: Final = 130

app = typer.Typer(
    name="taskrack",
    help="A container for background tasks: what is due runs, once, on time, explainable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(running.run)
app.command("check")(running.check)
app.command("lint")(linting.lint)
app.command("list")(looking.list_)
app.command("show")(looking.show)
app.command("runs")(looking.runs)
app.command("run-now")(control.run_now)
app.command("pause")(control.pause)
app.command("resume")(control.resume)
app.command("backfill")(control.backfill)
app.command("preview")(planning.preview)
app.command("forecast")(foretelling.forecast)
app.command("explain")(foretelling.explain)
app.command("verify")(verifying.verify)
app.command("init")(project.init)
app.command("version")(project.version)
app.add_typer(config.app, name="config", help="Show settings and their schema.")


def main() -> None:
    """Run the command line and leave with its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, as with '>&-'
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for good
    try:
        sys.exit(app(standalone_mode=False))
    except WrongCall as error:
        said = " ".join(error.format_message().split())
        if said:  # a call without a verb has printed the help
            typer.echo(f"taskrack: {said}", err=True)
        sys.exit(WRONG_CALL)
    except TaskrackError as error:
        complain(error)
        sys.exit(exit_code(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_INTERRUPTED)


def exit_code(error: TaskrackError) -> int:
    """Return 1 for what is not in order, 2 for a wrong call, 3 for a database out of reach."""
    if isinstance(error, LedgerError):
        return NO_DATABASE
    if isinstance(error, UnknownTaskError | UnknownRunError | StateError):
        return WRONG_CALL
    return NOT_IN_ORDER


def complain(error: TaskrackError) -> None:
    """Print *error* to standard error, one line a problem."""
    if isinstance(error, ConfigurationError):
        for problem in error.problems:
            typer.echo(f"taskrack: {error.source}: {problem}", err=True)
    else:
        typer.echo(f"taskrack: {' '.join(str(error).split())}", err=True)
