"""When the clocks of a zone are set, and which local times that skips or repeats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from zoneinfo import ZoneInfo

    from manager.scheduling.walls import Pattern

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """One instant at which a zone sets its clock.

    Attributes:
        instant: The first instant of the new offset.
        low: The first local time that it skips or repeats, without a zone.
        high: The first local time after those.
        skips: Whether it skips them; else it repeats them.
    """

    instant: datetime
    low: datetime
    high: datetime
    skips: bool

    def __str__(self) -> str:
        return f"{self.low:%Y-%m-%d} ({self.low:%H:%M} to {self.high:%H:%M})"

    def holds(self, local: datetime) -> bool:
        """Tell whether *local*, a time without a zone, is skipped or repeated."""
        return self.low <= local < self.high

    def count(self, pattern: Pattern) -> int:
        """Return how many local times of *pattern* are skipped or repeated."""
        return sum(
            pattern.count_until(high - 1) - pattern.count_until(low - 1)
            for day, low, high in self._pieces()
            if pattern.has(day)
        )

    def _pieces(self) -> Iterator[tuple[date, int, int]]:
        """Yield each date that is touched, with the seconds of it."""
        start = self.low
        while start < self.high:
            midnight = start.replace(hour=0, minute=0, second=0)
            end = min(self.high, midnight + _DAY)
            first, last = (start - midnight) // _SECOND, (end - midnight) // _SECOND
            yield start.date(), first, last
            start = end


def clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> list[ClockChange]:
    """Return the changes of *zone* in ``(start, end]``, in order, found to the second."""
    found: list[ClockChange] = []
    moment = start.astimezone(UTC)
    while moment < end:
        following = min(moment + _DAY, end.astimezone(UTC))
        before, after = _offset(zone, moment), _offset(zone, following)
        if before != after:
            found.append(_change(zone, moment, following))
        moment = following
    return found


def _change(zone: ZoneInfo, early: datetime, late: datetime) -> ClockChange:
    before, after = _offset(zone, early), _offset(zone, late)
    while late - early > _SECOND:
        middle = early + (late - early) // 2
        if _offset(zone, middle) == before:
            early = middle
        else:
            late = middle
    instant = late.replace(microsecond=0)
    local = instant.replace(tzinfo=None)
    low, high = sorted((local + before, local + after))
    return ClockChange(instant, low, high, skips=after > before)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
