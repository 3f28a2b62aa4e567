"""What a person means by a time: an instant, or local time that may be shown twice or never."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from manager.scheduling import clock_changes

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from manager.scheduling import ClockChange

_CLOCK: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?")
_SECONDS: Final = re.compile(r"\d{1,2}:\d{2}:\d{2}")
_FORM: Final = "expected a time such as '02:30' or '2026-10-25 02:30', with or without an offset"
_NEAR: Final = timedelta(days=1)
_YEARS: Final = (2, 9998)


@dataclass(frozen=True, slots=True)
class Asked:
    """A stretch of time that is asked about.

    Attributes:
        at: Its first instant, in UTC; where the local time was not shown, when the gap ended.
        length: A minute where no seconds were given, else a second or less.
        local: The local time that was given, written as if it were UTC; ``None`` for an instant.
        change: The clock change that leaves that local time out or repeats it.
    """

    at: datetime
    length: timedelta
    local: datetime | None = None
    change: ClockChange | None = None

    @property
    def until(self) -> datetime:
        """The first instant after it."""
        return self.at + self.length


def asked_of(at: datetime | str | None, zone: ZoneInfo, now: datetime) -> Asked:
    """Return what *at* means: an instant, or local time of *zone*; now where ``None``.

    Raises:
        ValueError: it is no time.
    """
    if at is None:
        return Asked(now, timedelta(microseconds=1))
    length = timedelta(seconds=1)
    if isinstance(at, str):
        length = length if _SECONDS.search(at) else timedelta(minutes=1)
        at = _parsed(at, zone, now)
    if at.microsecond:
        length = timedelta(microseconds=1)
    if not _YEARS[0] <= at.year <= _YEARS[1]:  # a day before and after must be there
        raise ValueError(f"{_FORM}, got {at}, which is beyond the calendar")
    if at.tzinfo is not None:
        return Asked(at.astimezone(UTC), length)
    return _local(at, length, zone)


def _parsed(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    stripped = text.strip()
    if _CLOCK.fullmatch(stripped):
        padded = stripped if stripped[1] != ":" else f"0{stripped}"
        stripped = f"{now.astimezone(zone):%Y-%m-%d} {padded}"
    try:
        return datetime.fromisoformat(stripped)
    except ValueError:
        raise ValueError(f"{_FORM}, got {text!r}") from None


def _local(at: datetime, length: timedelta, zone: ZoneInfo) -> Asked:
    local = at.replace(tzinfo=UTC)
    instant = at.replace(tzinfo=zone).astimezone(UTC)
    for change in clock_changes(zone, instant - _NEAR, instant + _NEAR):
        if change.low <= local < change.high:
            start = change.at if change.is_gap else local - change.before
            return Asked(start, length, local, change)
    return Asked(instant, length, local)
