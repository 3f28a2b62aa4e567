"""Calendar intervals: every so many years, months, weeks or days, at a time of the day."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from configurations.masking import shown
from core.errors import Problem, TriggerError
from manager.scheduling.patterns import Pattern
from manager.scheduling.walls import WallTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from core.policy import Dst

_MONTHS: Final = ("years", "months")
_DAYS: Final = ("weeks", "days")
_TIMES: Final = {"hour": 23, "minute": 59, "second": 59}
CALENDAR_NAMES: Final = (*_MONTHS, *_DAYS, "day", *_TIMES)
_MOST: Final = 36_525
_LONGEST: Final = (1_200, 36_525)
_LAST: Final = "last"


def checked_calendar(arguments: Mapping[str, Any], _timezone: str) -> dict[str, Any]:
    """Return *arguments* in their JSON form.

    Raises:
        TriggerError: they make no schedule; every problem is named.
    """
    problems: list[Problem] = []
    for name, value in arguments.items():
        low, high = (1, 31) if name == "day" else (0, _TIMES.get(name, _MOST))
        whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        if not whole and not (name == "day" and value == _LAST):
            last = ", or 'last'" if name == "day" else ""
            text = f"expected a whole number from {low} to {high}{last}, got {shown(value)}"
            problems.append(Problem(f"trigger_args.{name}", text))
    if problems:
        raise TriggerError("calendar", problems)
    months, days = _steps(arguments)
    too_long = months > _LONGEST[0] or days > _LONGEST[1]
    if bool(months) == bool(days) or ("day" in arguments and not months) or too_long:
        text = (
            "expected years or months, with a day if you like, or else weeks or days, that make "
            f"a step above zero and of at most 100 years, got {dict(arguments)!r:.80}"
        )
        raise TriggerError("calendar", [Problem("trigger_args", text)])
    return dict(arguments)


def build_calendar(
    arguments: Mapping[str, Any], anchor: datetime, zone: ZoneInfo, dst: Dst
) -> WallTrigger:
    """Return the trigger that counts from the local date of *anchor*."""
    months, days = _steps(arguments)
    first = anchor.astimezone(zone).date()
    day = _of_months(months, arguments, first) if months else _of_days(days, first)
    hour, minute, second = (arguments.get(name, 0) for name in _TIMES)
    pattern = Pattern(
        hours=(hour,),
        minutes=(minute,),
        seconds=(second,),
        months=_months_of(months, first),
        years=None,
        day=day,
        repeats=False,
        cyclic=False,
    )
    return WallTrigger(pattern, zone, dst)


def _steps(arguments: Mapping[str, Any]) -> tuple[int, int]:
    """Return the step in months and in days."""
    months = arguments.get("years", 0) * 12 + arguments.get("months", 0)
    return months, arguments.get("weeks", 0) * 7 + arguments.get("days", 0)


def _months_of(step: int, first: date) -> frozenset[int]:
    """Return the months of the year in which a step of *step* months can land."""
    every = range(1, 13)
    if not step:
        return frozenset(every)
    landing = {(first.month - 1 + turn * step) % 12 + 1 for turn in every}
    return frozenset(landing)


def _of_months(step: int, arguments: Mapping[str, Any], first: date) -> Callable[[date], bool]:
    wanted = arguments.get("day", first.day)
    begin = first.year * 12 + first.month

    def test(day: date) -> bool:
        passed = day.year * 12 + day.month - begin
        number = monthrange(day.year, day.month)[1] if wanted == _LAST else wanted
        return passed >= 0 and passed % step == 0 and day.day == number

    return test


def _of_days(step: int, first: date) -> Callable[[date], bool]:
    def test(day: date) -> bool:
        passed = (day - first) // timedelta(days=1)
        return passed >= 0 and passed % step == 0

    return test
