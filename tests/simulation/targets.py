"""When tasks of the plan are due, by plain reckoning: nothing of the product's triggers is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOUR = timedelta(hours=1)


def targets(
    trigger: str,
    arguments: Mapping[str, Any],
    zone: str,
    anchor: datetime,
    span: tuple[datetime, datetime],
) -> list[datetime]:
    """Return every instant in ``(span[0], span[1]]`` at which a task is due, ascending.

    Args:
        trigger: One of the kinds that plans draw.
        arguments: Its arguments.
        zone: Where they are meant.
        anchor: First registration of the task.
        span: After the first instant, up to the second.
    """
    after, until = span
    if trigger == "interval":
        period = timedelta(**arguments)
        first = anchor + (max(timedelta(0), after - anchor) // period) * period
        steps = range(1, (until - first) // period + 1) if until >= first else range(0)
        return [first + step * period for step in steps if first + step * period > after]
    if trigger == "date":
        moment = datetime.fromisoformat(arguments["run_date"])
        return [moment] if after < moment <= until else []
    minute, hour, *_ = arguments["expression"].split()
    found = (
        _every(int(minute), int(hour[2:]), ZoneInfo(zone), span)
        if hour.startswith("*/")
        else _daily(int(minute), int(hour), ZoneInfo(zone), span)
    )
    return sorted({each for each in found if after < each <= until})


def _every(
    minute: int, hours: int, zone: ZoneInfo, span: tuple[datetime, datetime]
) -> list[datetime]:
    """Return each instant whose local hour is a multiple, in both passes of a fold."""
    at = span[0].replace(minute=minute, second=0, microsecond=0) - _HOUR
    found = []
    while at <= span[1]:
        if at.astimezone(zone).hour % hours == 0:
            found.append(at)
        at += _HOUR
    return found


def _daily(
    minute: int, hour: int, zone: ZoneInfo, span: tuple[datetime, datetime]
) -> list[datetime]:
    """Return one instant a day: after a gap that swallows it, in the first pass of a fold."""
    day = span[0].astimezone(zone).date() - timedelta(days=1)
    found = []
    while day <= span[1].astimezone(zone).date():
        local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        instant = local.astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
            instant = local.replace(minute=0).astimezone(UTC)  # gaps begin and end at full hours
        found.append(instant)
        day += timedelta(days=1)
    return found
