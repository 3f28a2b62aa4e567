"""``preview``: when a schedule will be due, without registering it."""

from __future__ import annotations

import json as jsons
from datetime import datetime  # noqa: TC003 - typer reads the annotation
from typing import Annotated, Any, Final

import typer

from core.clock import SystemClock
from manager.cli.options import AsJson, ConfigPath, settings
from manager.cli.output import clean, moment, print_json, print_table

_EXAMPLES: Final = {
    "interval": '{"hours": 2}',
    "calendar": '{"months": 1, "day": "last"}',
    **dict.fromkeys(("and", "or", "except"), '{"triggers": [..., ...]}'),
}


def preview(  # noqa: PLR0913 - the options of a call
    schedule: Annotated[
        str,
        typer.Argument(help="A cron string, a date, or the trigger's arguments as a JSON object."),
    ],
    *,
    trigger: Annotated[
        str, typer.Option(help="cron, interval, date, calendar, and, or, except.")
    ] = "cron",
    timezone: Annotated[str | None, typer.Option(help="IANA zone; else the settings' own.")] = None,
    after: Annotated[
        datetime | None, typer.Option(help="Local time of the zone to begin from; else now.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100_000)] = 10,
    dst: Annotated[str, typer.Option(help="once, both or skip.")] = "once",
    start: Annotated[str | None, typer.Option(help="Nothing is due before it.")] = None,
    end: Annotated[str | None, typer.Option(help="Nothing is due after it.")] = None,
    exclude: Annotated[
        str | None, typer.Option(help="What is left out, as JSON: a list of dates, or an object.")
    ] = None,
    jitter: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds; needs --id.")] = 0,
    task_id: Annotated[str, typer.Option("--id", help="Whose jitter it is.")] = "",
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """Show when a schedule will be due, without registering it."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - with the triggers below

    from manager.scheduling import describe  # noqa: PLC0415 - they cost a start
    from manager.task.previewing import preview as previewed  # noqa: PLC0415 - the same

    zone = timezone or settings(config).timezone
    begin = SystemClock().now() if after is None else after.replace(tzinfo=ZoneInfo(zone))
    arguments = _arguments(trigger, schedule)
    limits: dict[str, Any] = {
        "start": start,
        "end": end,
        "exclude": None if exclude is None else _json("--exclude", exclude),
        "jitter": jitter,
    }
    options = limits | {"timezone": zone, "after": begin, "count": count, "dst": dst, "id": task_id}
    found = previewed(trigger, arguments, **options)
    if json:
        print_json([each.isoformat() for each in found])
    else:
        typer.echo(clean(describe(trigger, arguments, zone, dst=dst, options=limits)))
        rows = [(f"{at.astimezone(ZoneInfo(zone)):%a}", moment(at, zone)) for at in found]
        print_table(("day", "due"), rows)


def _arguments(trigger: str, text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return dict(_json("the arguments", text))
    if trigger == "date":
        return {"run_date": text}
    if trigger in _EXAMPLES:
        form = f"a JSON object such as {_EXAMPLES[trigger]!r}"
        raise typer.BadParameter(f"expected the arguments of {trigger!r} as {form}, got {text!r}")
    return {"expression": text}


def _json(where: str, text: str) -> Any:  # noqa: ANN401 - JSON is any
    try:
        return jsons.loads(text)
    except jsons.JSONDecodeError as error:
        text = (
            f"{where}: expected JSON, got {text!r:.80} ({error.msg} at character {error.pos + 1})"
        )
        example = '; such as ["2026-12-24"] or {"holidays": "DE"}' if where == "--exclude" else ""
        raise typer.BadParameter(f"{text}{example}") from None
