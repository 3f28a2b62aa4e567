"""What a schedule means, by plain definition: which local dates and times it names.

Written beside the product's own reading and without any of it, to be held against it: each
field is a set of numbers that is spelt out, each rule about days a sentence about one date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DAY: Final = timedelta(days=1)
FIELDS: Final = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_MONTHS: Final = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
]  # fmt: skip
_FROM_SUNDAY: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_FROM_MONDAY: Final = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_ORDINALS: Final = ("1st", "2nd", "3rd", "4th", "5th")
_NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """The local times that a schedule names.

    Attributes:
        has_date: Tells whether a date is named.
        seconds: The times of day that are named, in seconds from midnight.
        is_wildcard: Whether its second, minute or hour begins with ``*``.
        last_year: The last year that is named, or ``None``.
        zone: The zone that the schedule names itself, or ``None``.
    """

    has_date: Callable[[date], bool]
    seconds: frozenset[int]
    is_wildcard: bool
    last_year: int | None = None
    zone: str | None = None


def of_cron(text: str) -> Meaning:
    """Return the meaning of a cron string: crontab's."""
    zone, rest = None, text.strip()
    if "TZ=" in rest:
        prefix, rest = rest.split(maxsplit=1)
        zone = prefix.partition("=")[2]
    words = _NAMED.get(rest.lower(), rest).lower().split()
    second = words.pop(0) if len(words) > 5 else "0"
    year = words.pop() if len(words) > 5 else "*"
    minute, hour, day, month, weekday = words
    years = None if year in {"*", "?"} else _numbers(year, 1970, 2099)
    months = _numbers(month, 1, 12, _MONTHS)

    def has_date(at: date) -> bool:
        if at.month not in months or (years is not None and at.year not in years):
            return False
        both = day[0] in "*?" or weekday[0] in "*?"
        in_month, in_week = _is_day_of_month(day, at), _is_day_of_week(weekday, at)
        return in_month and in_week if both else in_month or in_week

    return Meaning(
        has_date,
        _times(_numbers(hour, 0, 23), _numbers(minute, 0, 59), _numbers(second, 0, 59)),
        any(word[0] == "*" for word in (hour, minute, second)),
        max(years) if years else None,
        zone,
    )


def of_fields(given: Mapping[str, int | str]) -> Meaning:
    """Return the meaning of cron fields: APScheduler's."""
    finest = max(FIELDS.index(name) for name in given)
    lowest = {"month": "1", "day": "1", "hour": "0", "minute": "0", "second": "0"}
    words = {name: "*" if at < finest else lowest.get(name, "*") for at, name in enumerate(FIELDS)}
    words |= {name: str(value).lower() for name, value in given.items()}
    years = None if words["year"] == "*" else _numbers(words["year"], 1970, 2099)
    months = _numbers(words["month"], 1, 12, _MONTHS)
    weeks = _numbers(words["week"], 1, 53)
    weekdays = _numbers(words["day_of_week"], 0, 6, _FROM_MONDAY)

    def has_date(at: date) -> bool:
        return (
            (years is None or at.year in years)
            and at.month in months
            and at.isocalendar().week in weeks
            and at.weekday() in weekdays
            and any(_is_day_of_fields(term.strip(), at) for term in words["day"].split(","))
        )

    return Meaning(
        has_date,
        _times(
            _numbers(words["hour"], 0, 23),
            _numbers(words["minute"], 0, 59),
            _numbers(words["second"], 0, 59),
        ),
        any(words[name][0] == "*" for name in ("hour", "minute", "second")),
        max(years) if years else None,
    )


def _times(
    hours: frozenset[int], minutes: frozenset[int], seconds: frozenset[int]
) -> frozenset[int]:
    return frozenset(h * 3600 + m * 60 + s for h in hours for m in minutes for s in seconds)


def _numbers(word: str, low: int, high: int, names: list[str] | None = None) -> frozenset[int]:
    """Return the numbers that a word names; a range whose end is before its start goes round."""
    found: set[int] = set()
    for term in word.split(","):
        span, _, step = term.strip().partition("/")
        first, _, last = span.partition("-")
        if first in {"*", "?"}:
            start, end = low, high
        else:
            start = _number(first, low, names)
            end = _number(last, low, names) if last else high if step else start
        if start <= end:
            numbers = list(range(start, end + 1))
        else:
            numbers = [*range(start, high + 1), *range(low, end + 1)]
        found.update(numbers[:: int(step or 1)])
    return frozenset(found)


def _number(text: str, low: int, names: list[str] | None) -> int:
    return names.index(text) + low if names and text in names else int(text)


def _is_day_of_month(word: str, at: date) -> bool:
    return any(_is_day(term, at) for term in word.split(","))


def _is_day(term: str, at: date) -> bool:
    last = _last_of_month(at)
    if term == "l":
        return at == last
    if term == "lw":
        return at == _nearest_weekday(last)
    near = re.fullmatch(r"(\d+)w", term)
    if near:
        wanted = int(near[1])
        return wanted <= last.day and at == _nearest_weekday(at.replace(day=wanted))
    return at.day in _numbers(term, 1, 31)


def _is_day_of_week(word: str, at: date) -> bool:
    return any(_is_weekday(term, at) for term in word.split(","))


def _is_weekday(term: str, at: date) -> bool:
    if term.endswith("l"):
        return _is_weekday(term[:-1], at) and (at + 7 * DAY).month != at.month
    name, _, number = term.partition("#")
    if number:
        return _is_weekday(name, at) and (at.day + 6) // 7 == int(number)
    return at.isoweekday() % 7 in {each % 7 for each in _numbers(name, 0, 6, _FROM_SUNDAY)}


def _is_day_of_fields(term: str, at: date) -> bool:
    last = _last_of_month(at)
    if term == "last":
        return at == last
    which, _, name = term.partition(" ")
    if not name:
        return at.day in _numbers(term, 1, 31)
    if at.weekday() != _FROM_MONDAY.index(name.strip()):
        return False
    if which == "last":
        return (at + 7 * DAY).month != at.month
    return (at.day + 6) // 7 == _ORDINALS.index(which) + 1


def _last_of_month(at: date) -> date:
    return (at.replace(day=28) + 4 * DAY).replace(day=1) - DAY


def _nearest_weekday(wanted: date) -> date:
    """Return the day from Monday to Friday of the same month that is nearest to *wanted*."""
    near = [wanted + n * DAY for n in (0, -1, 1, -2, 2)]
    return next(day for day in near if day.month == wanted.month and day.weekday() < 5)
