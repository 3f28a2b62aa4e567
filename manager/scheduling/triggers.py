"""Triggers from the arguments of a definition: ``interval``, ``cron`` and ``date``."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from configurations.masking import shown
from configurations.problems import path_text
from core.errors import Problem, TriggerError
from core.registry import nearest
from manager.scheduling.crontext import parse_cron
from manager.scheduling.fields import is_well_formed, pattern_of
from manager.scheduling.walls import WallTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from core.trigger import Schedule, Trigger
    from manager.scheduling.walls import Pattern

_UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")
_FIELDS: Final = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_FIRST_DATE: Final = date(1970, 1, 1)
_SHORTEST: Final = timedelta(milliseconds=10)
_LONGEST: Final = timedelta(days=36_525)
_DATE_FORM: Final = "expected a date and time such as '2026-12-25 00:00:00'"


class IntervalTrigger:
    """Every *period* from *anchor* on, the anchor itself excluded; computed, never walked."""

    def __init__(self, period: timedelta, anchor: datetime) -> None:
        self._period = period
        self._anchor = anchor

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        steps = max(1, (instant - self._anchor) // self._period + 1)
        try:
            return self._anchor + steps * self._period
        except OverflowError:
            return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        last = max(0, (instant - self._anchor) // self._period)
        first = max(1, (after - self._anchor) // self._period + 1)
        count = max(0, last - first + 1)
        return (self._anchor + last * self._period if count else None), count


class DateTrigger:
    """Once, at *instant*."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the one occurrence if it is later than *instant*."""
        return self._instant if self._instant > instant else None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the one occurrence if it lies in ``(after, instant]``."""
        return (self._instant, 1) if after < self._instant <= instant else (None, 0)


def build_trigger(schedule: Schedule) -> Trigger:
    """Return the trigger of *schedule*, whose arguments were checked before.

    Raises:
        TriggerError: the arguments make no schedule.
    """
    arguments = dict(schedule.arguments)
    zone = ZoneInfo(schedule.timezone)
    if schedule.trigger == "interval":
        anchor = schedule.anchor or datetime(1970, 1, 1, tzinfo=UTC)
        return IntervalTrigger(timedelta(**arguments), anchor)
    if schedule.trigger == "date":
        return DateTrigger(_instant(arguments["run_date"], zone))
    if "expression" in arguments:
        text = parse_cron(arguments["expression"])
        return WallTrigger(text.pattern, ZoneInfo(text.zone) if text.zone else zone, schedule.dst)
    return WallTrigger(pattern_of(arguments), zone, schedule.dst)


def checked_arguments(kind: str, arguments: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    """Return *arguments* in their JSON form.

    Raises:
        TriggerError: the trigger is unknown, or its arguments make no schedule; every problem
            is named.
    """
    if kind not in KINDS:
        meant = nearest(kind, sorted(KINDS))
        hint = f", did you mean {meant!r}?" if meant else "."
        known = ", ".join(sorted(KINDS))
        text = f"unknown trigger {shown(kind)}{hint} Known triggers: {known}."
        raise TriggerError(kind, [Problem("", text)])
    known_names, check = KINDS[kind]
    problems = [_unknown(name, known_names) for name in arguments if name not in known_names]
    if problems:
        raise TriggerError(kind, problems)
    return check(arguments, timezone)


def _unknown(name: str, known: tuple[str, ...]) -> Problem:
    meant = nearest(name, list(known))
    hint = f"did you mean {meant!r}?" if meant else f"known: {', '.join(known)}"
    return Problem(path_text(("trigger_args", name)), f"unknown argument, {hint}")


def _interval(arguments: Mapping[str, Any], _timezone: str) -> dict[str, Any]:
    problems: list[Problem] = []
    for unit, value in arguments.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= _LONGEST.total_seconds():  # NaN is in no range
            text = f"expected a number from 0 to 3155760000, got {shown(value)}"
            problems.append(Problem(f"trigger_args.{unit}", text))
    if problems:
        raise TriggerError("interval", problems)
    try:
        period = timedelta(**arguments)
    except OverflowError:
        period = timedelta.max
    if not _SHORTEST <= period <= _LONGEST:
        text = (
            "expected weeks, days, hours, minutes or seconds that make "
            f"0.01 seconds to 100 years together, got {dict(arguments)!r:.80}"
        )
        raise TriggerError("interval", [Problem("trigger_args", text)])
    return dict(arguments)


def _date(arguments: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    value = arguments.get("run_date")
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if not isinstance(value, str):
        text = f"{_DATE_FORM}, got {shown(value)}"
        raise TriggerError("date", [Problem("trigger_args.run_date", text)])
    try:
        _instant(value, ZoneInfo(timezone))
    except (ValueError, OverflowError):
        text = f"{_DATE_FORM}, got {shown(value)}"
        raise TriggerError("date", [Problem("trigger_args.run_date", text)]) from None
    return {"run_date": value}


def _instant(text: str, zone: ZoneInfo) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _cron(arguments: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    if not arguments:
        text = f"expected an expression, or at least one of {', '.join(_FIELDS)}, got none"
        raise TriggerError("cron", [Problem("trigger_args", text)])
    if "expression" in arguments:
        return _expression(arguments)
    _check_fields(arguments, timezone)
    _check_dates(pattern_of(arguments))
    return dict(arguments)


def _expression(arguments: Mapping[str, Any]) -> dict[str, Any]:
    value = arguments["expression"]
    if not isinstance(value, str) or len(arguments) > 1:
        text = "expected a cron string such as '0 9 * * 1-5', alone, got "
        found = shown(value) if not isinstance(value, str) else "fields beside it"
        raise TriggerError("cron", [Problem("trigger_args.expression", f"{text}{found}")])
    _check_dates(parse_cron(value).pattern)
    return {"expression": value}


def _check_dates(pattern: Pattern) -> None:
    """Refuse what names no date of the calendar, such as 30 February."""
    if next(pattern.dates_from(_FIRST_DATE), None) is None:
        text = "it can never fire: expected what a date of the calendar matches, got what none does"
        raise TriggerError("cron", [Problem("trigger_args", text)])


def _check_fields(arguments: Mapping[str, Any], timezone: str) -> None:
    zone = ZoneInfo(timezone)
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
        try:
            CronTrigger(**{name: value}, timezone=zone)
        except (ValueError, OverflowError) as error:
            said = repr(str(error))[1:-1]
            text = f"expected {_RANGES[name]}, got {shown(value)} ({said:.120})"
            problems.append(Problem(f"trigger_args.{name}", text))
    if problems:
        raise TriggerError("cron", problems)


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
KINDS: Final[
    Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any], str], dict[str, Any]]]]
] = {
    "cron": (("expression", *_FIELDS), _cron),
    "date": (("run_date",), _date),
    "interval": (_UNITS, _interval),
}
"""Each trigger's argument names, and the check that gives their JSON form."""
