"""``config show`` and ``config schema``."""

from __future__ import annotations

import typer

from configurations import json_schema
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import clean, print_json, print_table

app = typer.Typer(no_args_is_help=True)


@app.command("show")
def show(*, config: ConfigPath = None, json: AsJson = False) -> None:
    """Show every setting, and where it comes from; secrets are masked."""
    described = settings(config).describe()
    if json:
        print_json(
            {key: {"value": each.value, "origin": each.origin} for key, each in described.items()}
        )
        return
    rows = [(key, clean(str(each.value)), each.origin) for key, each in described.items()]
    print_table(("setting", "value", "from"), rows)


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of config.json, for editors."""
    print_json(json_schema())
