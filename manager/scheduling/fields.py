"""Cron fields in APScheduler's meaning, as patterns of local time.

APScheduler reads the expressions; which values match is asked of it once, so that no
occurrence is ever walked to.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.cron.expressions import (
    LastDayOfMonthExpression,
    WeekdayPositionExpression,
)

from manager.scheduling.crontext import YEARS
from manager.scheduling.patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DAYS: Final = ("day", "week", "day_of_week")
_LONG: Final = datetime(2000, 1, 1, tzinfo=UTC)  # a month of 31 days in a leap year
_MOMENTS: Final[Mapping[str, Callable[[int], datetime]]] = {
    "month": lambda value: _LONG.replace(month=value),
    "hour": lambda value: _LONG.replace(hour=value),
    "minute": lambda value: _LONG.replace(minute=value),
    "second": lambda value: _LONG.replace(second=value),
    "day": lambda value: _LONG.replace(day=value),
    "day_of_week": lambda value: _LONG.replace(day=3 + value),  # the third was a Monday
    "week": lambda value: datetime.fromisocalendar(2020, value, 1).replace(tzinfo=UTC),
}
_TERM: Final = re.compile(
    r"\*(?:/[0-9]+)?|[0-9]+(?:-[0-9]+)?(?:/[0-9]+)?|[a-z]{3}(?:-[a-z]{3})?"
    r"|(?:1st|2nd|3rd|4th|5th|last) +[a-z]{3}|last"
)


class DayFields(NamedTuple):
    """What the day fields name, term by term.

    Attributes:
        days: Days of the month by number.
        last: Whether the last day of the month is named.
        positions: Weekdays from 0 for Monday, each with which one of the month; 0 is the last.
        weeks: ISO weeks.
        weekdays: Weekdays from 0 for Monday.
    """

    days: tuple[int, ...]
    last: bool
    positions: frozenset[tuple[int, int]]
    weeks: tuple[int, ...]
    weekdays: tuple[int, ...]


def is_well_formed(value: int | str) -> bool:
    """Tell whether every term of an expression is one that APScheduler reads to its end."""
    if isinstance(value, int):
        return 0 <= value <= YEARS[1]
    terms = value.lower().split(",")
    return all(_TERM.fullmatch(term.strip()) for term in terms)


def pattern_of(fields: Mapping[str, Any]) -> Pattern:
    """Return the local times that *fields* name, which were checked before."""
    return _pattern_of(tuple(fields.items()))


@lru_cache(maxsize=2048)
def _pattern_of(written: tuple[tuple[str, int | str], ...]) -> Pattern:
    """Return the local times of fields that many tasks may share."""
    fields = dict(written)
    cron = CronTrigger(**fields, timezone=UTC)
    by_name = {field.name: field for field in cron.fields}
    texts = _texts(cron, fields)
    fine = ("hour", "minute", "second")
    hours, minutes, seconds = (_values(name, texts[name]) for name in fine)
    return Pattern(
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        months=frozenset(_values("month", texts["month"])),
        years=_years(by_name["year"]),
        day=_day_test([by_name[name] for name in _DAYS if texts[name] != "*"]),
        repeats=any(texts[name].startswith("*") for name in fine),
    )


def day_fields(fields: Mapping[str, Any]) -> DayFields:
    """Return what the day fields of *fields* name, which were checked before."""
    texts = _texts(CronTrigger(**fields, timezone=UTC), fields)
    expressions = _field("day", texts["day"]).expressions
    positions = [each for each in expressions if isinstance(each, WeekdayPositionExpression)]
    return DayFields(
        days=_values("day", texts["day"]),
        last=any(isinstance(each, LastDayOfMonthExpression) for each in expressions),
        positions=frozenset((each.weekday, (each.option_num + 1) % 6) for each in positions),
        weeks=_values("week", texts["week"]),
        weekdays=_values("day_of_week", texts["day_of_week"]),
    )


def _texts(cron: CronTrigger, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return each field as it was written, or as it is where it was left out."""
    return {field.name: str(fields.get(field.name, field)).strip() for field in cron.fields}


def _field(name: str, expression: str) -> Any:  # noqa: ANN401 - the library has no types
    cron = CronTrigger(**{name: expression}, timezone=UTC)
    return next(field for field in cron.fields if field.name == name)


@lru_cache(maxsize=1024)
def _values(name: str, expression: str) -> tuple[int, ...]:
    """Return the values of a field that *expression* names by number; once is enough."""
    field = _field(name, expression)
    marks = (WeekdayPositionExpression, LastDayOfMonthExpression)
    named = [each for each in field.expressions if not isinstance(each, marks)]
    low, high = field.get_min(_LONG), field.get_max(_LONG)
    return tuple(
        value
        for value in range(low, high + 1)
        if any(each.get_next_value(_MOMENTS[name](value), field) == value for each in named)
    )


def _years(field: Any) -> frozenset[int] | None:  # noqa: ANN401 - the library has no types
    return None if str(field) == "*" else _years_of(str(field))


@lru_cache(maxsize=64)
def _years_of(expression: str) -> frozenset[int]:
    """Return the years that *expression* names; thousands are asked, so once is enough."""
    field = _field("year", expression)
    low, high = YEARS
    return frozenset(
        year for year in range(low, high + 1) if _matches(field, _LONG.replace(year=year))
    )


def _day_test(fields: list[Any]) -> Callable[[date], bool]:
    """Return a test that all day fields match a date; a month is worked out once."""
    if not fields:
        return lambda _day: True

    @lru_cache(maxsize=64)
    def of_month(year: int, month: int) -> frozenset[int]:
        length = calendar.monthrange(year, month)[1]
        moments = (datetime(year, month, day, tzinfo=UTC) for day in range(1, length + 1))
        return frozenset(
            moment.day for moment in moments if all(_matches(each, moment) for each in fields)
        )

    return lambda day: day.day in of_month(day.year, day.month)


def _matches(field: Any, moment: datetime) -> bool:  # noqa: ANN401 - the library has no types
    value = field.get_value(moment)
    return any(each.get_next_value(moment, field) == value for each in field.expressions)
