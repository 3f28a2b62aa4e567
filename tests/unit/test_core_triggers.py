"""Trigger arithmetic against brute force, and the two days a year when clocks are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TriggerError
from core.trigger import Schedule
from manager.scheduling import build_trigger, checked_arguments
from manager.scheduling.fields import pattern_of
from manager.scheduling.simple import DateTrigger, IntervalTrigger
from manager.scheduling.walls import WallTrigger
from tests.walking import walked

if TYPE_CHECKING:
    from collections.abc import Callable


ANCHOR: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
BERLIN: Final = ZoneInfo("Europe/Berlin")
SPRING: Final = datetime(2026, 3, 28, 20, tzinfo=UTC)
AUTUMN: Final = datetime(2026, 10, 24, 20, tzinfo=UTC)

micros = st.integers(-(10**9), 10**10).map(lambda number: timedelta(microseconds=number))
periods = st.integers(10_000, 10**9).map(lambda number: timedelta(microseconds=number))


def by_fields(fields: dict[str, Any], zone: ZoneInfo) -> WallTrigger:
    """Return the trigger of cron fields in a zone."""
    return WallTrigger(pattern_of(fields), zone)


@given(periods, micros)
def test_the_next_occurrence_is_the_first_one_later(period: timedelta, offset: timedelta) -> None:
    """It is later than the instant, on the grid, not the anchor, and none lies between."""
    instant = ANCHOR + offset
    found = IntervalTrigger(period, ANCHOR).next_after(instant)
    assert found is not None
    assert found > instant
    assert (found - ANCHOR) % period == timedelta(0)
    assert found > ANCHOR
    assert found - period <= max(instant, ANCHOR)


@given(
    st.integers(1, 50), st.integers(-200, 1_000), st.integers(0, 1_000), st.integers(0, 10**6 - 1)
)
def test_the_last_occurrence_is_that_of_brute_force(
    period: int, start: int, length: int, fraction: int
) -> None:
    """Which one, and how many, over every window of whole and broken seconds."""
    trigger = IntervalTrigger(period * SECOND, ANCHOR)
    after = ANCHOR + start * SECOND
    until = after + length * SECOND + timedelta(microseconds=fraction)
    grid = [ANCHOR + n * period * SECOND for n in range(1, 2_500 // period)]
    inside = [each for each in grid if after < each <= until]
    assert trigger.last_until(until, after) == (inside[-1] if inside else None, len(inside))


def test_an_interval_ends_where_time_does() -> None:
    """Beyond the year 9999 there is no next occurrence, and no error."""
    trigger = IntervalTrigger(timedelta(days=36_000), datetime(9950, 1, 1, tzinfo=UTC))
    assert trigger.next_after(datetime(9990, 1, 1, tzinfo=UTC)) is None


def test_a_date_occurs_once() -> None:
    """Before it there is one, at it and after it none."""
    trigger = DateTrigger(ANCHOR)
    assert trigger.next_after(ANCHOR - SECOND) == ANCHOR
    assert trigger.next_after(ANCHOR) is None
    assert trigger.last_until(ANCHOR, ANCHOR - SECOND) == (ANCHOR, 1)
    assert trigger.last_until(ANCHOR, ANCHOR) == (None, 0)
    assert trigger.last_until(ANCHOR - SECOND, ANCHOR - MINUTE) == (None, 0)


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"minute": "*/15"}, lambda at: at.minute % 15 == 0),
        ({"hour": "*"}, lambda at: at.minute == 0),
        ({"minute": 30}, lambda at: at.minute == 30),
        ({"hour": 2, "minute": "*/20"}, lambda at: at.hour == 2 and at.minute % 20 == 0),
    ],
    ids=["quarters", "hours", "half hours", "twenties of one hour"],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"])
@pytest.mark.parametrize("month", [3, 4, 10, 11])
def test_a_wildcard_fires_at_every_instant_that_shows_a_matching_time(
    fields: dict[str, Any], matches: Callable[[datetime], bool], zone: str, month: int
) -> None:
    """Minute by minute around each change of the clock: both passes, nothing in a gap."""
    info = ZoneInfo(zone)
    change = _change(info, month)
    start, end = change - 6 * 60 * MINUTE, change + 6 * 60 * MINUTE
    minutes = [start + n * MINUTE for n in range(1, 12 * 60 + 1)]
    expected = [at for at in minutes if matches(at.astimezone(info))]
    assert walked(by_fields(fields, info), start, end) == expected


def _change(info: ZoneInfo, month: int) -> datetime:
    """Return the hour of the clock change of *month* 2026, or its middle where there is none."""
    first = datetime(2026, month, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=n) for n in range(28 * 24, 31 * 24 - 1)]
    hours = [first + timedelta(hours=n) for n in range(30 * 24)] + hours
    for hour in hours:
        if hour.astimezone(info).utcoffset() != (hour + 60 * MINUTE).astimezone(info).utcoffset():
            return hour
    return first + timedelta(days=14)


@pytest.mark.parametrize(
    ("fields", "start", "expected"),
    [
        ({"hour": 2, "minute": 30}, SPRING, ["03:00+0200"]),
        ({"hour": 2, "minute": "0,15,30"}, SPRING, ["03:00+0200"]),
        ({"hour": "2,3", "minute": 15}, SPRING, ["03:00+0200", "03:15+0200"]),
        ({"hour": 2, "minute": 30}, AUTUMN, ["02:30+0200"]),
        ({"hour": 2, "minute": "0,30"}, AUTUMN, ["02:00+0200", "02:30+0200"]),
        ({"hour": "2,3"}, AUTUMN, ["02:00+0200", "03:00+0100"]),
    ],
)
def test_a_fixed_time_fires_once_on_the_day_of_the_change(
    fields: dict[str, Any], start: datetime, expected: list[str]
) -> None:
    """In a gap at its end, several collapsed into one; in a repeated hour in its first pass."""
    trigger = by_fields(fields, BERLIN)
    found = walked(trigger, start, start + 10 * 60 * MINUTE)
    assert [at.astimezone(BERLIN).strftime("%H:%M%z") for at in found] == expected


def test_a_fixed_time_is_not_found_again_in_the_second_pass() -> None:
    """From every minute of the repeated hour on, the next one is tomorrow's."""
    trigger = by_fields({"hour": 2, "minute": 30}, BERLIN)
    second = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    tomorrow = datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert {trigger.next_after(second + n * MINUTE) for n in range(60)} == {tomorrow}


def test_a_day_that_a_zone_left_out_has_no_occurrence() -> None:
    """Samoa had no 30 December 2011: nothing of that date is made up on another."""
    apia = ZoneInfo("Pacific/Apia")
    start = datetime(2011, 12, 1, tzinfo=apia).astimezone(UTC)
    monthly = by_fields({"day": 30, "hour": 12}, apia).next_after(start)
    assert monthly == datetime(2012, 1, 30, 12, tzinfo=apia).astimezone(UTC)
    days = walked(by_fields({"hour": 2, "minute": 30}, apia), start, start + timedelta(days=40))
    dates = [at.astimezone(apia).date() for at in days]
    assert len(dates) == len(set(dates)) == 40


@pytest.mark.parametrize("minute", ["0-29", "0-17", "*", "10"])
@pytest.mark.parametrize("until", [45, 17, 18, 5, 59])
def test_the_last_of_more_than_a_thousand_is_the_last(minute: str, until: int) -> None:
    """Which one, and how many, without walking there."""
    trigger = by_fields({"second": "*", "minute": minute}, ZoneInfo("UTC"))
    after, end = ANCHOR - 15 * MINUTE, ANCHOR + until * MINUTE
    inside = walked(trigger, after, end)
    assert trigger.last_until(end, after) == (inside[-1] if inside else None, len(inside))


def test_a_day_that_never_comes_has_no_occurrence() -> None:
    """The thirtieth of February, and a year that has passed."""
    for fields in ({"month": 2, "day": 30}, {"year": 2020}):
        assert by_fields(fields, BERLIN).next_after(ANCHOR) is None


def test_trigger_args_count_weekdays_from_monday() -> None:
    """0 is Monday, the fields are joined by AND, finer ones are their minimum."""
    trigger = by_fields({"day_of_week": 0, "day": "1-7"}, ZoneInfo("UTC"))
    assert trigger.next_after(ANCHOR) == datetime(2026, 2, 2, tzinfo=UTC)


def test_a_trigger_is_built_as_its_schedule_says() -> None:
    """Each kind in the zone of the task."""
    naive = Schedule.of("date", {"run_date": "2026-07-01 08:00"}, "Europe/Berlin", ANCHOR)
    assert build_trigger(naive).next_after(ANCHOR) == datetime(2026, 7, 1, 6, tzinfo=UTC)
    aware = Schedule.of("date", {"run_date": "2026-07-01T08:00+05:00"}, "Europe/Berlin", ANCHOR)
    assert build_trigger(aware).next_after(ANCHOR) == datetime(2026, 7, 1, 3, tzinfo=UTC)
    daily = Schedule.of("cron", {"hour": 8}, "Europe/Berlin", ANCHOR)
    assert build_trigger(daily).next_after(ANCHOR) == datetime(2026, 1, 6, 7, tzinfo=UTC)
    often = Schedule.of("interval", {"minutes": 1, "seconds": 30}, "UTC", ANCHOR)
    assert build_trigger(often).next_after(ANCHOR) == ANCHOR + 90 * SECOND


@pytest.mark.parametrize(
    ("kind", "arguments", "text"),
    [
        (
            "intervall",
            {},
            (
                "unknown trigger 'intervall', did you mean 'interval'? "
                "Known triggers: and, calendar, cron, date, except, interval, or."
            ),
        ),
        ("interval", {"hour": 1}, "trigger_args.hour: unknown argument, did you mean 'hours'?"),
        (
            "cron",
            {"cron": "0 9 * * *"},
            "trigger_args.cron: unknown argument, did you mean 'expression'?",
        ),
        (
            "cron",
            {"hour": 9, "timezone": "Europe/Berlin"},
            (
                "trigger_args.timezone: unknown argument; "
                "write the definition's own key 'timezone' instead"
            ),
        ),
        (
            "cron",
            {"month": 2, "day": 30},
            ("trigger_args: it can never fire: no date of the calendar matches 'month=2 day=30'"),
        ),
        (
            "interval",
            {"hours": -1, "days": "x"},
            (
                "trigger_args.hours: expected a number from 0 to 3155760000, got -1; "
                "trigger_args.days: expected a number from 0 to 3155760000, got 'x'"
            ),
        ),
        (
            "date",
            {"run_date": "soon"},
            (
                "trigger_args.run_date: expected a date and time such as "
                "'2026-12-25 00:00:00', got 'soon'"
            ),
        ),
        (
            "cron",
            {},
            (
                "trigger_args: expected an expression, or at least one of year, month, day, "
                "week, day_of_week, hour, minute, second, got none"
            ),
        ),
    ],
    ids=["kind", "name", "cron-name", "zone", "no-date", "values", "date", "empty"],
)
def test_arguments_that_make_no_schedule_are_named(
    kind: str, arguments: dict[str, Any], text: str
) -> None:
    """Where, what was expected and what was found, all problems together."""
    with pytest.raises(TriggerError) as caught:
        checked_arguments(kind, arguments, "UTC")
    assert str(caught.value) == text
