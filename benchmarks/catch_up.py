"""How long it takes to decide a year of missed occurrences, one a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.harness import Figure, Subject, measure
from core.policy import CatchUp
from core.trigger import Limits, Schedule, decide
from manager.scheduling import build_trigger

if TYPE_CHECKING:
    from core.trigger import Trigger

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=365)
GOAL: Final = 0.05
NIGHTS: Final = '{"windows": [{"from": "22:00", "to": "06:00"}]}'


def run(turns: int = 9) -> list[Figure]:
    """Measure each policy on an interval and on cron, and one with its nights left out."""
    zone = "Europe/Berlin"
    cron = Schedule.of("cron", {"expression": "* * * * * *"}, zone, START)
    spared = Schedule.of("cron", {"second": "*"}, zone, START, limits=Limits(exclude=NIGHTS))
    interval = Schedule.of("interval", {"seconds": 1}, zone, START)
    subjects = [
        Subject(
            f"decide a year of missed seconds, {name}, catch_up {policy.value}",
            partial(_decide, build_trigger(schedule), policy),
            goal=GOAL,
        )
        for name, schedule in (("interval", interval), ("cron", cron), ("cron, no nights", spared))
        for policy in CatchUp
    ]
    return measure(subjects, turns)


def _decide(trigger: Trigger, policy: CatchUp) -> None:
    decision = decide(trigger, START, START + YEAR, policy, None)
    assert decision.missed > 365 * 16 * 3_600 - 200
