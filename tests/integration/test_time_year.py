"""Many tasks over long stretches of simulated time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.simulated_year import play
from core.policy import Dst
from core.trigger import Schedule
from manager.scheduling import build_trigger, checked_arguments
from tests.schedules import RandomSchedule, played, random_schedules

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2025, 7, 1, tzinfo=UTC)


def test_a_month_of_fifty_tasks_has_every_run_that_it_should_have() -> None:
    """36 daily, seven weekly, five monthly tasks, one hourly and one of six hours; some fail."""
    month = play(timedelta(days=31))
    daily, weekly, monthly, hourly, six_hourly = 36 * 31, 7 * 31 / 7, 5, 24 * 31, 4 * 31
    runs = sum(month.runs.values())
    assert abs(runs - (daily + weekly + monthly + hourly + six_hourly)) <= 40  # zones, at the ends
    assert month.runs["completed"] == runs
    assert month.calls > runs


def test_random_schedules_run_at_every_instant_of_their_triggers_and_no_other() -> None:
    """Thirty schedules in eight zones for two months, compared with their triggers."""
    schedules = random_schedules(30, seed=5, start=START)
    span = timedelta(days=60)
    assert played(schedules, START, span) == sorted(
        ((each.id, instant) for each in schedules for instant in due(each, span)),
        key=lambda pair: (pair[1], pair[0]),
    )


def due(each: RandomSchedule, span: timedelta) -> Iterator[datetime]:
    arguments = checked_arguments(each.trigger, each.trigger_args, each.timezone)
    trigger = build_trigger(
        Schedule.of(each.trigger, arguments, each.timezone, START, Dst(each.dst))
    )
    moment = trigger.next_after(START)
    while moment is not None and moment <= START + span:
        yield moment
        moment = trigger.next_after(moment)
