"""Random schedules, and what the production engine makes of them in simulated time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.run import Cause
from manager.testing import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

ZONES: Final = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata",
    "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia",
)  # fmt: skip
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class RandomSchedule:
    """A task of which only the schedule matters."""

    id: str
    trigger: str
    trigger_args: dict[str, Any]
    timezone: str
    dst: str


def random_schedules(count: int, seed: int, start: datetime) -> list[RandomSchedule]:
    """Return *count* sparse schedules, the same ones for the same *seed*.

    They are due from twice a day to once a year, most of them at odd local times.
    """
    draw = random.Random(seed)  # noqa: S311 - no secret
    found: list[RandomSchedule] = []
    for number in range(count):
        trigger, arguments = _drawn(draw, start)
        zone, dst = draw.choice(ZONES), draw.choice(("once", "once", "both", "skip"))
        found.append(RandomSchedule(f"task_{number:03}", trigger, arguments, zone, dst))
    return found


def played(
    schedules: Sequence[RandomSchedule], start: datetime, span: timedelta
) -> list[tuple[str, datetime]]:
    """Return (task, instant) of every run that starts within *span* from *start*, in order.

    All tasks are registered at *start*, in one container, and do nothing.
    """
    with Lab(start) as lab:
        for each in schedules:
            lab.define(
                each.id,
                trigger=each.trigger,
                trigger_args=each.trigger_args,
                timezone=each.timezone,
                dst=each.dst,
            )
        lab.advance(span)
        runs = [run for each in schedules for run in lab.runs(each.id)]
        assert {run.cause for run in runs} <= {Cause.SCHEDULE}
        assert all(run.started_at == run.scheduled_for for run in runs if run.attempt)
        ran = [(run.scheduled_for, run.task_id) for run in runs if run.attempt]
    return [(task_id, instant) for instant, task_id in sorted(ran)]


def _drawn(draw: random.Random, start: datetime) -> tuple[str, dict[str, Any]]:
    hour, minute, second = draw.randrange(24), draw.randrange(60), draw.randrange(86_400)
    day, month, weekday = draw.randrange(1, 29), draw.randrange(1, 13), draw.choice(DAYS)
    date = f"{start.year + 1}-{month:02}-{day:02} {hour:02}:{minute:02}"
    forms: list[tuple[str, dict[str, Any]]] = [
        ("interval", {"hours": draw.randrange(12, 400), "minutes": minute}),
        ("interval", {"days": draw.randrange(1, 60), "seconds": second}),
        ("date", {"run_date": date}),
        ("cron", {"expression": f"{minute} {hour} * * {weekday}"}),
        ("cron", {"expression": f"{minute} {hour} {day} */{draw.randrange(1, 5)} *"}),
        ("cron", {"day_of_week": weekday, "hour": hour, "minute": minute}),
        ("cron", {"hour": hour, "minute": minute, "day": f"*/{draw.randrange(1, 16)}"}),
        ("cron", {"month": month, "day": day, "hour": hour}),
    ]
    return draw.choice(forms)
