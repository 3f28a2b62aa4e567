"""Schedules of many instants a day, and some that are left without any, cost little to ask."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import DefinitionError
from core.policy import CatchUp
from core.trigger import Limits, Schedule, Trigger, decide
from manager.scheduling import build_trigger, describe
from manager.task.taskmanager import TaskManager

NINE = datetime(2026, 11, 20, 9, tzinfo=UTC)
WEEK, SECOND = timedelta(days=7), timedelta(seconds=1)
Part = tuple[str, dict[str, Any]]


def cron(text: str) -> Part:
    """Return a part of a combination that is a cron string."""
    return "cron", {"expression": text}


def interval(**units: float) -> Part:
    """Return a part of a combination that is an interval."""
    return "interval", units


def combined(
    kind: str, *parts: Part, anchor: datetime = NINE - WEEK, limits: Limits | None = None
) -> Trigger:
    """Return a combination in UTC that was registered a week before."""
    arguments = {"triggers": [{"trigger": name, "trigger_args": each} for name, each in parts]}
    return build_trigger(
        Schedule.of(kind, arguments, "UTC", anchor, limits=limits or Limits()),
    )


@pytest.mark.parametrize(
    "base", [cron("* * * * * *"), interval(seconds=1)], ids=["cron", "interval"]
)
def test_every_second_but_in_office_hours_goes_on_in_the_evening(base: Part) -> None:
    """So many seconds in a row are left out that a search one by one would give up."""
    trigger = combined("except", base, cron("* * 9-16 * * *"))
    assert trigger.next_after(NINE) == NINE.replace(hour=17)
    assert trigger.last_until(NINE, NINE - timedelta(days=1)) == (NINE - SECOND, 16 * 3600)


@pytest.mark.parametrize("kind", ["and", "or", "except"])
@pytest.mark.parametrize("shift", [0, 250_000], ids=["whole-seconds", "between-seconds"])
@pytest.mark.timeout(10)
def test_a_week_of_seconds_is_decided_at_once(kind: str, shift: int) -> None:
    """After a week of down time the engine counts what was missed, and does not walk it."""
    anchor = NINE - WEEK + timedelta(microseconds=shift)
    trigger = combined(kind, interval(seconds=1), cron("* * 9-16 * * *"), anchor=anchor)
    begin = NINE - timedelta(seconds=90_000)
    walked = list(trigger.between(begin, NINE))
    decision = decide(trigger, NINE - WEEK, NINE, CatchUp.LATEST, None)
    assert decision.fire == tuple(walked[-1:])
    assert trigger.last_until(NINE, begin) == (walked[-1] if walked else None, len(walked))


@pytest.mark.parametrize(
    "trigger",
    [
        combined("and", cron("0 * * * * *"), cron("30 * * * * *")),
        combined("and", cron("* * * * * *"), interval(seconds=1.5), anchor=NINE + SECOND / 4),
        combined("except", cron("* * * * * *"), cron("* * * * * *")),
        combined("and", ("calendar", {"days": 36_000}), ("calendar", {"days": 35_999})),
        build_trigger(
            Schedule.of(
                "interval",
                {"seconds": 1},
                "UTC",
                NINE,
                limits=Limits(exclude=json.dumps({"windows": [{"from": "09:30", "to": "09:30"}]})),
            )
        ),
    ],
    ids=["seconds", "half-seconds", "itself", "calendars", "excluded"],
)
@pytest.mark.timeout(10)
def test_what_is_never_due_is_soon_known(trigger: Trigger) -> None:
    """The engine asks on its own thread: a hopeless search ends early."""
    assert trigger.next_after(NINE) is None
    assert trigger.last_until(NINE, NINE - WEEK) == (None, 0)


def test_a_long_window_that_ends_is_waited_for() -> None:
    """A window may cover more years than a search would look through one by one."""
    window = {"windows": [{"from": "2026-01-01 00:00", "to": "2046-01-01 00:00"}]}
    limits = Limits(exclude=json.dumps(window))
    schedule = Schedule.of("cron", {"hour": 6}, "UTC", NINE, limits=limits)
    assert build_trigger(schedule).next_after(NINE) == datetime(2046, 1, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("trigger", "arguments", "options"),
    [
        (
            "and",
            {
                "triggers": [
                    {"trigger": "cron", "trigger_args": {"minute": 0}},
                    {"trigger": "cron", "trigger_args": {"minute": 30}},
                ]
            },
            {},
        ),
        ("interval", {"hours": 1}, {"exclude": {"windows": [{"from": "06:00", "to": "06:00"}]}}),
    ],
    ids=["never-together", "all-excluded"],
)
def test_a_schedule_that_is_left_without_any_occurrence_is_refused(
    trigger: str, arguments: dict[str, Any], options: dict[str, Any]
) -> None:
    """Where that does not hang on the registration, it is said before the task is kept."""
    with pytest.raises(DefinitionError, match="it can never fire"):
        TaskManager().preview(trigger, arguments, after=NINE, **options)


class Leaving:
    """A plugin's trigger that tries to end the process."""

    def next_after(self, _instant: datetime) -> datetime | None:
        """Raise ``SystemExit``."""
        raise SystemExit(3)


def test_a_trigger_that_asks_the_process_to_exit_ends_its_own_schedule_only() -> None:
    """``sys.exit`` in a plugin's trigger is a failure as any other; nobody else notices."""
    schedule = Schedule.of("leaving", {}, "UTC", NINE)
    trigger = build_trigger(schedule, {"leaving": lambda _arguments, _zone: Leaving()})
    assert trigger.next_after(NINE) is None
    assert trigger.last_until(NINE, NINE - WEEK) == (None, 0)


def test_a_combination_with_a_part_of_a_plugin_is_told_where_the_plugin_is_not_loaded() -> None:
    """Its own arguments stand for it, as they do where it is not part of anything."""
    tide = {"trigger": "tide", "trigger_args": {"port": "Bergen"}}
    nine = {"trigger": "cron", "trigger_args": {"hour": 9}}
    told = describe("or", {"triggers": [tide, nine]}, "UTC")
    assert told == "(tide with port='Bergen', UTC) or (at 09:00 every day, UTC)"
