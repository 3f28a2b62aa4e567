"""Random schedules, and what the production engine makes of them in simulated time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.errors import DefinitionError
from core.run import Cause
from manager.testing import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

ZONES: Final = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata",
    "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia",
)  # fmt: skip
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Written = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RandomSchedule:
    """A task of which only the schedule matters."""

    id: str
    trigger: str
    trigger_args: dict[str, Any]
    timezone: str
    dst: str
    limits: dict[str, Any] = field(default_factory=dict)


def random_schedules(count: int, seed: int, start: datetime) -> list[RandomSchedule]:
    """Return *count* sparse schedules, the same ones for the same *seed*.

    They are due from twice a day to once a year, most of them at odd local times; every kind of
    trigger and every key that narrows a schedule is among them.
    """
    draw = random.Random(seed)  # noqa: S311 - no secret
    found: list[RandomSchedule] = []
    for number in range(count):
        trigger, arguments = _drawn(draw, start)
        zone, dst = draw.choice(ZONES), draw.choice(("once", "once", "both", "skip"))
        limits = {} if trigger == "date" else _narrowed(draw, start)
        found.append(RandomSchedule(f"task_{number:04}", trigger, arguments, zone, dst, limits))
    return found


def registered(lab: Lab, schedules: Sequence[RandomSchedule]) -> list[RandomSchedule]:
    """Register tasks that do nothing, all at the instant at which *lab* stands.

    Those that can never fire are refused; the others are returned.
    """
    found = []
    for each in schedules:
        options = {"timezone": each.timezone, "dst": each.dst, **each.limits}
        try:
            lab.define(each.id, trigger=each.trigger, trigger_args=each.trigger_args, **options)
        except DefinitionError as error:
            assert "it can never fire" in str(error)  # noqa: PT017 - any other is a fault
        else:
            found.append(each)
    return found


def ran(lab: Lab, schedules: Sequence[RandomSchedule]) -> list[tuple[datetime, str]]:
    """Return instant and task of every run that started, in order; each was on time."""
    runs = [run for each in schedules for run in lab.runs(each.id)]
    assert {run.cause for run in runs} <= {Cause.SCHEDULE}
    assert all(run.started_at == run.scheduled_for for run in runs if run.attempt)
    return sorted((run.scheduled_for, run.task_id) for run in runs if run.attempt)


def foretold_and_played(
    count: int, seed: int, start: datetime, days: int
) -> tuple[list[tuple[datetime, str]], list[tuple[datetime, str]]]:
    """Return what a forecast says of *count* schedules, and what the engine then does."""
    with Lab(start, config={"manager": {"max_tasks": count}}) as lab:
        schedules = registered(lab, random_schedules(count, seed, start))
        assert len(schedules) > count * 0.9
        found = lab.tasks.forecast(days=days)
        lab.advance(timedelta(days=days))
        return [(each.at, each.task_id) for each in found.runs], ran(lab, schedules)


def _drawn(draw: random.Random, start: datetime) -> Written:
    hour, minute, second = draw.randrange(24), draw.randrange(60), draw.randrange(86_400)
    day, month, weekday = draw.randrange(1, 29), draw.randrange(1, 13), draw.choice(DAYS)
    date = f"{start.year + 1}-{month:02}-{day:02} {hour:02}:{minute:02}"
    forms: list[Written] = [
        ("interval", {"hours": draw.randrange(12, 400), "minutes": minute}),
        ("interval", {"days": draw.randrange(1, 60), "seconds": second}),
        ("date", {"run_date": date}),
        ("cron", {"expression": f"{minute} {hour} * * {weekday}"}),
        ("cron", {"expression": f"{minute} {hour} {day} */{draw.randrange(1, 5)} *"}),
        ("cron", {"day_of_week": weekday, "hour": hour, "minute": minute}),
        ("cron", {"hour": hour, "minute": minute, "day": f"*/{draw.randrange(1, 16)}"}),
        ("cron", {"month": month, "day": day, "hour": hour}),
        ("calendar", {"months": draw.randrange(1, 5), "day": "last", "hour": hour}),
        ("calendar", {"days": draw.randrange(2, 40), "hour": hour, "minute": minute}),
    ]
    if draw.randrange(5):
        return draw.choice(forms)
    parts = [
        {"trigger": trigger, "trigger_args": arguments}
        for trigger, arguments in (draw.choice(forms), ("cron", {"hour": hour, "day": "*/3"}))
    ]
    return draw.choice(("or", "except")), {"triggers": parts}


def _narrowed(draw: random.Random, start: datetime) -> dict[str, Any]:
    """Return keys that narrow or spread a schedule; half the time none."""
    forms: list[dict[str, Any]] = [
        {"start": (start + timedelta(days=draw.randrange(1, 200))).isoformat()},
        {"end": (start + timedelta(days=draw.randrange(200, 700))).isoformat()},
        {"jitter": draw.randrange(1, 7_200)},
        {"max_runs": draw.randrange(1, 40)},
        {"exclude": {"dates": ["12-24", "12-25", "05-01"], "holidays": "DE"}},
        {"exclude": {"windows": [{"from": "22:00", "to": "03:00"}]}},
    ]
    found: dict[str, Any] = {}
    for _ in range(draw.choice((0, 0, 1, 2))):
        found |= draw.choice(forms)
    return found
