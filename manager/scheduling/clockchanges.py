"""What becomes of fixed local times where a zone sets its clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.policy import Dst
from core.trigger import NO_LIMITS
from manager.scheduling.offsets import ONE_DAY, offset_of, settings_of
from manager.scheduling.triggers import build_trigger
from manager.scheduling.walls import WallTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from core.trigger import Schedule
    from manager.scheduling.patterns import Pattern

_SECOND: Final = timedelta(seconds=1)
_MICROSECOND: Final = timedelta(microseconds=1)
_LOCAL: Final = frozenset({"cron", "calendar"})
_STEADY: Final = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class ClockChange:
    """An instant at which a zone sets its clock.

    Attributes:
        zone: IANA name.
        at: The first instant of the new offset.
        before: Offset until then.
        after: Offset from then on.
    """

    zone: str
    at: datetime
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        """Whether the clock is set forward, so that some local times are not shown."""
        return self.after > self.before

    @property
    def low(self) -> datetime:
        """The first local time that is left out or repeated, written as if it were UTC."""
        return self.at + min(self.before, self.after)

    @property
    def high(self) -> datetime:
        """The first local time that is not left out or repeated any more, as if it were UTC."""
        return self.at + max(self.before, self.after)

    def holds(self, local: datetime) -> bool:
        """Tell whether *local*, a time without a zone, is left out or repeated."""
        return self.low <= local.replace(tzinfo=UTC) < self.high

    def count(self, pattern: Pattern) -> int:
        """Return how many local times of *pattern* are left out or repeated."""
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
            end = min(self.high, midnight + ONE_DAY)
            yield start.date(), (start - midnight) // _SECOND, (end - midnight) // _SECOND
            start = end

    def __str__(self) -> str:
        return f"{self.low:%Y-%m-%d} ({self.low:%H:%M} to {self.high:%H:%M})"


@dataclass(frozen=True, slots=True)
class Affected:
    """Local times of a schedule that a zone leaves out or shows twice.

    Attributes:
        change: Where the clock is set.
        times: The local times, written as if they were UTC.
        due: When the schedule is due for them; empty where they are left out.
    """

    change: ClockChange
    times: tuple[datetime, ...]
    due: tuple[datetime, ...]


@lru_cache(256)
def clock_changes(zone: ZoneInfo, after: datetime, until: datetime) -> tuple[ClockChange, ...]:
    """Return where *zone* sets its clock in ``(after, until]``, ascending."""
    found: list[ClockChange] = []
    day, until = after.astimezone(UTC), until.astimezone(UTC)
    while day < until:
        following = min(day + ONE_DAY, until)
        if offset_of(zone, day) != offset_of(zone, following):
            for at in settings_of(zone, day, following):
                offsets = offset_of(zone, at - _MICROSECOND), offset_of(zone, at)
                found.append(ClockChange(zone.key, at.astimezone(UTC), *offsets))
        day = following
    return tuple(found)


def affected(schedule: Schedule, after: datetime, until: datetime) -> list[Affected]:
    """Return what clock changes in ``(after, until]`` do to fixed local times of *schedule*.

    Wildcards, intervals and combined triggers have no fixed local time. Its jitter is left out
    of account: each due instant is the one that is put off.
    """
    if schedule.trigger not in _LOCAL:
        return []
    wall = build_trigger(replace(schedule, limits=NO_LIMITS))
    if not isinstance(wall, WallTrigger) or not wall.is_fixed:
        return []
    changes = clock_changes(wall.zone, after, until)
    if not changes:
        return []
    steady = replace(schedule, limits=replace(schedule.limits, jitter=timedelta(0), salt=""))
    due, once = build_trigger(steady), build_trigger(replace(steady, dst=Dst.ONCE))
    local = wall.elsewhere(_STEADY)
    found: list[Affected] = []
    for change in changes:
        times = tuple(local.between(change.low - _MICROSECOND, change.high - _MICROSECOND))
        size = timedelta(0) if change.is_gap else change.before - change.after
        reach = change.at - size - _MICROSECOND, change.at + max(size - _MICROSECOND, size * 0)
        if times and any(once.between(*reach)):
            found.append(Affected(change, times, tuple(due.between(*reach))))
    return found
