"""Schedules of local time: which instants a clock on the wall shows them at.

A pattern names local times; a zone says which instants show them. On an ordinary day that is
arithmetic. On a day on which the clock is set, the day is cut into its stretches of constant
offset, and each local time is looked up there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap, monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from core.policy import Dst
from manager.scheduling.offsets import ONE_DAY, REACH, midnight_of, offset_of, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from zoneinfo import ZoneInfo

_SECOND: Final = timedelta(seconds=1)
_DAY_SECONDS: Final = 86_400
_LAST_YEAR: Final = 9999
_CYCLE_YEARS: Final = 400  # the calendar repeats itself after so many


@dataclass(frozen=True, slots=True)
class Pattern:
    """Local times.

    Attributes:
        hours: Hours of the day, ascending; the minutes and seconds likewise.
        months: Months of the year.
        years: Years, or ``None`` for any.
        day: Tells whether a date is one of the pattern's, its month and year aside.
        repeats: Whether every instant that shows a matching local time is meant (a wildcard),
            not each local time once.
        cyclic: Whether years of one length and one first weekday have the same dates.
    """

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    months: frozenset[int]
    years: frozenset[int] | None
    day: Callable[[date], bool]
    repeats: bool
    cyclic: bool = True

    @property
    def times(self) -> int:
        """How many local times an ordinary day has."""
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def dates_from(self, start: date) -> Iterator[date]:
        """Yield the matching dates from *start* on; ends where the calendar has been round.

        Years of one kind have the same dates: one kind without any is looked through once.
        """
        barren: set[tuple[bool, bool, int]] = set()
        for year in self._years_from(start.year):
            kind = (isleap(year), isleap(year - 1), date(year, 1, 1).weekday())
            if kind in barren:
                continue
            first = start if year == start.year else date(year, 1, 1)
            found = False
            for found_day in self._dates_of_year(first):
                found = True
                yield found_day
            if self.cyclic and not found and year > start.year:
                barren.add(kind)

    def _dates_of_year(self, first: date) -> Iterator[date]:
        for month in sorted(self.months):
            if month >= first.month:
                begin = first.day if month == first.month else 1
                for number in range(begin, monthrange(first.year, month)[1] + 1):
                    day = date(first.year, month, number)
                    if self.day(day):
                        yield day

    def _years_from(self, start: int) -> Sequence[int]:
        if self.years is None:
            return range(start, min(start + _CYCLE_YEARS, _LAST_YEAR) + 1)
        return sorted(year for year in self.years if year >= start)

    def has(self, day: date) -> bool:
        """Tell whether *day* is one of the pattern's."""
        in_year = self.years is None or day.year in self.years
        return in_year and day.month in self.months and self.day(day)

    def meeting(self, other: Pattern) -> Pattern:
        """Return the local times that both patterns name."""
        years = self.years if other.years is None else other.years
        if self.years is not None and other.years is not None:
            years = self.years & other.years
        return Pattern(
            hours=_shared(self.hours, other.hours),
            minutes=_shared(self.minutes, other.minutes),
            seconds=_shared(self.seconds, other.seconds),
            months=self.months & other.months,
            years=years,
            day=lambda day: self.day(day) and other.day(day),
            repeats=self.repeats and other.repeats,
            cyclic=self.cyclic and other.cyclic,
        )

    def count_until(self, second: int) -> int:
        """Return how many local times are at most *second* of the day."""
        if second < 0:
            return 0
        hour, rest = divmod(second, 3600)
        minute, last = divmod(rest, 60)
        count = bisect_left(self.hours, hour) * len(self.minutes) * len(self.seconds)
        if hour in self.hours:
            count += bisect_left(self.minutes, minute) * len(self.seconds)
            if minute in self.minutes:
                count += bisect_right(self.seconds, last)
        return count

    def nth(self, number: int) -> int:
        """Return the local time *number* of the day, from 0, as seconds from midnight."""
        rest, second = divmod(number, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return self.hours[hour] * 3600 + self.minutes[minute] * 60 + self.seconds[second]


def _shared(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(value for value in ours if value in theirs)


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
        try:
            return self._next_after(instant)
        except OverflowError:  # beyond the last day that a date can name
            return None

    def _next_after(self, instant: datetime) -> datetime | None:
        for day in self._pattern.dates_from(self._day_before(instant)):
            for window in self._windows(day):
                number = self._reached(window, instant)
                if number < self._pattern.count_until(window.high - 1):
                    return window.base + timedelta(seconds=self._pattern.nth(number))
        return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        if instant <= after:
            return None, 0
        final = instant.astimezone(self._zone).date()
        last, count = None, 0
        for day in self._pattern.dates_from(self._day_before(after)):
            if day > final:
                break
            for window in self._windows(day):
                low, high = self._reached(window, after), self._reached(window, instant)
                if high > low:
                    count += high - low
                    last = window.base + timedelta(seconds=self._pattern.nth(high - 1))
        return last, count

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        final = until.astimezone(self._zone).date()
        for day in self._pattern.dates_from(self._day_before(after)):
            if day > final:
                return
            for window in self._windows(day):
                low, high = self._reached(window, after), self._reached(window, until)
                for number in range(low, high):
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
        second = max(window.low - 1, min(second, window.high - 1))
        return self._pattern.count_until(second)

    def _day_before(self, instant: datetime) -> date:
        day = instant.astimezone(self._zone).date()
        return day - ONE_DAY if day.toordinal() > 1 else day

    def _windows(self, day: date) -> tuple[_Window, ...]:
        """Return the windows of *day*, ascending; on an ordinary day there is one."""
        midnight = midnight_of(day)
        offset = offset_of(self._zone, midnight - REACH)
        if offset == offset_of(self._zone, midnight + ONE_DAY + REACH):
            return (_Window(midnight - offset, 0, _DAY_SECONDS),)
        return self._odd(day)

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
