"""Cron strings: crontab's meaning, with seconds, years, and the marks of later dialects.

Terms are read by cronsim; what it lacks is added here: ranges that wrap around, the nearest
weekday ``15W``, years, ``?``, the ``@`` names, and a ``CRON_TZ=`` prefix.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cronsim.cronsim import CronSim, CronSimError, Field

from configurations.masking import shown
from core.errors import Problem, TriggerError
from manager.scheduling.patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
YEARS: Final = (1970, 9999)
_WEEK: Final = 7
_SATURDAY, _SUNDAY = 5, 6
_LONGEST: Final = 500
_NEAREST: Final = -1002
_FIELDS: Final = {5: (False, False), 6: (True, False), 7: (True, True)}
_RANGES: Final = {
    Field.SECOND: (0, 59, "second", "0-59"),
    Field.MINUTE: (0, 59, "minute", "0-59"),
    Field.HOUR: (0, 23, "hour", "0-23"),
    Field.DAY: (1, 31, "day of month", "1-31, L, LW or 15W"),
    Field.MONTH: (1, 12, "month", "1-12 or jan-dec"),
    Field.DOW: (
        0,
        6,
        "day of week",
        "0-7, sun-sat, 5L or 1#2 (here 0 and 7 are Sunday; in cron fields 0 is Monday)",
    ),
}
Term = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class CronText:
    """A cron string, understood.

    Attributes:
        pattern: The local times that it names.
        zone: IANA name of its ``CRON_TZ=`` prefix, if it has one.
        words: Its fields as they were written, in upper case: second to weekday, then the year
            where there is one.
        days: What its day of month names.
        weekdays: What its weekday names, 0 being Sunday.
        joined: Whether a date must be named by both, not by either.
    """

    pattern: Pattern
    zone: str | None
    words: tuple[str, ...]
    days: frozenset[Term]
    weekdays: frozenset[Term]
    joined: bool


def parse_cron(text: str) -> CronText:
    """Return what *text* means.

    Raises:
        TriggerError: it is no cron string; field, range and finding are named.
    """
    zone, words = _words(text)
    has_seconds, has_years = _FIELDS[len(words)]
    if not has_seconds:
        words.insert(0, "0")
    years = _years(words[-1]) if has_years else None
    seconds, minutes, hours, days, months, weekdays = (
        _field(field, word) for field, word in zip(Field, words[: len(Field)], strict=True)
    )
    joined = any(words[field][0] in "*?" for field in (Field.DAY, Field.DOW))
    pattern = Pattern(
        hours=_sorted(hours),
        minutes=_sorted(minutes),
        seconds=_sorted(seconds),
        months=frozenset(_sorted(months)),
        years=years,
        day=_day_test(days, weekdays, joined=joined),
        repeats=any(word.startswith("*") for word in words[:3]),
    )
    marks = (frozenset(days), frozenset(weekdays))
    return CronText(pattern, zone, tuple(words), *marks, joined=joined)


def _refusal(what: str) -> TriggerError:
    return TriggerError("cron", [Problem("trigger_args.expression", what)])


def _words(text: str) -> tuple[str | None, list[str]]:
    """Return the zone of the prefix, and 5, 6 or 7 fields in upper case."""
    zone, rest = None, text[:_LONGEST]
    prefix = re.match(r"\s*(?:CRON_TZ|TZ)=(\S+)\s+", rest)
    if prefix:
        zone, rest = prefix[1], rest[prefix.end() :]
        try:
            ZoneInfo(zone)
        except (LookupError, ValueError, OSError):
            raise _refusal(f"expected an IANA zone after CRON_TZ=, got {shown(zone)}") from None
    word = rest.strip().lower()
    if word.startswith("@"):
        if word not in MACROS:
            hint = "; for a run at each start use run_on_start" if word == "@reboot" else ""
            raise _refusal(f"expected one of {', '.join(MACROS)}, got {shown(text)}{hint}")
        word = MACROS[word]
    words = word.upper().split()
    if len(words) not in _FIELDS or len(text) > _LONGEST:
        raise _refusal(
            "expected 5 fields (minute hour day month weekday), 6 with seconds first or 7 with "
            f"the year last, got {len(words)} in {shown(text)}"
        )
    return zone, words


def _field(field: Field, word: str) -> set[Term]:
    if word == "?" and field in {Field.DAY, Field.DOW}:
        word = "*"
    found: set[Term] = set()
    for term in word.split(","):
        try:
            found |= _term(field, term)
        except (CronSimError, ValueError):
            _, _, name, expected = _RANGES[field]
            raise _refusal(f"{name}: expected {expected}, got {shown(term)}") from None
    return found


def _term(field: Field, term: str) -> set[Term]:
    nearest = re.fullmatch(r"([0-9]{1,2})W", term)
    if nearest and field is Field.DAY:
        return {(field.int(nearest[1]), _NEAREST)}
    spread = re.fullmatch(r"([0-9A-Z]+)-([0-9A-Z]+)(?:/([0-9]{1,4}))?", term)
    if spread:
        return set(_range(field, spread[1], spread[2])[:: int(spread[3] or 1)])
    values: set[Term] = set(field.parse(term))
    if field is not Field.DOW:
        return values
    return {
        each % _WEEK if isinstance(each, int) else (each[0] % _WEEK, each[1]) for each in values
    }


def _range(field: Field, first: str, last: str) -> list[int]:
    """Return the values from *first* to *last*, over the end and on from the start if need be."""
    start, end = field.int(first), field.int(last)
    low, high, _, _ = _RANGES[field]
    if field is Field.DOW:
        if start < end == _WEEK:
            return [*range(start, _WEEK), 0]
        start, end = start % _WEEK, end % _WEEK
    if start <= end:
        return list(range(start, end + 1))
    return [*range(start, high + 1), *range(low, end + 1)]


def _years(word: str) -> frozenset[int] | None:
    if word in {"*", "?"}:
        return None
    low, high = YEARS
    found: set[int] = set()
    for term in word.split(","):
        match = re.fullmatch(r"(\*|[0-9]{4})(?:-([0-9]{4}))?(?:/([0-9]{1,3}))?", term)
        step = int(match[3] or 1) if match else 0
        if match is None or step < 1 or (match[1] == "*" and match[2]):
            raise _refusal(f"year: expected {low}-{high}, got {shown(term)}")
        first = low if match[1] == "*" else int(match[1])
        open_end = match[1] == "*" or match[3]
        last = int(match[2]) if match[2] else high if open_end else first
        if not low <= first <= last <= high:
            raise _refusal(f"year: expected {low}-{high}, got {shown(term)}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _sorted(values: set[Term]) -> tuple[int, ...]:
    return tuple(sorted(each for each in values if isinstance(each, int)))


def _day_test(days: set[Term], weekdays: set[Term], *, joined: bool) -> Callable[[date], bool]:
    marks = [each for each in days if isinstance(each, tuple) or each < 0]

    def in_month(day: date) -> bool:
        return day.day in days or any(_is_marked(day, mark) for mark in marks)

    def in_week(day: date) -> bool:
        weekday = day.isoweekday() % _WEEK
        if weekday in weekdays or (weekday, (day.day + 6) // _WEEK) in weekdays:
            return True
        is_last = day.day + _WEEK > calendar.monthrange(day.year, day.month)[1]
        return is_last and (weekday, CronSim.LAST) in weekdays

    if joined:
        return lambda day: in_month(day) and in_week(day)
    return lambda day: in_month(day) or in_week(day)


def _is_marked(day: date, mark: Term) -> bool:
    length = calendar.monthrange(day.year, day.month)[1]
    if isinstance(mark, tuple):
        return mark[0] <= length and day.day == _nearest_weekday(day, mark[0], length)
    wanted = length if mark == CronSim.LAST else _nearest_weekday(day, length, length)
    return day.day == wanted


def _nearest_weekday(month: date, wanted: int, length: int) -> int:
    """Return the weekday nearest to day *wanted*, inside the month."""
    weekday = month.replace(day=wanted).weekday()
    if weekday == _SATURDAY:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == _SUNDAY:
        return wanted + 1 if wanted < length else wanted - 2
    return wanted
