"""Times at which nothing is due: dates, public holidays, blackout windows."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from manager.scheduling.offsets import ONE_DAY, day_spans

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from zoneinfo import ZoneInfo

DAY: Final = 86_400
_SECOND: Final = timedelta(seconds=1)
_AGE: Final = timedelta(days=3_653)
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Nightly:
    """A window of every day, or of some weekdays: seconds of the local day ``[low, high)``.

    A *high* beyond the day's end reaches into the next one.
    """

    low: int
    high: int
    weekdays: frozenset[int]


class Exclusions:
    """What is excluded in a zone."""

    def __init__(
        self,
        zone: ZoneInfo,
        *,
        dates: frozenset[date],
        yearly: frozenset[tuple[int, int]],
        holidays: Callable[[date], bool] | None,
        nightly: tuple[Nightly, ...],
        once: tuple[Span, ...],
    ) -> None:
        self._zone = zone
        self._dates = dates
        self._yearly = yearly
        self._holidays = holidays
        self._nightly = nightly
        self._once = once
        self._of_day = lru_cache(512)(self._spans_of)

    def covering(self, instant: datetime) -> Span | None:
        """Return the span of its date that covers *instant*, or ``None``."""
        spans = self._of_day(instant.astimezone(self._zone).date())
        at = bisect_right(spans, instant, key=lambda span: span[0]) - 1
        return spans[at] if at >= 0 and instant < spans[at][1] else None

    def free_from(self, instant: datetime) -> datetime | None:
        """Return the first instant from *instant* on that is not covered.

        None where dates and windows of the day leave none free in ten years.
        """
        free, searched = instant, timedelta(0)
        while (covered := self.covering(free)) is not None:
            ends = [end for start, end in self._once if start <= free < end]
            if not ends:
                searched += covered[1] - free
            free = max([covered[1], *ends])
            if searched > _AGE:
                return None
        return free

    def spans(self, after: datetime, until: datetime) -> list[Span]:
        """Return what is covered between two instants, ascending and apart.

        The date after the last one counts too: where a clock is set back over midnight, it was
        shown before.
        """
        day = after.astimezone(self._zone).date()
        final = until.astimezone(self._zone).date() + ONE_DAY
        found: list[Span] = []
        while day <= final:
            found += (span for span in self._of_day(day) if after < span[1] and span[0] <= until)
            day += ONE_DAY
        return _merged(found)

    def _spans_of(self, day: date) -> list[Span]:
        """Return what of *day* is covered, as instants, ascending and apart."""
        seconds = self._seconds_of(day)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        found: list[Span] = []
        for start, end, offset in day_spans(self._zone, day):
            for low, high in seconds:
                first = max(start, midnight + low * _SECOND - offset)
                last = min(end, midnight + high * _SECOND - offset)
                if first < last:
                    found.append((first, last))
            found += [
                (max(start, span[0]), min(end, span[1]))
                for span in self._once
                if span[0] < end and start < span[1]
            ]
        return _merged(found)

    def _seconds_of(self, day: date) -> list[tuple[int, int]]:
        """Return which local seconds of *day* are covered."""
        whole = day in self._dates or (day.month, day.day) in self._yearly
        if whole or (self._holidays is not None and self._holidays(day)):
            return [(0, DAY)]
        found = []
        for window in self._nightly:
            if day.weekday() in window.weekdays:
                found.append((window.low, min(window.high, DAY)))
            if window.high > DAY and (day.weekday() - 1) % 7 in window.weekdays:
                found.append((0, window.high - DAY))
        return found


def _merged(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
