"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configurations import load_config

if TYPE_CHECKING:
    from configurations import Xcorecfg

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Path of config.json; else TASKRACK_CONFIG, else ./config.json."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def settings(path: Path | None) -> Xcorecfg:
    """Return the settings that the call asks for."""
    return load_config(path)
