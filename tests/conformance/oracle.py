"""When a schedule is due, by brute force: every instant is asked what the clock on the wall shows.

The rule for the days on which the clock is set, word for word: a wildcard fires at every instant
whose local time matches. Any other schedule fires each matching local time once, in the first
pass of a fold; a local time in a gap fires at the first valid instant, and several collapse into
one. ``both`` fires in both passes, ``skip`` not at all in a gap. A date that no clock of the zone
showed has no occurrence.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from tests.conformance.rows import Question, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.meaning import Meaning

_MINUTE: Final = 60
_DAY_SECONDS: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEAR: Final = 1  # days: no zone is as far from UTC, and no pass of a fold is as long
_LAST_YEAR: Final = 2099
_FORECAST: Final = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())


def answered(question: Question, count: int = 5) -> Row:
    """Return the row of *question*, with its first *count* occurrences.

    Those from 2026 on are given for UTC only: elsewhere they are forecasts, and the releases of
    the zone database differ.

    Raises:
        ValueError: fewer were found before the year 2100, and the schedule names no last year.
    """
    meaning, found = question.meaning, list[datetime]()
    start = int((question.start - _EPOCH).total_seconds())
    zone, last_year = meaning.zone or question.zone, meaning.last_year or _LAST_YEAR
    for fired in _fired(meaning, zone, question.dst, start, last_year):
        if fired >= _FORECAST and zone != "UTC":
            return Row(question, tuple(found), is_all=False)
        found.append(_EPOCH + timedelta(seconds=fired))
        if len(found) == count:
            return Row(question, tuple(found), is_all=False)
    if meaning.last_year is None:
        text = f"expected {count} occurrences before 2100, got {len(found)}: {question}"
        raise ValueError(text)
    return Row(question, tuple(found), is_all=True)


def _fired(meaning: Meaning, zone: str, dst: str, start: int, last_year: int) -> Iterator[int]:
    """Yield the seconds since 1970 at which the schedule fires, later than *start*."""
    dates: dict[int, bool] = {}

    def has_date(ordinal: int) -> bool:
        if ordinal not in dates:
            dates[ordinal] = meaning.has_date(date.fromordinal(ordinal))
        return dates[ordinal]

    def matches(wall: int) -> bool:
        return wall % _DAY_SECONDS in meaning.seconds and has_date(wall // _DAY_SECONDS)

    every = meaning.is_wildcard or dst == "both"
    marks = _marks(meaning, zone, start)
    seen: set[int] = set()
    end = date(last_year + 1, 1, 1).toordinal() - _EPOCH.toordinal() + _NEAR
    for day in range(start // _DAY_SECONDS - (0 if every else _NEAR), end):
        ordinal = day + _EPOCH.toordinal()
        if not any(has_date(ordinal + near) for near in range(-_NEAR, _NEAR + 1)):
            continue
        previous = day * _DAY_SECONDS - 1
        before = _wall(zone, previous)
        for instant, wall in _shown(zone, day, marks):
            fires = matches(wall) and (every or wall not in seen)
            if fires:
                seen.add(wall)
            is_set_forward = wall - before > instant - previous
            if is_set_forward and not meaning.is_wildcard and dst != "skip":
                own = {before // _DAY_SECONDS, wall // _DAY_SECONDS}
                left_out = range(before + 1, wall)
                fires |= any(matches(each) for each in left_out if each // _DAY_SECONDS in own)
            if fires and instant > start:
                yield instant
            previous, before = instant, wall


def _marks(meaning: Meaning, zone: str, start: int) -> tuple[int, ...]:
    """Return the seconds of a minute that are looked at: its first, and what the schedule names.

    Where the minutes of a zone do not turn together with those of UTC, all are.
    """
    if _wall(zone, start - start % _MINUTE - 400 * _DAY_SECONDS) % _MINUTE:
        return tuple(range(_MINUTE))
    return tuple(sorted({0, *(second % _MINUTE for second in meaning.seconds)}))


@lru_cache(maxsize=128)
def _shown(zone: str, day: int, marks: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return the instants of a UTC day that are looked at, each with what the clock shows."""
    begin = day * _DAY_SECONDS
    minutes = range(begin, begin + _DAY_SECONDS, _MINUTE)
    instants = (minute + mark for minute in minutes for mark in marks)
    return tuple((instant, _wall(zone, instant)) for instant in instants)


def _wall(zone: str, second: int) -> int:
    """Return what the clock shows, as seconds since the start of the calendar."""
    at = (_EPOCH + timedelta(seconds=second)).astimezone(_zone(zone))
    return at.toordinal() * _DAY_SECONDS + at.hour * 3600 + at.minute * 60 + at.second


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
