"""Spans of time and instants as people write them."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "sec": timedelta(seconds=1),
    "second": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "minute": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "hour": timedelta(hours=1),
    "d": timedelta(days=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_MONTHS: Final = {"month": 1, "year": 12}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_LATEST: Final = 12


def instant_of(when: datetime | str, zone: ZoneInfo) -> datetime:
    """Return *when* in UTC; without an offset it is meant in *zone*.

    Raises:
        ValueError: it is no date and time.
    """
    moment = datetime.fromisoformat(when) if isinstance(when, str) else when
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def end_of(span: timedelta | datetime | str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return when *span* from *now* on is over, or the instant itself where one is given.

    Months and years go by the calendar of *zone*; a day has 24 hours.

    Raises:
        ValueError: *span* cannot be read.
    """
    if isinstance(span, datetime):
        return instant_of(span, zone)
    if isinstance(span, timedelta):
        return now + span
    text = span.strip().lower()
    if not re.fullmatch(rf"(?:{_PART.pattern}[\s,]*)+", text):
        return instant_of(_dated(span), zone)
    for number, unit in _PART.findall(text):
        now = _later(now, number, unit.removesuffix("s") if len(unit) > _SHORT else unit, zone)
    return now


_SHORT: Final = len("ms")


def _dated(span: str) -> datetime:
    try:
        return datetime.fromisoformat(span)
    except ValueError:
        units = ", ".join([*_UNITS, *_MONTHS])
        text = f"expected a span such as '2 h 30 min' or '3 months', or a date, got {span!r}"
        raise ValueError(f"{text}; units are {units}") from None


def _later(now: datetime, number: str, unit: str, zone: ZoneInfo) -> datetime:
    if unit in _UNITS:
        return now + float(number) * _UNITS[unit]
    if unit not in _MONTHS or "." in number:
        _dated(f"{number} {unit}")
    local = now.astimezone(zone)
    months = local.month - 1 + int(number) * _MONTHS[unit]
    year, month = local.year + months // _LATEST, months % _LATEST + 1
    day = min(local.day, monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day).astimezone(UTC)


def soonest(*spans: timedelta | None) -> timedelta | None:
    """Return the shortest of *spans*; ``None`` is never."""
    first: timedelta | None = None
    for span in spans:
        if span is not None and (first is None or span < first):
            first = span
    return first
