"""Cron as a definition writes it: a string, or fields; checked, and made a pattern."""

from __future__ import annotations

from datetime import UTC, date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from configurations.masking import shown
from core.errors import Problem, TriggerError
from manager.scheduling.crontext import parse_cron
from manager.scheduling.fields import is_well_formed, pattern_of
from manager.scheduling.walls import WallTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.policy import Dst
    from manager.scheduling.patterns import Pattern

CRON_FIELDS: Final = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_FIRST_DATE: Final = date(1970, 1, 1)
_RANGES: Final = {
    "year": "a year of four digits",
    "month": "a month 1-12 or jan-dec",
    "day": "a day 1-31, 'last' or 'last fri'",
    "week": "an ISO week 1-53",
    "day_of_week": "a weekday 0-6 or mon-sun (here 0 is Monday; in a cron string it is Sunday)",
    "hour": "an hour 0-23",
    "minute": "a minute 0-59",
    "second": "a second 0-59",
}


def build_cron(arguments: Mapping[str, Any], zone: ZoneInfo, dst: Dst) -> WallTrigger:
    """Return the trigger of a string or of fields, which were checked before."""
    if "expression" in arguments:
        text = parse_cron(arguments["expression"])
        return WallTrigger(text.pattern, ZoneInfo(text.zone) if text.zone else zone, dst)
    return WallTrigger(pattern_of(arguments), zone, dst)


def checked_cron(arguments: Mapping[str, Any], _timezone: str) -> dict[str, Any]:
    """Return *arguments* in their JSON form.

    Raises:
        TriggerError: they make no schedule, or one that can never fire.
    """
    if not arguments:
        text = f"expected an expression, or at least one of {', '.join(CRON_FIELDS)}, got none"
        raise TriggerError("cron", [Problem("trigger_args", text)])
    if "expression" in arguments:
        return _expression(arguments)
    _check_fields(arguments)
    check_dates(pattern_of(arguments), " ".join(f"{name}={arguments[name]}" for name in arguments))
    return dict(arguments)


def _expression(arguments: Mapping[str, Any]) -> dict[str, Any]:
    value = arguments["expression"]
    if not isinstance(value, str) or len(arguments) > 1:
        text = "expected a cron string such as '0 9 * * 1-5', alone, got "
        found = shown(value) if not isinstance(value, str) else "fields beside it"
        raise TriggerError("cron", [Problem("trigger_args.expression", f"{text}{found}")])
    check_dates(parse_cron(value).pattern, value)
    return {"expression": value}


def check_dates(pattern: Pattern, written: str) -> None:
    """Refuse what names no date of the calendar, such as 30 February."""
    if next(pattern.dates_from(_FIRST_DATE), None) is None:
        text = f"it can never fire: no date of the calendar matches {shown(written)}"
        raise TriggerError("cron", [Problem("trigger_args", text)])


def _check_fields(arguments: Mapping[str, Any]) -> None:
    problems: list[Problem] = []
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int | str):
            text = f"expected a whole number or an expression such as '*/2', got {shown(value)}"
            problems.append(Problem(f"trigger_args.{name}", text))
            continue
        if not is_well_formed(value):
            text = f"expected {_RANGES[name]}, got {shown(value)}"
            problems.append(Problem(f"trigger_args.{name}", text))
            continue
        said = _fault_of(name, value)
        if said:
            text = f"expected {_RANGES[name]}, got {shown(value)} ({said:.120})"
            problems.append(Problem(f"trigger_args.{name}", text))
    if problems:
        raise TriggerError("cron", problems)


@lru_cache(maxsize=1024, typed=True)
def _fault_of(name: str, value: int | str) -> str:
    """Return what the library says against the *value* of a field; empty if nothing."""
    try:
        CronTrigger(**{name: value}, timezone=UTC)
    except (ValueError, OverflowError) as error:
        return repr(str(error))[1:-1]
    return ""
