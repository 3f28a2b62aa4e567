"""What a cron schedule names, in one form for both dialects.

Two spellings of one meaning, such as ``1-5`` in a string and ``mon-fri`` in a field, give the
same terms; weekdays count from Monday, which is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cronsim.cronsim import CronSim

from manager.scheduling.crontext import parse_cron
from manager.scheduling.fields import day_fields, pattern_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from manager.scheduling.crontext import CronText
    from manager.scheduling.patterns import Pattern

_WEEK: Final = 7
_LONGEST_MONTH: Final = 31
_LAST_WEEK: Final = 53


class DayKind(IntEnum):
    """How a term names days; terms are told in this order."""

    NUMBER = 0
    NEAREST = 1
    LAST = 2
    LAST_WORKING = 3
    POSITION = 4
    WEEKDAY = 5


class DayTerm(NamedTuple):
    """One way in which a schedule names days.

    Attributes:
        kind: How it names them.
        value: The day of the month, or the weekday from 0 for Monday.
        nth: Which of the month's weekdays, from 1; 0 is the last one.
    """

    kind: DayKind
    value: int = 0
    nth: int = 0


Clause = frozenset[DayTerm]
"""Days that any of its terms names."""


@dataclass(frozen=True, slots=True)
class NamedDates:
    """The dates of a schedule.

    Attributes:
        clauses: None for every date, one, or two: the day of the month and the weekday.
        either: Whether one clause of two is enough.
        weeks: ISO weeks; empty for any.
        months: Months; empty for any.
        years: Years; empty for any.
    """

    clauses: tuple[Clause, ...]
    either: bool
    weeks: tuple[int, ...]
    months: tuple[int, ...]
    years: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NamedTimes:
    """A cron schedule, understood.

    Attributes:
        pattern: Its local times.
        dates: Its dates, term by term.
        zone: The zone that it names itself, if it does.
        words: Its fields as they were written, by their names in ``trigger_args``.
        either: Whether day of month and weekday are both given and one of them is enough.
    """

    pattern: Pattern
    dates: NamedDates
    zone: str | None
    words: Mapping[str, str]
    either: bool = False


def named_times(arguments: Mapping[str, Any]) -> NamedTimes:
    """Return what the arguments of a cron trigger name.

    Raises:
        TriggerError: the string is none.
    """
    if "expression" in arguments:
        return _of_text(parse_cron(arguments["expression"]))
    return _of_fields(arguments)


_WORDS: Final = ("second", "minute", "hour", "day", "month", "day_of_week", "year")


def _of_text(text: CronText) -> NamedTimes:
    days = {_month_term(each) for each in text.days}
    weekdays = {_week_term(each) for each in text.weekdays}
    clauses = [_clause(days), _clause(weekdays)]
    either = not text.joined
    if either and None in clauses:
        clauses = []
    words = dict(zip(_WORDS, (each.lower() for each in text.words), strict=False))
    dates = _dates(text.pattern, clauses, (), either=either)
    return NamedTimes(text.pattern, dates, text.zone, words, either)


def _of_fields(arguments: Mapping[str, Any]) -> NamedTimes:
    pattern = pattern_of(arguments)
    named = day_fields(arguments)
    days = {DayTerm(DayKind.NUMBER, each) for each in named.days}
    days |= {DayTerm(DayKind.LAST)} if named.last else set()
    days |= {DayTerm(DayKind.POSITION, weekday, nth) for weekday, nth in named.positions}
    weekdays = {DayTerm(DayKind.WEEKDAY, each) for each in named.weekdays}
    weeks = () if len(named.weeks) == _LAST_WEEK else named.weeks
    dates = _dates(pattern, [_clause(days), _clause(weekdays)], weeks, either=False)
    words = {name: str(value).lower() for name, value in arguments.items()}
    return NamedTimes(pattern, dates, None, words)


def _dates(
    pattern: Pattern, clauses: list[Clause | None], weeks: tuple[int, ...], *, either: bool
) -> NamedDates:
    kept = tuple(each for each in clauses if each is not None)
    several = len(kept) > 1
    months = tuple(sorted(pattern.months))
    return NamedDates(
        clauses=kept,
        either=either and several,
        weeks=weeks,
        months=() if len(months) == 12 else months,  # noqa: PLR2004 - of a year
        years=tuple(sorted(pattern.years or ())),
    )


def _clause(terms: set[DayTerm]) -> Clause | None:
    """Return *terms* without those that another one covers; ``None`` where they are every day."""
    numbers = {each.value for each in terms if each.kind is DayKind.NUMBER}
    weekdays = {each.value for each in terms if each.kind is DayKind.WEEKDAY}
    if len(numbers) == _LONGEST_MONTH or len(weekdays) == _WEEK:
        return None
    return frozenset(
        each for each in terms if each.kind is not DayKind.POSITION or each.value not in weekdays
    )


def _month_term(term: int | tuple[int, int]) -> DayTerm:
    if isinstance(term, tuple):
        return DayTerm(DayKind.NEAREST, term[0])
    if term == CronSim.LAST:
        return DayTerm(DayKind.LAST)
    if term == CronSim.LAST_WEEKDAY:
        return DayTerm(DayKind.LAST_WORKING)
    return DayTerm(DayKind.NUMBER, term)


def _week_term(term: int | tuple[int, int]) -> DayTerm:
    if isinstance(term, tuple):
        nth = 0 if term[1] == CronSim.LAST else term[1]
        return DayTerm(DayKind.POSITION, _from_monday(term[0]), nth)
    return DayTerm(DayKind.WEEKDAY, _from_monday(term))


def _from_monday(weekday: int) -> int:
    return (weekday - 1) % _WEEK
