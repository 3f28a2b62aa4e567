"""Triggers of one line of arithmetic: every so often, and once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from configurations.masking import shown
from core.errors import Problem, TriggerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
INTERVAL_UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")
SHORTEST: Final = timedelta(milliseconds=10)
LONGEST: Final = timedelta(days=36_525)
_MARGIN: Final = timedelta(days=3)
_DATE_FORM: Final = "expected a date and time such as '2026-12-25 00:00:00'"


class IntervalTrigger:
    """Every *period* from *anchor* on, the anchor itself excluded; computed, never walked."""

    def __init__(self, period: timedelta, anchor: datetime) -> None:
        self.period = period
        self.anchor = anchor

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        steps = max(1, (instant - self.anchor) // self.period + 1)
        try:
            return self.anchor + steps * self.period
        except OverflowError:
            return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it."""
        last = max(0, (instant - self.anchor) // self.period)
        first = max(1, (after - self.anchor) // self.period + 1)
        count = max(0, last - first + 1)
        return (self.anchor + last * self.period if count else None), count

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the occurrences in ``(after, until]``, ascending."""
        moment = self.next_after(after)
        if moment is None:
            return
        for step in range((until - moment) // self.period + 1):
            yield moment + step * self.period


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

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the one occurrence if it lies in ``(after, until]``."""
        if after < self._instant <= until:
            yield self._instant


def checked_interval(arguments: Mapping[str, Any], _timezone: str) -> dict[str, Any]:
    """Return *arguments* in their JSON form.

    Raises:
        TriggerError: they make no schedule; every problem is named.
    """
    problems: list[Problem] = []
    for unit, value in arguments.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= LONGEST.total_seconds():  # NaN is in no range
            text = f"expected a number from 0 to 3155760000, got {shown(value)}"
            problems.append(Problem(f"trigger_args.{unit}", text))
    if problems:
        raise TriggerError("interval", problems)
    try:
        period = timedelta(**arguments)
    except OverflowError:
        period = timedelta.max
    if not SHORTEST <= period <= LONGEST:
        text = (
            "expected weeks, days, hours, minutes or seconds that make "
            f"0.01 seconds to 100 years together, got {dict(arguments)!r:.80}"
        )
        raise TriggerError("interval", [Problem("trigger_args", text)])
    return dict(arguments)


def checked_date(arguments: Mapping[str, Any], timezone: str) -> dict[str, Any]:
    """Return *arguments* in their JSON form.

    Raises:
        TriggerError: they make no schedule; every problem is named.
    """
    value = arguments.get("run_date")
    if isinstance(value, datetime | date):
        value = value.isoformat()
    if not isinstance(value, str):
        text = f"{_DATE_FORM}, got {shown(value)}"
        raise TriggerError("date", [Problem("trigger_args.run_date", text)])
    try:
        instant_of(value, ZoneInfo(timezone))
    except (ValueError, OverflowError):
        text = f"{_DATE_FORM}, got {shown(value)}"
        raise TriggerError("date", [Problem("trigger_args.run_date", text)]) from None
    return {"run_date": value}


def instant_of(text: str, zone: ZoneInfo) -> datetime:
    """Return the instant of an ISO text, local to *zone* where it names no offset."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def limit_of(text: str, zone: ZoneInfo) -> datetime:
    """Return the instant of an ISO text that limits others, which zones must be able to show.

    Raises:
        ValueError: it is no ISO text.
        OverflowError: it is nearer than three days to an end of the calendar.
    """
    return instant_of(text, zone) - _MARGIN + 2 * _MARGIN - _MARGIN  # overflows at either end
