"""``init`` and ``version``."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configurations import json_schema
from manager.cli.options import AsJson  # noqa: TC001 - typer reads the annotation
from manager.cli.output import print_json

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_SCHEMA = "config.schema.json"


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new project; made if needed.")],
) -> None:
    """Make a new project: config.json, a commented plugin, and a test of its task."""
    template = files("manager") / "templates" / "project"
    wanted = {folder / path: text for path, text in _texts(template, Path())}
    wanted[folder / _SCHEMA] = json.dumps(json_schema(), indent=2) + "\n"
    there = sorted(path.as_posix() for path in wanted if path.exists())
    if there:
        typer.echo(f"taskrack: nothing was written: {', '.join(there)} exists already", err=True)
        raise typer.Exit(1)
    try:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        typer.echo(f"taskrack: {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    for path in sorted(wanted):
        typer.echo(f"wrote {path.as_posix()}")
    go = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    typer.echo(f"\nnext: {go}taskrack run")


def version(*, json: AsJson = False) -> None:
    """Print the version."""
    found = {
        "taskrack": metadata.version("taskrack"),
        "python": platform.python_version(),
        "apscheduler": metadata.version("apscheduler"),
        "sqlalchemy": metadata.version("sqlalchemy"),
    }
    if json:
        print_json(found)
    else:
        typer.echo(f"taskrack {found['taskrack']}")


def _texts(folder: Traversable, inside: Path) -> list[tuple[Path, str]]:
    """Return the files of the template; ``dot_`` in a name stands for its leading dot."""
    found: list[tuple[Path, str]] = []
    for each in folder.iterdir():
        if each.is_dir() and each.name != "__pycache__":
            found += _texts(each, inside / each.name)
        elif each.is_file():
            name = each.name.replace("dot_", ".", 1).removesuffix(".tmpl")
            found.append((inside / name, each.read_text(encoding="utf-8")))
    return found
