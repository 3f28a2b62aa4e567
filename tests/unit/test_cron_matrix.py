"""Cron strings against an oracle that scans local time minute by minute, or second by second."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import TriggerError
from core.policy import Dst
from core.trigger import Schedule
from manager.scheduling import build_trigger, checked_arguments
from manager.scheduling.crontext import parse_cron
from manager.scheduling.walls import WallTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_YORK: Final = "America/New_York"
GAP: Final = datetime(2026, 3, 8, 5, tzinfo=UTC)
FOLD: Final = datetime(2026, 11, 1, 4, tzinfo=UTC)
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)


def due(text: str, start: datetime, end: datetime, zone: str = "UTC") -> list[datetime]:
    """Return the occurrences of a cron string in ``(start, end]``."""
    arguments = checked_arguments("cron", {"expression": text}, zone)
    trigger = build_trigger(Schedule.of("cron", arguments, zone, start))
    found: list[datetime] = []
    moment = trigger.next_after(start)
    while moment is not None and moment <= end:
        found.append(moment)
        moment = trigger.next_after(moment)
    assert trigger.last_until(end, start) == (found[-1] if found else None, len(found))
    return found


def local(found: list[datetime], zone: str = NEW_YORK) -> list[str]:
    """Return instants as their zone shows them."""
    return [f"{at.astimezone(ZoneInfo(zone)):%m-%d %H:%M}" for at in found]


def test_a_fixed_time_in_the_gap_fires_once_at_its_end() -> None:
    """``30 2 * * *`` on the day on which there is no 02:30."""
    assert local(due("30 2 * * *", GAP, GAP + DAY, NEW_YORK)) == ["03-08 03:00"]


def test_a_fixed_time_in_the_fold_fires_once() -> None:
    """``30 1 * * *`` on the day that has 01:30 twice."""
    found = due("30 1 * * *", FOLD, FOLD + DAY, NEW_YORK)
    assert local(found) == ["11-01 01:30"]
    assert found == [datetime(2026, 11, 1, 5, 30, tzinfo=UTC)]


def test_a_wildcard_follows_elapsed_time_in_the_fold() -> None:
    """``*/30 * * * *`` fires fifty times on the day of twenty-five hours."""
    assert (
        len(due("*/30 * * * *", FOLD - timedelta(seconds=1), FOLD + 25 * DAY / 24, NEW_YORK)) == 51
    )


@pytest.mark.parametrize(
    ("dst", "gap", "fold"),
    [(Dst.ONCE, 1, 1), (Dst.BOTH, 1, 2), (Dst.SKIP, 0, 1)],
)
def test_a_task_may_choose_what_it_does_where_the_clock_is_set(
    dst: Dst, gap: int, fold: int
) -> None:
    """Once by default, both passes, or nothing in the gap."""
    zone = ZoneInfo(NEW_YORK)
    spring = WallTrigger(parse_cron("30 2 * * *").pattern, zone, dst)
    autumn = WallTrigger(parse_cron("30 1 * * *").pattern, zone, dst)
    assert spring.last_until(GAP + DAY / 2, GAP)[1] == gap
    assert autumn.last_until(FOLD + DAY / 2, FOLD)[1] == fold


def test_a_clock_that_is_set_back_over_midnight_shows_the_next_date_before_the_last_evening() -> (
    None
):
    """Newfoundland once fell back at one minute past midnight: 00:00 stands before 23:01."""
    start = datetime(2006, 10, 29, 1, 28, tzinfo=UTC)
    found = due("*/30 * * * *", start, start + DAY / 8, "America/St_Johns")
    assert local(found, "America/St_Johns") == [
        "10-28 23:00", "10-28 23:30", "10-29 00:00",
        "10-28 23:30", "10-29 00:00", "10-29 00:30",
    ]  # fmt: skip


DATES: Final[dict[str, Callable[[date], bool]]] = {
    "0 9 * * 0": lambda day: day.weekday() == 6,
    "0 9 * * 7": lambda day: day.weekday() == 6,
    "0 9 * * 1-5": lambda day: day.weekday() < 5,
    "0 9 * * mon-fri": lambda day: day.weekday() < 5,
    "0 9 * * Fri-Mon": lambda day: day.weekday() in {4, 5, 6, 0},
    "0 9 * * 5-7": lambda day: day.weekday() in {4, 5, 6},
    "0 9 13 * 5": lambda day: day.day == 13 or day.weekday() == 4,
    "0 9 */2 * 5": lambda day: day.day % 2 == 1 and day.weekday() == 4,
    "0 9 L * *": lambda day: day.day == monthrange(day.year, day.month)[1],
    "0 9 * * 1#2": lambda day: day.weekday() == 0 and 8 <= day.day <= 14,
    "0 9 * * 7#2": lambda day: day.weekday() == 6 and 8 <= day.day <= 14,
    "0 9 * * 7L": lambda day: day.weekday() == 6 and (day + 7 * DAY).month != day.month,
    "0 9 * * 5L": lambda day: day.weekday() == 4 and (day + 7 * DAY).month != day.month,
    "0 9 ? * MON": lambda day: day.weekday() == 0,
    "0 9 1 jan-mar,DEC *": lambda day: day.day == 1 and day.month in {1, 2, 3, 12},
}


@pytest.mark.parametrize("text", DATES)
def test_dates_are_those_of_crontab(text: str) -> None:
    """Four years of days, each asked by itself."""
    nines = (START + DAY * number + timedelta(hours=9) for number in range(1461))
    expected = [at for at in nines if DATES[text](at.date())]
    assert due(text, START, START + 1461 * DAY) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 18W * *", ["01-19", "02-18", "03-18", "04-17", "05-18", "06-18"]),
        ("0 0 LW * *", ["01-30", "02-27", "03-31", "04-30", "05-29", "06-30"]),
        ("0 0 1W * *", ["01-01", "02-02", "03-02", "04-01", "05-01", "06-01"]),
        ("0 0 31W * *", ["01-30", "03-31", "05-29"]),
    ],
    ids=str,
)
def test_the_nearest_weekday_stays_in_its_month(text: str, expected: list[str]) -> None:
    """As Quartz has it; a month without the day has none."""
    found = due(text, START - DAY, START + 180 * DAY)
    assert [f"{at:%m-%d}" for at in found] == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("*/10 * * * * *", [0, 10, 20, 30, 40, 50]),
        ("30 0 0 * * *", [30]),
        ("0 0 0 1 1 ? 2026", [0]),
        ("0 0 0 1 1 ? 2027", []),
    ],
    ids=str,
)
def test_seconds_come_first_and_years_last(text: str, seconds: list[int]) -> None:
    """Six fields and seven, in the first minute of the year 2026."""
    found = due(text, START - timedelta(seconds=1), START + timedelta(seconds=59))
    assert [at.second for at in found] == seconds


@pytest.mark.parametrize(
    ("name", "same"),
    [("@yearly", "0 0 1 1 *"), ("@Monthly", "0 0 1 * *"), ("@weekly", "0 0 * * 0")],
)
def test_a_name_is_its_expression(name: str, same: str) -> None:
    """The names of crontab, in any case."""
    assert due(name, START, START + 800 * DAY) == due(same, START, START + 800 * DAY)


def test_a_prefix_names_the_zone() -> None:
    """``CRON_TZ=`` wins over the zone of the task."""
    found = due("CRON_TZ=Europe/Berlin 0 9 * * *", START, START + DAY, NEW_YORK)
    assert found == [datetime(2026, 1, 1, 8, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 30 2 *", "it can never fire"),
        ("0 9 * * 8", "day of week: expected 0-7, sun-sat, 5L or 1#2 (here 0 and 7 are Sunday"),
        ("60 * * * *", "minute: expected 0-59, got '60'"),
        ("* * *", "expected 5 fields (minute hour day month weekday)"),
        ("@reboot", "for a run at each start use run_on_start"),
        ("CRON_TZ=No/Where * * * * *", "expected an IANA zone after CRON_TZ="),
        ("*/0 * * * *", "minute: expected 0-59, got '*/0'"),
        ("0 0 * * mon#6", "got 'MON#6'"),
        ("0 0 0 1 1 ? 1969", "year: expected 1970-9999"),
    ],
)
def test_what_is_no_cron_string_is_refused_with_its_field(text: str, said: str) -> None:
    """Where it is written, with what the field takes."""
    with pytest.raises(TriggerError) as caught:
        checked_arguments("cron", {"expression": text}, "UTC")
    assert said in str(caught.value)


ZONES: Final = (
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana",
    "Asia/Beirut", "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Kathmandu",
)  # fmt: skip


def scanned(text: str, zone: ZoneInfo, start: datetime, minutes: int) -> list[datetime]:
    """Return what a wildcard expression names, by asking every minute what the wall shows."""
    minute, hour, *_ = text.split()
    found = []
    for number in range(1, minutes + 1):
        at = start + timedelta(minutes=number)
        wall = at.astimezone(zone)
        if _named(minute, wall.minute, 60) and _named(hour, wall.hour, 24):
            found.append(at)
    return found


def _named(term: str, value: int, size: int) -> bool:
    base, _, step = term.partition("/")
    return value in (range(0, size, int(step or 1)) if base == "*" else {int(base)})


@settings(max_examples=120, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    minute=st.sampled_from(["*/15", "*/20", "*", "*/30"]),
    hour=st.sampled_from(["*", "*/2", "*/5", "2", "0", "23"]),
    day=st.integers(0, 365 * 40),
)
def test_a_wildcard_is_what_the_clock_on_the_wall_shows(
    zone: str, minute: str, hour: str, day: int
) -> None:
    """Three days of minutes anywhere from 1990 to 2030, in zones with every kind of change."""
    start = datetime(1990, 1, 1, tzinfo=UTC) + day * DAY
    text = f"{minute} {hour} * * *"
    expected = scanned(text, ZoneInfo(zone), start, 3 * 24 * 60)
    assert due(text, start, start + 3 * DAY, zone) == expected


@pytest.mark.parametrize("clock", [(0, 0), (0, 30), (1, 30), (2, 30), (3, 0)], ids=str)
@pytest.mark.parametrize("name", ZONES)
def test_a_daily_task_runs_once_on_each_date_that_exists(name: str, clock: tuple[int, int]) -> None:
    """Every change of these zones from 2007 to 2015 lies in between."""
    hour, minute = clock
    zone = ZoneInfo(name)
    start, end = datetime(2007, 1, 1, tzinfo=UTC), datetime(2015, 12, 31, tzinfo=UTC)
    dates = [at.astimezone(zone).date() for at in due(f"{minute} {hour} * * *", start, end, name)]
    noons = [datetime(2007, 1, 1, 12, tzinfo=zone) + DAY * n for n in range((end - start).days + 1)]
    existing = {at.astimezone(UTC).astimezone(zone).date() for at in noons}
    assert len(dates) == len(set(dates))
    assert set(dates[1:-1]) >= {day for day in existing if dates[1] <= day <= dates[-2]}


def test_a_year_of_seconds_is_counted_without_walking() -> None:
    """31,536,000 occurrences, through two changes of the clock."""
    trigger = WallTrigger(parse_cron("* * * * * *").pattern, ZoneInfo("Europe/Berlin"))
    end = datetime(2026, 11, 21, tzinfo=UTC)
    assert trigger.last_until(end, end - 365 * DAY) == (end, 365 * 86_400)
