"""The clock of the test kit, and spans as people write them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from manager.testing import VirtualClock
from manager.testing.spans import end_of, instant_of

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def test_both_clocks_move_when_time_passes() -> None:
    """By exactly as much, and only when told; the span is noted."""
    clock = VirtualClock(START)
    clock.advance(timedelta(hours=1, microseconds=1))
    assert clock.now() == START + timedelta(hours=1, microseconds=1)
    assert clock.monotonic() == 3600.000001
    assert clock.waits == [timedelta(hours=1, microseconds=1)]


def test_a_step_moves_the_wall_clock_alone() -> None:
    """Forth and back; no time passes."""
    clock = VirtualClock(START)
    clock.step(timedelta(days=1))
    clock.step(-timedelta(days=2))
    assert clock.now() == START - timedelta(days=1)
    assert (clock.monotonic(), clock.waits) == (0.0, [])


def test_time_that_passes_does_not_go_back() -> None:
    """The message names the verb that sets the wall clock."""
    with pytest.raises(ValueError, match=r"step\(\) sets the wall clock back"):
        VirtualClock(START).advance(timedelta(seconds=-1))


def test_a_wait_lets_its_limit_pass_unless_it_is_woken() -> None:
    """It returns at once, in real time, either way."""
    clock, wakeup = VirtualClock(START), threading.Event()
    assert not clock.wait(wakeup, timedelta(days=300))
    wakeup.set()
    assert clock.wait(wakeup, timedelta(days=300))
    assert clock.waits == [timedelta(days=300)]


@pytest.mark.parametrize(
    ("span", "end"),
    [
        (timedelta(minutes=5), "2026-01-31 12:05"),
        ("30 s", "2026-01-31 12:00:30"),
        ("1.5 hours", "2026-01-31 13:30"),
        ("2 h 30 min", "2026-01-31 14:30"),
        ("1 day, 2 hours", "2026-02-01 14:00"),
        ("1 week", "2026-02-07 12:00"),
        ("250 ms", "2026-01-31 12:00:00.250"),
        ("1 month", "2026-02-28 12:00"),
        ("3 months", "2026-04-30 11:00"),
        ("2 years 1 month", "2028-02-29 12:00"),
        ("2026-02-01 00:00", "2026-01-31 23:00"),
        (datetime(2026, 2, 1, tzinfo=UTC), "2026-02-01 00:00"),
    ],
    ids=[
        "timedelta", "seconds", "fraction", "two-parts", "comma", "week", "milliseconds",
        "short-month", "summer-time", "leap-year", "date-in-the-zone", "aware-date",
    ],
)  # fmt: skip
def test_a_span_ends_when_a_person_would_say(span: timedelta | str, end: str) -> None:
    """Months and years go by the calendar of the zone, here Berlin."""
    assert end_of(span, START, BERLIN) == instant_of(end, ZoneInfo("UTC"))


@pytest.mark.parametrize("span", ["soon", "3 fortnights", "1.5 months", "5", ""])
def test_a_span_that_cannot_be_read_is_named_with_the_units(span: str) -> None:
    """The message shows two spans that can be read."""
    with pytest.raises(ValueError, match=r"such as '2 h 30 min' or '3 months', or a date, got '"):
        end_of(span, START, BERLIN)
