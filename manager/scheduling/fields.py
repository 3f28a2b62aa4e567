"""Schedules by calendar fields, with the two days a year on which a local clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apscheduler.triggers.cron import CronTrigger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

_RESOLUTION: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
_COUNTED: Final = 1_000
_SOON: Final = datetime(2100, 1, 1, tzinfo=UTC)


class FieldTrigger:
    """The instants whose local time matches every field, by APScheduler's ``CronTrigger``.

    Where the hour, minute or second begins with ``*``, every instant that matches is one, in both
    passes of a repeated hour and not in a gap. Otherwise each matching local time is one: at the
    first valid instant where it falls into a gap, in its first pass where it is repeated.
    """

    def __init__(self, fields: Mapping[str, Any], zone: ZoneInfo) -> None:
        self._zone = zone
        end = _end_of_search(fields)
        self._zoned = CronTrigger(**fields, timezone=zone, end_date=end)
        self._walls = CronTrigger(**fields, timezone=UTC, end_date=end)  # as if never set
        fine = [each for each in self._walls.fields if each.name in {"hour", "minute", "second"}]
        self._repeats = any(str(each).startswith("*") for each in fine)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence later than *instant*."""
        try:
            return self._next_pass(instant) if self._repeats else self._next_wall(instant)
        except OverflowError:
            return None

    def last_until(self, instant: datetime, after: datetime) -> tuple[datetime | None, int]:
        """Return the last occurrence in ``(after, instant]`` and how many there are in it.

        At a thousand the count is a lower bound.
        """
        last, count = None, 0
        found = self.next_after(after)
        while found is not None and found <= instant:
            last, count = found, count + 1
            if count == _COUNTED:
                return self._latest(last, instant), count
            found = self.next_after(found)
        return last, count

    def _latest(self, known: datetime, until: datetime) -> datetime:
        """Return the last occurrence up to *until*, of which *known* is one, by bisection."""
        end = until
        while end - known > _RESOLUTION:
            middle = known + (end - known) / 2
            found = self.next_after(middle)
            if found is not None and found <= until:
                known = found
            else:
                end = middle
        return known

    def _next_pass(self, instant: datetime) -> datetime | None:
        seek = instant + _RESOLUTION
        while True:
            found = self._zoned.get_next_fire_time(None, seek.astimezone(self._zone))
            if found is None:
                return None
            moment: datetime = found.astimezone(UTC)
            if moment > instant and self._matches(moment):
                return moment
            seek = max(seek, moment) + _SECOND  # the library may step back, or land behind a gap

    def _matches(self, moment: datetime) -> bool:
        wall = moment.astimezone(self._zone).replace(tzinfo=UTC, fold=0)
        return bool(self._walls.get_next_fire_time(None, wall) == wall)

    def _next_wall(self, instant: datetime) -> datetime | None:
        seek = instant.astimezone(self._zone).replace(tzinfo=UTC, fold=0) + _RESOLUTION
        while True:
            wall = self._walls.get_next_fire_time(None, seek)
            if wall is None:
                return None
            moment = self._instant_of(wall)
            if moment > instant:
                return moment
            seek = wall + _RESOLUTION

    def _instant_of(self, wall: datetime) -> datetime:
        """Return the first instant that shows the local time *wall*, or else the end of its gap."""
        local = wall.replace(tzinfo=self._zone)
        moment = local.astimezone(UTC)
        if moment.astimezone(self._zone).replace(tzinfo=UTC, fold=0) == wall:
            return moment
        early, late = local.replace(fold=1).astimezone(UTC), moment
        after = late.astimezone(self._zone).utcoffset()
        while late - early > _SECOND:
            middle = early + (late - early) // (2 * _SECOND) * _SECOND
            if middle.astimezone(self._zone).utcoffset() == after:
                late = middle
            else:
                early = middle
        return late


def _end_of_search(fields: Mapping[str, Any]) -> datetime:
    """Return when to stop looking for a next occurrence; without it a search takes seconds.

    The calendar repeats every 400 years, weekdays included: what does not occur in the 400 years
    from the first year that is meant (at least 2100, so from any day until then) never does.
    """
    years = CronTrigger(year=fields.get("year", "*"), timezone=UTC).fields[0]
    first = years.get_next_value(_SOON) or _SOON.year
    return datetime(min(first + 400, 9999), 12, 31, 23, 59, 59, tzinfo=UTC)
