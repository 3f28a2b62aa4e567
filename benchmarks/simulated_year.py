"""How long a year of fifty tasks takes through the production engine, under a virtual clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import Figure, Subject, measure
from manager.testing import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

YEAR: Final = timedelta(days=365)
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Sydney")


@dataclass(frozen=True, slots=True)
class Played:
    """What became of the mix.

    Attributes:
        runs: How many runs have the state, by state.
        calls: How often a function was called.
    """

    runs: Counter[str]
    calls: int


def define_mix(lab: Lab) -> list[int]:
    """Define fifty tasks and return a list whose length is the number of their calls.

    36 are daily at local times of five zones, seven weekly, five monthly, one hourly, and one
    runs every six hours. One in ten fails at each fifth call and is retried.
    """
    calls: list[int] = []

    def works() -> None:
        calls.append(1)

    def flaky() -> Callable[[], None]:
        own = [0]

        def fails() -> None:
            works()
            own[0] += 1
            if own[0] % 5 == 0:
                raise ConnectionError("the other side does not answer")

        return fails

    for number, (trigger, arguments) in enumerate(_schedules()):
        func = flaky() if number % 10 == 3 else works  # noqa: PLR2004 - one in ten
        zone = ZONES[number % len(ZONES)]
        lab.define(f"task_{number:02}", func, trigger, arguments, timezone=zone)
    return calls


def play(span: timedelta) -> Played:
    """Play the mix for *span*."""
    with Lab() as lab:
        calls = define_mix(lab)
        lab.advance(span)
        tasks = [task.id for task in lab.tasks.list_tasks()]
        runs = Counter(run.state.value for task_id in tasks for run in lab.runs(task_id))
        return Played(runs, len(calls))


def run(turns: int = 1, span: timedelta = YEAR) -> list[Figure]:
    """Measure it; the name of the figure says how many runs it has."""
    played: list[Played] = []
    subject = Subject("simulated year", lambda: played.append(play(span)), goal=5.0)
    (figure,) = measure([subject], turns, warm=False)
    runs = sum(played[-1].runs.values())
    days = span // timedelta(days=1)
    return [figure.named(f"{days} simulated days of 50 tasks, {runs} runs")]


def _schedules() -> list[tuple[str, dict[str, Any]]]:
    daily = [{"hour": (n * 5) % 24, "minute": (n * 7) % 60} for n in range(36)]
    weekly = [{"day_of_week": n, "hour": 3 + n, "minute": 10 * (n % 6)} for n in range(7)]
    monthly = [{"day": 1 + 6 * n, "hour": 2 * n} for n in range(5)]
    found: list[tuple[str, dict[str, Any]]] = [("cron", each) for each in daily + weekly + monthly]
    return [*found, ("interval", {"hours": 1}), ("interval", {"hours": 6})]
