"""APScheduler's own cron trigger beside ours, on the days on which a clock is set.

The left side is what the installed library does; should it be mended there, these tests say so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger

from tests.conformance.asking import trigger_of
from tests.walking import walked

DAY = timedelta(days=1)


def theirs(fields: dict[str, Any], zone: str, start: datetime, end: datetime) -> list[str]:
    """Return what APScheduler's trigger gives, asked as its scheduler asks."""
    info = ZoneInfo(zone)
    trigger, found = CronTrigger(timezone=info, **fields), list[datetime]()
    moment = trigger.get_next_fire_time(None, start.astimezone(info))
    while moment.astimezone(UTC) <= end:
        found.append(moment)
        moment = trigger.get_next_fire_time(moment, moment)
    return [f"{at:%m-%d %H:%M %z}" for at in found]


def ours(fields: dict[str, Any], zone: str, start: datetime, end: datetime) -> list[str]:
    """Return what our trigger gives."""
    found = walked(trigger_of(fields, zone, start), start, end)
    return [f"{at.astimezone(ZoneInfo(zone)):%m-%d %H:%M %z}" for at in found]


@pytest.mark.parametrize(
    ("zone", "start", "nights", "lost"),
    [
        (
            "Europe/Berlin",
            datetime(2026, 3, 28, 12, tzinfo=UTC),
            ["03-29 00:00 +0100", "03-30 00:00 +0200", "03-31 00:00 +0200"],
            "03-30 00:00 +0200",
        ),
        (
            "America/New_York",
            datetime(2026, 3, 7, 12, tzinfo=UTC),
            ["03-08 00:00 -0500", "03-09 00:00 -0400", "03-10 00:00 -0400"],
            "03-09 00:00 -0400",
        ),
        (
            "America/Havana",
            datetime(2025, 3, 8, 12, tzinfo=UTC),
            ["03-09 01:00 -0400", "03-10 00:00 -0400", "03-11 00:00 -0400"],
            "03-09 01:00 -0400",
        ),
    ],
    ids=["berlin", "new york", "havana"],
)
def test_a_task_at_midnight_loses_no_night_in_spring(
    zone: str, start: datetime, nights: list[str], lost: str
) -> None:
    """APScheduler leaves one out; here each date has its run, after the gap where it must be."""
    fields = {"hour": 0}
    assert ours(fields, zone, start, start + 3 * DAY) == nights
    assert theirs(fields, zone, start, start + 3 * DAY) == [each for each in nights if each != lost]


@pytest.mark.parametrize(
    ("zone", "hour", "start", "first", "second"),
    [
        (
            "Europe/Berlin",
            2,
            datetime(2026, 10, 24, 12, tzinfo=UTC),
            "10-25 02:30 +0200",
            "10-25 02:30 +0100",
        ),
        (
            "America/New_York",
            1,
            datetime(2026, 10, 31, 12, tzinfo=UTC),
            "11-01 01:30 -0400",
            "11-01 01:30 -0500",
        ),
    ],
    ids=["berlin", "new york"],
)
def test_a_fixed_time_is_not_doubled_in_autumn(
    zone: str, hour: int, start: datetime, first: str, second: str
) -> None:
    """APScheduler runs it in both passes; here in the first."""
    fields = {"hour": hour, "minute": 30}
    assert ours(fields, zone, start, start + DAY) == [first]
    assert theirs(fields, zone, start, start + DAY) == [first, second]
