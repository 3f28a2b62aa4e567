"""Patterns of local time: which dates, and which times of the day."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import isleap, monthrange
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
        for month in range(first.month, 13):
            if month in self.months:
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
