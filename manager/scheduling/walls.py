"""Schedules of local time: which instants a clock on the wall shows them at.

A pattern names local times; a zone says which instants show them. On an ordinary day that is
arithmetic. On a day on which the clock is set, the day is cut into its stretches of constant
offset, and each local time is looked up there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap, monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from core.policy import Dst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from zoneinfo import ZoneInfo

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_DAY_SECONDS: Final = 86_400
_REACH: Final = timedelta(hours=27)  # no zone is farther from UTC than a day and some
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
    """

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    months: frozenset[int]
    years: frozenset[int] | None
    day: Callable[[date], bool]
    repeats: bool

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
            if not found and year > start.year:
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

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
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
            comes_again = len(self._windows(day)) > 1 and self._pattern.has(day + _DAY)
            tomorrow = self._first_on(day + _DAY, instant) if comes_again else None
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

    def _reached(self, window: _Window, instant: datetime) -> int:
        """Return the number of the first local time of *window* that is later than *instant*."""
        second = (instant - window.base) // _SECOND
        second = max(window.low - 1, min(second, window.high - 1))
        return self._pattern.count_until(second)

    def _day_before(self, instant: datetime) -> date:
        day = instant.astimezone(self._zone).date()
        return day - _DAY if day.toordinal() > 1 else day

    def _windows(self, day: date) -> tuple[_Window, ...]:
        """Return the windows of *day*, ascending; on an ordinary day there is one."""
        midnight = _midnight(day)
        offset = _offset(self._zone, midnight - _REACH)
        if offset == _offset(self._zone, midnight + _DAY + _REACH):
            return (_Window(midnight - offset, 0, _DAY_SECONDS),)
        return self._odd(day)

    def _odd_windows(self, day: date) -> tuple[_Window, ...]:
        """Return the windows of a day on or near which the clock is set.

        In a fold the second pass has a window of its own only where it counts. What falls into
        a gap has a window of one second that begins where the gap ends.
        """
        midnight, shown = _midnight(day), 0
        every = self._pattern.repeats or self._dst is Dst.BOTH
        found: list[_Window] = []
        for start, end, offset in _stretches(self._zone, day):
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


@lru_cache(maxsize=256)
def _stretches(zone: ZoneInfo, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """Return the stretches of constant offset in which *zone* shows *day*, as instants.

    They are the same for every schedule of the zone, and cost more than all else of such a day.
    """
    midnight = _midnight(day)
    low, high = midnight - _REACH, midnight + _DAY + _REACH
    cuts, moment = [low], low
    while moment < high:
        following = min(moment + _HOUR, high)
        if _offset(zone, moment) != _offset(zone, following):
            cuts.append(_cut(zone, moment, following))
        moment = following
    found = []
    for start, end in zip(cuts, [*cuts[1:], high], strict=True):
        offset = _offset(zone, start)
        first, last = max(start, midnight - offset), min(end, midnight + _DAY - offset)
        if first < last:
            found.append((first, last, offset))
    return tuple(found)


def _cut(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """Return the first second of the new offset between *early* and *late*."""
    new = _offset(zone, late)
    while late - early > _SECOND:
        middle = early + (late - early) // (2 * _SECOND) * _SECOND
        if _offset(zone, middle) == new:
            late = middle
        else:
            early = middle
    return late


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
