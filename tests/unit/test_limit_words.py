"""The words for calendar intervals, combinations, plugins' kinds, and what narrows a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from manager.scheduling import describe

BERLIN: Final = "Europe/Berlin"
NINE: Final = {"trigger": "cron", "trigger_args": {"expression": "0 9 * * 1-5"}}


@pytest.mark.parametrize(
    ("trigger", "arguments", "told"),
    [
        (
            "calendar",
            {"months": 2, "day": "last", "hour": 3},
            "every 2 months on the last day at 03:00, counted from its registration, Europe/Berlin",
        ),
        (
            "calendar",
            {"years": 1, "months": 6, "day": 15, "hour": 23, "minute": 5, "second": 7},
            (
                "every year and 6 months on day 15 at 23:05:07, counted from its registration, "
                "Europe/Berlin"
            ),
        ),
        (
            "calendar",
            {"weeks": 1},
            "every week at 00:00, counted from its registration, Europe/Berlin",
        ),
        (
            "or",
            {"triggers": [NINE, {**NINE, "timezone": "Asia/Tokyo"}]},
            (
                "(at 09:00 from Monday to Friday, Europe/Berlin) or "
                "(at 09:00 from Monday to Friday, Asia/Tokyo)"
            ),
        ),
        (
            "except",
            {"triggers": [NINE, {"trigger": "cron", "trigger_args": {"day": 1, "hour": 9}}]},
            (
                "(at 09:00 from Monday to Friday, Europe/Berlin) except "
                "(at 09:00 on day 1 of the month, Europe/Berlin)"
            ),
        ),
        (
            "and",
            {"triggers": [NINE, {"trigger": "interval", "trigger_args": {"hours": 1}}]},
            (
                "(at 09:00 from Monday to Friday, Europe/Berlin) and at the same instant "
                "(every 1 h, counted from its registration)"
            ),
        ),
        ("tide", {"minutes_after": 10}, "tide with minutes_after=10, Europe/Berlin"),
    ],
    ids=["last", "year", "week", "or", "except", "and", "plugin"],
)
def test_each_kind_has_its_words(trigger: str, arguments: dict[str, Any], told: str) -> None:
    assert describe(trigger, arguments, BERLIN) == told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"start": "2026-03-01T08:00:00+00:00"}, "from 2026-03-01 09:00"),
        (
            {"start": datetime(2026, 3, 1, 8, tzinfo=UTC), "end": "2026-04-01T00:00:00+02:00"},
            "from 2026-03-01 09:00, until 2026-04-01 00:00",
        ),
        ({"end": "2026-10-25T01:30:00+00:00"}, "until 2026-10-25 02:30 +0100"),
        ({"max_runs": 1}, "1 run at most"),
        ({"max_runs": 12, "jitter": 5400}, "12 runs at most, put off by up to 1 h 30 min"),
        (
            {"exclude": {"dates": ["2026-12-24", "12-31"]}},
            "but not on 2026-12-24 or on 12-31 of any year",
        ),
        ({"exclude": {"dates": [f"01-{day:02}" for day in range(1, 9)]}}, "but not on 8 dates"),
        (
            {
                "exclude": {
                    "holidays": {"country": "DE", "subdivision": "BY"},
                    "windows": [
                        {"from": "22:00", "to": "06:00"},
                        {"from": "12:00", "to": "13:00", "weekdays": "mon-fri"},
                    ],
                }
            },
            (
                "but not on public holidays of DE (BY), from 22:00 to 06:00 or "
                "from 12:00 to 13:00 on mon-fri"
            ),
        ),
        ({"jitter": 0, "max_runs": None, "exclude": {}, "start": None}, ""),
    ],
    ids=["start", "both", "fold", "one", "jitter", "dates", "many", "windows", "none"],
)
def test_what_narrows_a_schedule_follows_it(options: dict[str, Any], told: str) -> None:
    plain = describe("cron", {"hour": 9}, BERLIN)
    found = describe("cron", {"hour": 9}, BERLIN, options=options)
    assert found == (f"{plain}, {told}" if told else plain)


def test_what_has_a_start_counts_from_it() -> None:
    """Then the registration does not matter."""
    found = describe("interval", {"hours": 1}, "UTC", options={"start": "2026-03-01"})
    assert found == "every 1 h, counted from its start, from 2026-03-01 00:00"
