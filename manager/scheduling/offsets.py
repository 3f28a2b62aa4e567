"""The offsets of a zone: from which instant to which it shows a date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

ONE_DAY: Final = timedelta(days=1)
REACH: Final = timedelta(hours=27)  # no zone is farther from UTC than a day and some
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)


def day_spans(zone: ZoneInfo, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """Return the stretches of constant offset in which *zone* shows *day*, as instants.

    Each is its first instant, the first one after it, and the offset.
    """
    offset = steady_offset(zone, day)
    if offset is None:
        return stretches(zone, day)
    first = midnight_of(day) - offset
    return ((first, first + ONE_DAY, offset),)


@lru_cache(maxsize=4096)
def steady_offset(zone: ZoneInfo, day: date) -> timedelta | None:
    """Return the one offset of *zone* on *day*; ``None`` where it may set its clock then.

    Every schedule of the zone asks for the same days.
    """
    midnight = midnight_of(day)
    offset = offset_of(zone, midnight - REACH)
    return offset if offset == offset_of(zone, midnight + ONE_DAY + REACH) else None


@lru_cache(maxsize=256)
def stretches(zone: ZoneInfo, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """Return the stretches of constant offset in which *zone* shows *day*, as instants.

    They are the same for every schedule of the zone, and cost more than all else of such a day.
    """
    midnight = midnight_of(day)
    low, high = midnight - REACH, midnight + ONE_DAY + REACH
    cuts = [low, *settings_of(zone, low, high)]
    found = []
    for start, end in zip(cuts, [*cuts[1:], high], strict=True):
        offset = offset_of(zone, start)
        first, last = max(start, midnight - offset), min(end, midnight + ONE_DAY - offset)
        if first < last:
            found.append((first, last, offset))
    return tuple(found)


def settings_of(zone: ZoneInfo, low: datetime, high: datetime) -> list[datetime]:
    """Return the instants between *low* and *high* at which *zone* sets its clock, ascending."""
    found, moment = [], low
    while moment < high:
        following = min(moment + _HOUR, high)
        if offset_of(zone, moment) != offset_of(zone, following):
            found.append(_cut(zone, moment, following))
        moment = following
    return found


def _cut(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """Return the first second of the new offset between *early* and *late*."""
    new = offset_of(zone, late)
    while late - early > _SECOND:
        middle = early + (late - early) // (2 * _SECOND) * _SECOND
        if offset_of(zone, middle) == new:
            late = middle
        else:
            early = middle
    return late


def offset_of(zone: ZoneInfo, instant: datetime) -> timedelta:
    """Return how far local time is ahead of UTC at *instant*."""
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def midnight_of(day: date) -> datetime:
    """Return the midnight of *day* in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
