"""Cron fields in APScheduler's meaning, as patterns of local time.

APScheduler reads the expressions; which values match is asked of it once, so that no
occurrence is ever walked to.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.cron import CronTrigger

from manager.scheduling.crontext import YEARS
from manager.scheduling.walls import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DAYS: Final = ("day", "week", "day_of_week")
_LONG: Final = datetime(2000, 1, 1, tzinfo=UTC)  # a month of 31 days in a leap year
_MOMENTS: Final[Mapping[str, Callable[[int], datetime]]] = {
    "month": lambda value: _LONG.replace(month=value),
    "hour": lambda value: _LONG.replace(hour=value),
    "minute": lambda value: _LONG.replace(minute=value),
    "second": lambda value: _LONG.replace(second=value),
}
_TERM: Final = re.compile(
    r"\*(?:/[0-9]+)?|[0-9]+(?:-[0-9]+)?(?:/[0-9]+)?|[a-z]{3}(?:-[a-z]{3})?"
    r"|(?:1st|2nd|3rd|4th|5th|last) +[a-z]{3}|last"
)


def is_well_formed(value: int | str) -> bool:
    """Tell whether every term of an expression is one that APScheduler reads to its end."""
    if isinstance(value, int):
        return 0 <= value <= YEARS[1]
    terms = value.lower().split(",")
    return all(_TERM.fullmatch(term.strip()) for term in terms)


def pattern_of(fields: Mapping[str, Any]) -> Pattern:
    """Return the local times that *fields* name, which were checked before."""
    cron = CronTrigger(**fields, timezone=UTC)
    by_name = {field.name: field for field in cron.fields}
    fine = [by_name[name] for name in ("hour", "minute", "second")]
    hours, minutes, seconds = (_values(field.name, str(field)) for field in fine)
    return Pattern(
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        months=frozenset(_values("month", str(by_name["month"]))),
        years=_years(by_name["year"]),
        day=_day_test([by_name[name] for name in _DAYS if str(by_name[name]) != "*"]),
        repeats=any(str(field).startswith("*") for field in fine),
    )


@lru_cache(4096)
def _values(name: str, text: str) -> tuple[int, ...]:
    """Return the values that an expression names; many tasks share one."""
    (field,) = (
        each for each in CronTrigger(**{name: text}, timezone=UTC).fields if each.name == name
    )
    low, high = field.get_min(_LONG), field.get_max(_LONG)
    return tuple(value for value in range(low, high + 1) if _matches(field, _MOMENTS[name](value)))


def _years(field: Any) -> frozenset[int] | None:  # noqa: ANN401 - the library has no types
    if str(field) == "*":
        return None
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
