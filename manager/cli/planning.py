"""``preview``: when a schedule will be due, without registering it."""

from __future__ import annotations

import json as jsons
from datetime import datetime  # noqa: TC003 - typer reads the annotation
from typing import Annotated, Any

import typer

from core.clock import SystemClock
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import clean, moment, print_json, print_table


def preview(  # noqa: PLR0913 - the options of a call
    schedule: Annotated[
        str, typer.Argument(help="A cron string, or the trigger's arguments as a JSON object.")
    ],
    *,
    trigger: Annotated[str, typer.Option(help="cron, interval or date.")] = "cron",
    timezone: Annotated[str | None, typer.Option(help="IANA zone; else the settings' own.")] = None,
    after: Annotated[
        datetime | None, typer.Option(help="Local time of the zone to begin from; else now.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100_000)] = 10,
    dst: Annotated[str, typer.Option(help="once, both or skip.")] = "once",
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """Show when a schedule will be due, without registering it."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - with the triggers below

    from manager.scheduling import describe  # noqa: PLC0415 - they cost a start
    from manager.task.previewing import preview as previewed  # noqa: PLC0415 - the same

    zone = timezone or settings(config).timezone
    start = SystemClock().now() if after is None else after.replace(tzinfo=ZoneInfo(zone))
    arguments = _arguments(schedule)
    options: dict[str, Any] = {"timezone": zone, "after": start, "count": count, "dst": dst}
    found = previewed(trigger, arguments, **options)
    if json:
        print_json([each.isoformat() for each in found])
    else:
        typer.echo(clean(describe(trigger, arguments, zone, dst=dst)))
        rows = [(f"{at.astimezone(ZoneInfo(zone)):%a}", moment(at, zone)) for at in found]
        print_table(("day", "due"), rows)


def _arguments(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {"expression": text}
    try:
        found = jsons.loads(text)
    except jsons.JSONDecodeError as error:
        raise typer.BadParameter(f"the arguments are no JSON object: {error}") from None
    return dict(found)
