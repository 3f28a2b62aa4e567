"""Where clocks are set: zones, and the instants at which their offset changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1)
_STRIDE: Final = 6 * DAY  # since 1970 no zone came back to an offset in less than seven days


@dataclass(frozen=True, slots=True)
class Change:
    """A clock that is set.

    Attributes:
        instant: The first instant of the new offset.
        before: The offset until then.
        after: The offset from then on.
    """

    instant: datetime
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        """Whether local times are left out, not repeated."""
        return self.after > self.before

    @property
    def walls(self) -> tuple[datetime, datetime]:
        """The first local time that is left out or repeated, and the first that is not again."""
        shown = (self.instant + self.before, self.instant + self.after)
        return min(shown).replace(tzinfo=None), max(shown).replace(tzinfo=None)


@cache
def changes(zone: str, first: int = 1970, last: int = 2037) -> tuple[Change, ...]:
    """Return the changes of *zone* in the years from *first* to *last*."""
    info = ZoneInfo(zone)
    instants = _strides(first, last)
    offsets = [_offset(info, instant) for instant in instants]
    found = []
    for number, (before, after) in enumerate(pairwise(offsets)):
        if before != after:
            instant = _first_of(info, after, instants[number], instants[number + 1])
            found.append(Change(instant, before, after))
    return tuple(found)


@cache
def _strides(first: int, last: int) -> list[datetime]:
    start, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    return [*(start + n * _STRIDE for n in range((end - start) // _STRIDE + 1)), end]


def _first_of(info: ZoneInfo, offset: timedelta, early: datetime, late: datetime) -> datetime:
    """Return the first second of *offset* between two instants."""
    while late - early > SECOND:
        middle = early + (late - early) // (2 * SECOND) * SECOND
        if _offset(info, middle) == offset:
            late = middle
        else:
            early = middle
    return late


def _offset(info: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(info).utcoffset() or timedelta(0)
