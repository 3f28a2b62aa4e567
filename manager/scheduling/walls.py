"""Schedules of local time: which instants a clock on the wall shows them at.

A pattern names local times; a zone says which instants show them. On an ordinary day that is
arithmetic. On a day on which the clock is set, the day is cut into its stretches of constant
offset, and each local time is looked up there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from core.policy import Dst
from manager.scheduling.offsets import ONE_DAY, midnight_of, steady_offset, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from manager.scheduling.patterns import Pattern

_SECOND: Final = timedelta(seconds=1)
_DAY_SECONDS: Final = 86_400
_LAST_SECOND: Final = _DAY_SECONDS - 1
_LAST_YEAR: Final = 9999
_CYCLE_YEARS: Final = 400  # the calendar repeats itself after so many


@dataclass(frozen=True, slots=True)
class _Window:
    """Local seconds of a day ``[low, high)`` that are shown at ``base`` plus as many seconds."""

    base: datetime
    low: int
    high: int


class WallTrigger:
    """The instants at which a zone shows the local times of a pattern."""

    def __init__(self, pattern: Pattern, zone: ZoneInfo, dst: Dst = Dst.ONCE) -> None:
        self._pattern = pattern
        self._zone = zone
        self._dst = dst
        self._every = pattern.count_until(_LAST_SECOND)
        self._odd = lru_cache(64)(self._odd_windows)
        self._from_midnight = lru_cache(1440)(self._seconds_of)  # the minutes of a day

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose clocks it reads."""
        return self._zone

    @property
    def is_fixed(self) -> bool:
        """Whether each local time is meant once, where a wildcard means all that show it."""
        return not self._pattern.repeats

    def elsewhere(self, zone: ZoneInfo) -> WallTrigger:
        """Return the instants at which *zone* shows the same local times."""
        return WallTrigger(self._pattern, zone, self._dst)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        if not self._pattern.times:  # no local time is left of two patterns that were joined
            return None
        try:
            return self._next_after(instant)
        except OverflowError:  # beyond the last day that a date can name
            return None

    def _next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*.

        Where a clock is set back over midnight, the first times of a date come before the second
        evening of the date before.
        """
        for day in self._pattern.dates_from(self._day_before(instant)):
            found = self._first_on(day, instant)
            if found is None:
                continue
            comes_again = len(self._windows(day)) > 1 and self._pattern.has(day + ONE_DAY)
            tomorrow = self._first_on(day + ONE_DAY, instant) if comes_again else None
            return found if tomorrow is None else min(found, tomorrow)
        return None

    def _first_on(self, day: date, instant: datetime) -> datetime | None:
        """Return the first occurrence of *day* that is later than *instant*."""
        for window in self._windows(day):
            number = self._reached(window, instant)
            if number < self._pattern.count_until(window.high - 1):
                return window.base + timedelta(seconds=self._pattern.nth(number))
        return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it.

        The date after the one that is shown counts too: where a clock is set back over midnight,
        it was shown before.
        """
        if instant <= after:
            return None, 0
        final = instant.astimezone(self._zone).date()
        last: datetime | None = None
        count = 0
        for day in self._pattern.dates_from(self._day_before(after)):
            if (day - final).days > 1:
                break
            for window in self._windows(day):
                low, high = self._reached(window, after), self._reached(window, instant)
                if high > low:
                    count += high - low
                    moment = window.base + timedelta(seconds=self._pattern.nth(high - 1))
                    last = moment if last is None else max(last, moment)
        return last, count

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending.

        What is due on a date on which the clock is set waits for the next date's, some of which
        may come before.
        """
        final = until.astimezone(self._zone).date()
        held: list[datetime] = []
        for day in self._pattern.dates_from(self._day_before(after)):
            if (day - final).days > 1:
                break
            windows = self._windows(day)
            found = self._within(windows, after, until)
            if len(windows) > 1:
                held = sorted([*held, *found])
            elif held:
                yield from sorted([*held, *found])
                held = []
            else:
                yield from found
        yield from held

    def _within(
        self, windows: Sequence[_Window], after: datetime, until: datetime
    ) -> Iterator[datetime]:
        for window in windows:
            for number in range(self._reached(window, after), self._reached(window, until)):
                yield window.base + self._from_midnight(number)

    def meeting(self, other: WallTrigger) -> WallTrigger | None:
        """Return what is due when both are, where patterns alone can say: both of wildcards."""
        alike = self._zone.key == other._zone.key
        pattern = self._pattern.meeting(other._pattern)
        return WallTrigger(pattern, self._zone) if alike and pattern.repeats else None

    def _seconds_of(self, number: int) -> timedelta:
        return timedelta(seconds=self._pattern.nth(number))

    def _reached(self, window: _Window, instant: datetime) -> int:
        """Return the number of the first local time of *window* that is later than *instant*."""
        second = (instant - window.base) // _SECOND
        if second >= window.high:
            second = window.high - 1
        elif second < window.low:
            second = window.low - 1
        return self._every if second == _LAST_SECOND else self._pattern.count_until(second)

    def _day_before(self, instant: datetime) -> date:
        day = instant.astimezone(self._zone).date()
        return day - ONE_DAY if day.toordinal() > 1 else day

    def _windows(self, day: date) -> tuple[_Window, ...]:
        """Return the windows of *day*, ascending; on an ordinary day there is one."""
        offset = steady_offset(self._zone, day)
        if offset is None:
            return self._odd(day)
        return (_Window(midnight_of(day) - offset, 0, _DAY_SECONDS),)

    def _odd_windows(self, day: date) -> tuple[_Window, ...]:
        """Return the windows of a day on or near which the clock is set.

        In a fold the second pass has a window of its own only where it counts. What falls into
        a gap has a window of one second that begins where the gap ends.
        """
        midnight, shown = midnight_of(day), 0
        every = self._pattern.repeats or self._dst is Dst.BOTH
        found: list[_Window] = []
        for start, end, offset in stretches(self._zone, day):
            low = (start + offset - midnight) // _SECOND
            high = (end + offset - midnight) // _SECOND
            if low > shown:
                found += self._gap(shown, low, start)
            found.append(_Window(midnight - offset, low if every else max(low, shown), high))
            shown = max(shown, high)
        if found and shown < _DAY_SECONDS:
            found += self._gap(shown, _DAY_SECONDS, found[-1].base + timedelta(seconds=shown))
        return tuple(window for window in found if window.low < window.high)

    def _gap(self, low: int, high: int, ends: datetime) -> list[_Window]:
        """Return the window of what falls into a gap, unless its end is an occurrence itself."""
        last = self._pattern.count_until(high - 1)
        if self._pattern.repeats or self._dst is Dst.SKIP:
            return []
        if last == self._pattern.count_until(low - 1):
            return []
        wall = ends.astimezone(self._zone)
        second = wall.hour * 3600 + wall.minute * 60 + wall.second
        own = self._pattern.count_until(second) > self._pattern.count_until(second - 1)
        if own and self._pattern.has(wall.date()):
            return []
        named = self._pattern.nth(last - 1)
        return [_Window(ends - timedelta(seconds=named), named, named + 1)]
