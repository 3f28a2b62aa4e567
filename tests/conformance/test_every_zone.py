"""Every zone and every change of its clock from 1970 to 2037, without a corpus.

Zones with the same changes are asked once, and so are changes that several tables share, with
nothing else near them that could make a difference.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, available_timezones

import pytest

from tests.conformance.asking import trigger_of
from tests.conformance.zones import Change, changes
from tests.walking import walked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.trigger import Trigger

DAILY: Final = (time(0, 0), time(0, 30), time(1, 30), time(2, 30), time(3, 0))
NEAR: Final = timedelta(hours=30)
DAY: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)
PARTS: Final = 4
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def situations() -> dict[tuple[Change, ...], str]:
    """Return each distinct change with its neighbours within days, and one zone that has it."""
    found: dict[tuple[Change, ...], str] = {}
    for table, zone in tables().items():
        for change in table:
            near = tuple(each for each in table if abs(each.instant - change.instant) <= 4 * NEAR)
            found.setdefault((change, *near), zone)
    return found


@cache
def tables() -> dict[tuple[Change, ...], str]:
    """Return each distinct table of changes, and the first zone that has it."""
    found: dict[tuple[Change, ...], str] = {}
    for zone in sorted(available_timezones()):
        found.setdefault(changes(zone), zone)
    return found


def part(number: int) -> Iterator[tuple[str, Change]]:
    """Yield one share of all situations: a zone, and its change."""
    everything = sorted((zone, each[0].instant, each[0]) for each, zone in situations().items())
    for zone, _, change in everything[number::PARTS]:
        yield zone, change


@cache
def trigger(zone: str, text: str) -> Trigger:
    """Return the trigger of a cron string."""
    return trigger_of({"expression": text}, zone, _FIRST)


def shown(zone: str, change: Change) -> set[date]:
    """Return the dates that a clock of *zone* shows near *change*; the outer ones in part."""
    info = ZoneInfo(zone)
    hours = (change.instant - NEAR + timedelta(hours=number) for number in range(61))
    return {hour.astimezone(info).date() for hour in hours}


@pytest.mark.parametrize("number", range(PARTS))
def test_a_daily_task_runs_once_on_each_date_that_exists(number: int) -> None:
    """Whatever is left out or repeated: one run a date, at its time or where the gap ends."""
    wrong = []
    for zone, change in part(number):
        info = ZoneInfo(zone)
        inner = sorted(shown(zone, change))[1:-1]
        assert inner, f"{zone} {change.instant}"
        for at in DAILY:
            asked = trigger(zone, f"{at.minute} {at.hour} * * *")
            found = walked(asked, change.instant - NEAR, change.instant + NEAR)
            dates = [each.astimezone(info).date() for each in found]
            runs = [dates.count(day) for day in inner]
            if runs != [1] * len(inner):
                wrong.append(f"{zone} {change.instant} {at}: {dict(zip(inner, runs, strict=True))}")
    assert wrong == []


@pytest.mark.parametrize("number", range(PARTS))
def test_every_half_hour_is_what_the_clock_shows(number: int) -> None:
    """Minute by minute over the hours around each change: minute 0 or 30, and nothing else."""
    wrong = []
    for zone, change in part(number):
        start, end = _around(change)
        found = walked(trigger(zone, "*/30 * * * *"), start, end)
        expected = _half_hours(zone, start, end)
        if found != expected:
            wrong.append(f"{zone} {change.instant}: expected {expected}, got {found}")
    assert wrong == []


def _around(change: Change) -> tuple[datetime, datetime]:
    """Return a stretch around *change* that holds both passes; it starts with a UTC minute."""
    reach = abs(change.after - change.before) + timedelta(hours=1)
    start, end = change.instant - reach, change.instant + reach
    return start.replace(second=0), end.replace(second=0)


def _half_hours(zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the instants in ``(start, end]`` that show minute 0 or 30, and second 0."""
    info = ZoneInfo(zone)
    whole = all(at.astimezone(info).second == 0 for at in (start, end))
    step = MINUTE if whole else MINUTE / 60
    instants = (start + number * step for number in range(1, (end - start) // step + 1))
    walls = ((at, at.astimezone(info)) for at in instants)
    return [at for at, wall in walls if wall.minute in {0, 30} and wall.second == 0]


def test_every_zone_and_every_change_is_looked_at() -> None:
    """The zones of the database, their tables, and all changes that the tables name."""
    names = available_timezones()
    assert len(names) > 400
    assert set(tables()) == {changes(zone) for zone in names}
    asked = {change for number in range(PARTS) for _, change in part(number)}
    assert asked == {change for table in tables() for change in table}
    assert any(change.before.seconds % 60 for change in asked), "an offset with seconds"
    assert {abs(change.after - change.before) for change in asked} >= {
        30 * MINUTE,
        2 * DAY / 48,
        DAY,
    }


def test_changes_are_those_of_the_calendar() -> None:
    """Known ones, to the second; the stride finds what is close together, too."""
    berlin = [change for change in changes("Europe/Berlin") if change.instant.year == 2026]
    assert [(change.instant, change.is_gap) for change in berlin] == [
        (datetime(2026, 3, 29, 1, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 1, tzinfo=UTC), False),
    ]
    (monrovia,) = changes("Africa/Monrovia")
    assert (monrovia.instant, monrovia.before) == (
        datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC),
        -timedelta(minutes=44, seconds=30),
    )
    week = [each for each in changes("America/Boa_Vista") if each.instant.year == 2000]
    assert [change.instant.day for change in week] == [27, 8, 15]
    assert len([each for each in changes("Africa/Casablanca") if each.instant.year == 2012]) == 4
