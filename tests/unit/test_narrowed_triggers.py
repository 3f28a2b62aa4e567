"""Starts, ends, exclusions, jitters, calendar intervals and combinations, as pure triggers."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest

from core.errors import TriggerError
from core.trigger import Limits, Schedule
from manager.scheduling import build_trigger, checked_arguments, checked_exclusions
from tests.walking import walked

if TYPE_CHECKING:
    from core.trigger import Trigger

ANCHOR: Final = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
BERLIN: Final = "Europe/Berlin"
NIGHTS: Final[dict[str, Any]] = {"windows": [{"from": "22:00", "to": "06:00"}]}
HOLIDAYS: Final[dict[str, Any]] = {"holidays": {"country": "DE", "subdivision": "BY"}}


def made(
    trigger: str,
    arguments: dict[str, Any],
    zone: str = BERLIN,
    *,
    exclude: dict[str, Any] | list[Any] | None = None,
    **limits: Any,  # noqa: ANN401 - as Limits takes them
) -> Trigger:
    """Return a trigger as a definition would have it."""
    checked = checked_arguments(trigger, arguments, zone)
    left_out = checked_exclusions(exclude, ZoneInfo(zone)) if exclude else None
    text = json.dumps(left_out) if left_out else ""
    given = Limits(**limits, exclude=text)
    return build_trigger(Schedule.of(trigger, checked, zone, ANCHOR, limits=given))


def cron(expression: str) -> dict[str, Any]:
    """Return a cron string as a part of a combination."""
    return {"trigger": "cron", "trigger_args": {"expression": expression}}


def every(**units: float) -> dict[str, Any]:
    """Return an interval as a part of a combination."""
    return {"trigger": "interval", "trigger_args": units}


def days(trigger: Trigger, count: int, after: datetime = ANCHOR, zone: str = BERLIN) -> list[str]:
    """Return the first local dates and times."""
    found = walked(trigger, after, after + 4000 * DAY)[:count]
    return [f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for moment in found]


KINDS: Final = {
    "cron with nights off": lambda: made("cron", {"minute": "*/20"}, exclude=NIGHTS),
    "cron with holidays": lambda: made("cron", {"hour": 9}, exclude=HOLIDAYS),
    "cron with dates": lambda: made("cron", {"hour": "*/5"}, exclude=["12-25", "2026-03-29"]),
    "cron in a window": lambda: made(
        "cron", {"hour": "*"}, start=ANCHOR + 9 * DAY, end=ANCHOR + 90 * DAY
    ),
    "cron without a week": lambda: made(
        "cron",
        {"hour": "*/3"},
        exclude={"windows": [{"from": "2026-03-27 12:00", "to": "2026-04-02 12:00"}]},
    ),
    "cron with a jitter": lambda: made("cron", {"hour": "*/4"}, jitter=HOUR, salt="a"),
    "dense with a jitter": lambda: made("cron", {"minute": "*/30"}, jitter=2 * HOUR, salt="b"),
    "jitter and nights": lambda: made(
        "cron", {"minute": "*/30"}, jitter=HOUR, salt="c", exclude=NIGHTS, end=ANCHOR + 60 * DAY
    ),
    "interval with a jitter": lambda: made("interval", {"hours": 7}, jitter=HOUR, salt="d"),
    "interval from a start": lambda: made("interval", {"hours": 5}, start=ANCHOR + 3 * DAY),
    "calendar months": lambda: made("calendar", {"months": 1, "day": "last", "hour": 2}),
    "calendar days": lambda: made("calendar", {"days": 3, "hour": 2, "minute": 30}),
    "or": lambda: made("or", {"triggers": [cron("0 */3 * * *"), cron("0 */2 * * *")]}),
    "or of three": lambda: made(
        "or", {"triggers": [cron("15 3 * * *"), every(hours=9), cron("0 0 * * 1-5")]}
    ),
    "and of wildcards": lambda: made(
        "and", {"triggers": [cron("*/7 * * * *"), cron("*/3 * * * *")]}
    ),
    "and of fixed": lambda: made("and", {"triggers": [cron("0 1,2,3 * * *"), cron("0 2 * * *")]}),
    "and of intervals": lambda: made("and", {"triggers": [every(hours=6), every(hours=4)]}),
    "except": lambda: made("except", {"triggers": [cron("0 * * * *"), cron("0 */6 * * *")]}),
    "nested": lambda: made(
        "except",
        {
            "triggers": [
                {
                    "trigger": "or",
                    "trigger_args": {"triggers": [cron("0 1 * * *"), every(hours=5)]},
                },
                cron("0 1 * * 1"),
            ]
        },
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_counting_is_walking(name: str) -> None:
    """What is computed over a span is what a walk through it finds, its last one as well."""
    trigger, draw = KINDS[name](), random.Random(name)  # noqa: S311 - a schedule is no secret
    total = 0
    for _ in range(40):
        after = ANCHOR + draw.random() * 300 * DAY
        until = after + draw.random() ** 3 * 30 * DAY
        found = walked(trigger, after, until)
        total += len(found)
        assert list(trigger.between(after, until)) == found
        assert trigger.last_until(until, after) == (found[-1] if found else None, len(found))
    assert total


@pytest.mark.parametrize("name", KINDS)
def test_every_occurrence_is_later_than_what_was_asked(name: str) -> None:
    """From an occurrence on, and from just before it."""
    trigger = KINDS[name]()
    first = trigger.next_after(ANCHOR + DAY)
    assert first is not None
    assert first > ANCHOR + DAY
    assert trigger.next_after(first - timedelta(microseconds=1)) == first
    later = trigger.next_after(first)
    assert later is None or later > first


def test_nights_weekdays_dates_and_holidays_are_left_out() -> None:
    """A window belongs to the weekday on which it begins; each is local time of the zone."""
    friday_night = {"windows": [{"from": "22:00", "to": "06:00", "weekdays": "fri"}]}
    trigger = made("cron", {"hour": "*/2"}, exclude=friday_night)
    found = days(trigger, 12, datetime(2026, 6, 5, 16, tzinfo=UTC))
    assert found[:5] == [
        "2026-06-05 20:00",
        "2026-06-06 06:00",
        "2026-06-06 08:00",
        "2026-06-06 10:00",
        "2026-06-06 12:00",
    ]
    trigger = made("cron", {"hour": 9}, exclude=HOLIDAYS)
    assert days(trigger, 3, datetime(2026, 12, 24, 12, tzinfo=UTC)) == [
        "2026-12-27 09:00",
        "2026-12-28 09:00",
        "2026-12-29 09:00",
    ]
    trigger = made("cron", {"hour": 9}, exclude=["12-24", date(2026, 12, 26), "2027-01-01"])
    assert [each[:10] for each in days(trigger, 8, datetime(2026, 12, 23, 12, tzinfo=UTC))] == [
        *("2026-12-25", "2026-12-27", "2026-12-28", "2026-12-29", "2026-12-30", "2026-12-31"),
        *("2027-01-02", "2027-01-03"),
    ]


def test_a_blackout_holds_in_both_passes_of_the_repeated_hour() -> None:
    """And what is due every half an hour goes on right after it."""
    quiet = {"windows": [{"from": "02:00", "to": "02:30"}]}
    trigger = made("cron", {"minute": "*/30"}, exclude=quiet)
    night = datetime(2026, 10, 24, 23, 45, tzinfo=UTC)
    found = [f"{at:%H:%M}" for at in walked(trigger, night, night + 3 * HOUR)]
    assert found == ["00:30", "01:30", "02:00", "02:30"]


def test_a_jitter_is_the_same_for_good_and_keeps_the_order() -> None:
    """A hash of the task's id and the occurrence; less than the jitter, and than the distance."""
    plain = made("cron", {"hour": "*"}, "UTC")
    spread = made("cron", {"hour": "*"}, "UTC", jitter=HOUR / 2, salt="nightly")
    other = made("cron", {"hour": "*"}, "UTC", jitter=HOUR / 2, salt="hourly")
    own = walked(plain, ANCHOR, ANCHOR + 20 * DAY)
    found = walked(spread, ANCHOR, ANCHOR + 20 * DAY)
    assert len(found) in {len(own), len(own) - 1}
    offsets = [at - due for at, due in zip(found, own, strict=False)]
    assert all(timedelta(0) <= each < HOUR / 2 for each in offsets)
    assert len(set(offsets)) == len(offsets)
    assert found[0] == datetime.fromisoformat("2026-01-31T11:07:06.134061+00:00")
    assert not set(found) & set(walked(other, ANCHOR, ANCHOR + 20 * DAY))
    far = made("cron", {"hour": "*"}, "UTC", jitter=DAY, salt="nightly")
    hours = [
        at.replace(minute=0, second=0, microsecond=0) for at in walked(far, ANCHOR, ANCHOR + DAY)
    ]
    assert hours == [datetime(2026, 1, 31, 11, tzinfo=UTC) + n * HOUR for n in range(len(hours))]


def test_a_jitter_does_not_reach_into_a_blackout_or_beyond_the_end() -> None:
    end = datetime(2026, 2, 20, 12, 1, tzinfo=UTC)
    trigger = made(
        "cron", {"hour": "*/2"}, "UTC", jitter=2 * HOUR, salt="x", exclude=NIGHTS, end=end
    )
    found = walked(trigger, ANCHOR, ANCHOR + 90 * DAY)
    assert {at.hour for at in found} <= set(range(6, 22))
    assert found[-1] <= end
    assert found[-1] >= end - timedelta(minutes=1)


def test_calendar_intervals_count_in_dates() -> None:
    """From the local date of the registration, 31 January, or of the start."""
    assert days(made("calendar", {"months": 2, "day": "last", "hour": 3}), 4) == [
        "2026-03-31 03:00",
        "2026-05-31 03:00",
        "2026-07-31 03:00",
        "2026-09-30 03:00",
    ]
    assert days(made("calendar", {"months": 1}), 3) == [
        "2026-03-31 00:00",
        "2026-05-31 00:00",
        "2026-07-31 00:00",
    ]
    assert days(made("calendar", {"weeks": 2, "hour": 23}), 3) == [
        "2026-01-31 23:00",
        "2026-02-14 23:00",
        "2026-02-28 23:00",
    ]
    leap = made("calendar", {"years": 1, "day": 29}, start=datetime(2024, 2, 29, tzinfo=UTC))
    assert days(leap, 2) == ["2028-02-29 00:00", "2032-02-29 00:00"]
    decade = made("calendar", {"years": 3, "day": 1}, start=datetime(2025, 5, 1, tzinfo=UTC))
    assert days(decade, 3) == ["2028-05-01 00:00", "2031-05-01 00:00", "2034-05-01 00:00"]
    gap = made("calendar", {"days": 1, "hour": 2, "minute": 30})
    assert days(gap, 3, datetime(2026, 3, 28, tzinfo=UTC)) == [
        "2026-03-28 02:30",
        "2026-03-29 03:00",
        "2026-03-30 02:30",
    ]


def test_intervals_that_never_meet_are_found_out_at_once() -> None:
    apart = [every(hours=2), every(hours=2, seconds=0.5), every(minutes=7)]
    trigger = made("and", {"triggers": apart})
    first = trigger.next_after(ANCHOR)
    assert first is not None
    period = (first - ANCHOR) / HOUR
    assert period % 2 == 0
    assert trigger.next_after(first) == first + (first - ANCHOR)
    shifted = build_trigger(
        Schedule.of(
            "and",
            {"triggers": [every(hours=2), cron("1 0 * * *")]},
            "UTC",
            datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC),
        )
    )
    assert shifted.next_after(ANCHOR) is None


def test_parts_of_a_combination_may_have_zones_of_their_own() -> None:
    both = [cron("0 9 * * *"), {**cron("0 9 * * *"), "timezone": "Asia/Tokyo"}]
    trigger = made("or", {"triggers": both}, "UTC")
    assert days(trigger, 3, zone="UTC") == [
        "2026-02-01 00:00",
        "2026-02-01 09:00",
        "2026-02-02 00:00",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"dats": []}, "exclude.dats: unknown key, did you mean 'dates'?"),
        (["2026-13-01"], "exclude.dates: expected dates such as '2026-12-24'"),
        (["13-01"], "exclude.dates: expected dates such as"),
        ([5], "exclude.dates: expected dates such as"),
        ("2026-12-24", "exclude: expected a list of dates, or a dict of dates, holidays, windows"),
        ({"holidays": "XX"}, "expected a country such as 'DE' that 'holidays' knows, got 'XX'"),
        ({"holidays": {"land": "DE"}}, "exclude.holidays: expected a country"),
        (
            {"holidays": {"country": "DE", "subdivision": "?"}},
            "and a subdivision of it, got 'DE', '?'",
        ),
        ({"windows": [{"from": "22:00"}]}, "exclude.windows: expected times of the day"),
        ({"windows": [{"from": "22:00", "to": "26:00"}]}, "exclude.windows: expected times"),
        ({"windows": [{"from": "22:00", "till": "23:00"}]}, "exclude.windows.till: unknown key"),
        (
            {"windows": [{"from": "22:00", "to": "23:00", "weekdays": "1-5"}]},
            "weekdays are names such as 'mon-fri'",
        ),
        (
            {"windows": [{"from": "2026-12-24 18:00", "to": "2026-12-24 12:00"}]},
            "exclude.windows: expected times",
        ),
        ({"windows": ["22:00-23:00"]}, "exclude.windows: expected {'from': '22:00'"),
    ],
    ids=[
        *("key", "month", "yearly", "number", "text", "country", "land", "part", "half", "hour"),
        *("till", "weekdays", "backwards", "words"),
    ],
)
def test_exclusions_that_cannot_be_meant_are_named(value: object, said: str) -> None:
    with pytest.raises(TriggerError) as caught:
        checked_exclusions(value, ZoneInfo("UTC"))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        ("calendar", {}, "expected years or months, with a day if you like, or else weeks or days"),
        ("calendar", {"months": 1, "days": 1}, "expected years or months"),
        ("calendar", {"days": 1, "day": 5}, "expected years or months"),
        ("calendar", {"years": 101}, "at most 100 years"),
        ("calendar", {"months": 1, "day": 32}, "trigger_args.day: expected a whole number from 1"),
        (
            "calendar",
            {"months": 1, "hour": 24},
            "trigger_args.hour: expected a whole number from 0",
        ),
        ("or", {"triggers": [cron("0 0 * * *")]}, "expected a list of 2 to 20 triggers"),
        ("or", {}, "trigger_args.triggers: expected a list of 2 to 20 triggers"),
        (
            "or",
            {"triggers": [cron("0 0 * * *"), cron("61 * * * *")]},
            "trigger_args.triggers[1].trigger_args.expression: ",
        ),
        ("and", {"triggers": [5, cron("0 0 * * *")]}, "trigger_args.triggers[0]: expected a dict"),
        (
            "and",
            {"triggers": [{**cron("0 0 * * *"), "timezone": "No/Where"}, cron("0 0 * * *")]},
            "trigger_args.triggers[0].timezone: expected an IANA time zone",
        ),
        (
            "except",
            {"triggers": [{**cron("0 0 * * *"), "dst": "never"}, cron("0 0 * * *")]},
            "trigger_args.triggers[0].dst: expected 'once', 'both' or 'skip'",
        ),
        ("cron", {"hour": 3, "start_date": "2026-01-01"}, "the definition's own key 'start'"),
        ("interval", {"hours": 3, "jitter": 5}, "the definition's own key 'jitter'"),
    ],
    ids=[
        *("empty", "mixed", "day", "long", "number", "hour", "one", "none", "part", "kind", "zone"),
        *("dst", "start", "jitter"),
    ],
)
def test_arguments_of_the_new_kinds_are_checked(
    kind: str, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(TriggerError) as caught:
        checked_arguments(kind, arguments, "UTC")
    assert said in str(caught.value)


def test_combinations_nest_four_deep_and_no_deeper() -> None:
    part = cron("0 0 * * *")
    for _ in range(3):
        part = {"trigger": "or", "trigger_args": {"triggers": [part, cron("0 1 * * *")]}}
    checked_arguments("or", {"triggers": [part, part]}, "UTC")
    deeper = {"trigger": "or", "trigger_args": {"triggers": [part, part]}}
    with pytest.raises(TriggerError, match="at most 4 deep"):
        checked_arguments("or", {"triggers": [deeper, part]}, "UTC")
