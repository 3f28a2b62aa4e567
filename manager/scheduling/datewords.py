"""The dates of a schedule in words: ``on Monday``, ``on the last day of the month``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from manager.scheduling.named import DayKind
from manager.scheduling.numbers import (
    MONTHS,
    ORDINALS,
    WEEKDAYS,
    counted,
    listed,
    named_range,
    numbers,
)

if TYPE_CHECKING:
    from manager.scheduling.named import Clause, NamedDates

_MONTH: Final = "the month"
_NAMES: Final = ("", *MONTHS)
_WEEK: Final = 7
_LONG: Final = 3


def day_words(dates: NamedDates) -> str:
    """Return the days and months in words that name these and no others; none for every day."""
    parts = [_clause(each) for each in dates.clauses]
    months = _months(dates)
    if len(parts) == 1 and parts[0].endswith(f" of {_MONTH}") and months:
        own = months.removeprefix("in ")
        own = own if months.startswith("in ") else f"each month {months}"
        text, months = f"{parts[0].removesuffix(_MONTH)}{own}", ""
    elif dates.either:
        text = " or ".join(parts)
    elif len(parts) > 1:
        text = f"{parts[1]}, if that is {_condition(parts[0], dates.clauses[0])}"
    else:
        text = "".join(parts)
    if dates.weeks:
        text += f" in {counted('ISO week', dates.weeks)}"
    comma = "," if len(parts) > 1 and months else ""
    return f"{text}{comma} {months}".strip()


def year_words(dates: NamedDates) -> str:
    """Return ``in 2026`` or ``in the years 2026 to 2030``; nothing for any."""
    if not dates.years:
        return ""
    return f"in {'the years ' if len(dates.years) > 1 else ''}{numbers(dates.years)}"


def _months(dates: NamedDates) -> str:
    if not dates.months:
        return ""
    ends = named_range(dates.months, _NAMES)
    return f"from {ends[0]} to {ends[1]}" if ends else f"in {listed(_names(dates.months))}"


def _names(months: tuple[int, ...]) -> list[str]:
    return [_NAMES[month] for month in months]


def _clause(clause: Clause) -> str:
    weekdays = sorted(each.value for each in clause if each.kind is DayKind.WEEKDAY)
    items = _items(clause)
    parts = [_weekdays(weekdays)] if weekdays else []
    if items:
        parts.append(f"on {listed(items)} of {_MONTH}")
    return " and ".join(parts)


def _items(clause: Clause) -> list[str]:
    """Return what *clause* names in a month, a noun each."""
    found: list[str] = []
    days = sorted(each.value for each in clause if each.kind is DayKind.NUMBER)
    if days:
        found.append(counted("day", days))
    for term in sorted(clause):
        if term.kind is DayKind.NEAREST:
            found.append(f"the working day nearest to day {term.value}")
        elif term.kind is DayKind.LAST:
            found.append("the last day")
        elif term.kind is DayKind.LAST_WORKING:
            found.append("the last working day")
        elif term.kind is DayKind.POSITION:
            found.append(f"the {ORDINALS[term.nth]} {WEEKDAYS[term.value]}")
    return found


def _condition(text: str, clause: Clause) -> str:
    plural = len(clause) > 1
    return f"{'one of ' if plural else ''}{text.removeprefix('on ')}"


def _weekdays(days: list[int]) -> str:
    """Return ``on Monday``, ``on Monday and Friday`` or ``from Friday to Monday``."""
    starts = [day for day in days if (day - 1) % _WEEK not in days]
    if len(starts) == 1 and len(days) >= _LONG:
        last = (starts[0] + len(days) - 1) % _WEEK
        return f"from {WEEKDAYS[starts[0]]} to {WEEKDAYS[last]}"
    return f"on {listed(WEEKDAYS[day] for day in days)}"
