"""``forecast`` and ``explain``: what will run, and why a task ran or did not."""

from __future__ import annotations

from collections import Counter
from datetime import datetime  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer

from core.clock import SystemClock
from core.errors import TaskrackError, UnknownTaskError
from manager.cli.looking import NOTHING_YET, reading_of
from manager.cli.options import AsJson, ConfigPath  # noqa: TC001 - typer reads the annotations
from manager.cli.output import clean, counted, moment, print_json, print_table

if TYPE_CHECKING:
    from manager.schemas.foretelling import Explanation, Forecast

LINES: Final = 40
"""A table has at most so many rows; the JSON has all."""
_NOTES: Final = 20


def forecast(
    *,
    days: Annotated[float, typer.Option("--days", "-d", help="How far to look.")] = 7,
    start: Annotated[
        datetime | None, typer.Option(help="Local time to begin from; else now.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="Only this one; may be repeated.")
    ] = None,
    config: ConfigPath = None,
    json: AsJson = False,
    ics: Annotated[bool, typer.Option("--ics", help="Print iCalendar.")] = False,
) -> None:
    """Foretell every run of the next days, with peaks, overlaps and clock changes."""
    if json and ics:
        raise typer.BadParameter("give --json or --ics, not both")
    with reading_of(config) as (chosen, reading):
        if reading is None:
            typer.echo(NOTHING_YET, err=json or ics)
            if not (json or ics):
                return
        from manager.task.foretelling import forecast_of  # noqa: PLC0415 - triggers cost a start

        zone, now = ZoneInfo(chosen.timezone), SystemClock().now()
        begin = None if start is None else start.replace(tzinfo=zone)
        try:
            found = forecast_of(reading, chosen, now, days=days, start=begin, tasks=task or None)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        names = {each.id: each.name for each in (reading.tasks() if reading else ())}
    if json:
        print_json(found)
    elif ics:
        from manager.foresight.calendarfile import calendar_of  # noqa: PLC0415 - only here

        typer.echo(calendar_of(found, now, names), nl=False)
    else:
        _print_forecast(found, zone)


def explain(
    task: Annotated[str, typer.Argument(help="Id of a task.")],
    at: Annotated[
        str | None,
        typer.Argument(help="An instant, or local time of the task's zone; else now."),
    ] = None,
    *,
    config: ConfigPath = None,
    json: AsJson = False,
) -> None:
    """Explain why a task ran at a time, did not, or will."""
    with reading_of(config) as (chosen, reading):
        if reading is None:
            raise UnknownTaskError(task)
        from manager.task.foretelling import explanation_of  # noqa: PLC0415 - triggers cost a start

        try:
            found = explanation_of(reading, chosen, SystemClock().now(), task, at)
        except ValueError as error:
            if isinstance(error, TaskrackError):
                raise
            raise typer.BadParameter(str(error)) from None
        zone = reading.tasks(task)[0].timezone
    if json:
        print_json(found)
    else:
        _print_explanation(found, zone)


def _print_explanation(found: Explanation, zone: str) -> None:
    typer.echo(clean(f"{found.task_id}: {found.verdict}"))
    for each in found.because:
        typer.echo(clean(f"  - {each}"))
    typer.echo(clean(f"schedule: {found.schedule}"))
    typer.echo(f"before: {moment(found.previous, zone)}")
    typer.echo(f"after: {moment(found.next, zone)}")
    for run in found.runs:
        typer.echo(f"run: {run.id} {run.state.value}")


def _print_forecast(found: Forecast, zone: ZoneInfo) -> None:
    rows = _days(found, zone)
    typer.echo(
        f"{counted(len(found.runs), 'run')} from {_at(found.start, zone)} to {_at(found.end, zone)}"
    )
    if rows:
        print_table(("day", "task", "runs", "first", "last"), rows[:LINES])
    _more(len(rows) - LINES)
    if found.peaks:
        typer.echo("\nbusiest minutes:")
        for peak in found.peaks:
            names = clean(", ".join(peak.tasks[:3]))
            beyond = " ..." if len(peak.tasks) > 3 else ""  # noqa: PLR2004 - as many as are named
            typer.echo(
                f"  {_at(peak.minute, zone)}: {counted(peak.starts, 'start')} ({names}{beyond})"
            )
    if found.load is not None:
        typer.echo(
            f"\nexpected in threads at most: {found.load.running} of {found.load.places} "
            f"at {_at(found.load.at, zone)}"
        )
    if found.overlaps:
        typer.echo("\nexpected overlaps:")
        for each in found.overlaps[:_NOTES]:
            typer.echo(
                f"  {clean(each.task_id)}: {counted(each.count, 'occurrence')} {_DOES[each.does]} "
                f"(overlap {each.policy}; takes {each.mean:.1f} s, at most {each.longest:.1f} s), "
                f"first at {_at(each.first[0], zone)}"
            )
        _more(len(found.overlaps) - _NOTES)
    if found.notes:
        typer.echo("\nnotes:")
        for note in found.notes[:_NOTES]:
            typer.echo(f"  {clean(note)}")
        _more(len(found.notes) - _NOTES)


_DOES: Final = {
    "skipped": "would be skipped",
    "queued": "would wait",
    "replaced": "would replace the earlier run",
    "beside": "would run beside the earlier run",
}


def _days(found: Forecast, zone: ZoneInfo) -> list[tuple[str, ...]]:
    """Return a row for each day and task, in the order of their first runs."""
    first: dict[tuple[Any, str], datetime] = {}
    last: dict[tuple[Any, str], datetime] = {}
    counts: Counter[tuple[Any, str]] = Counter()
    for run in found.runs:
        local = run.at.astimezone(zone)
        key = (local.date(), run.task_id)
        first.setdefault(key, local)
        last[key] = local
        counts[key] += 1
    return [
        (
            f"{day:%a %Y-%m-%d}",
            clean(task_id),
            str(counts[key]),
            f"{first[key]:%H:%M:%S}",
            f"{last[key]:%H:%M:%S}",
        )
        for key in first
        for day, task_id in [key]
    ]


def _at(instant: datetime, zone: ZoneInfo) -> str:
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _more(number: int) -> None:
    if number > 0:
        typer.echo(f"  and {number} more")
