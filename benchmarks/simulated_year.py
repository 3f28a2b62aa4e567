"""How long a year of fifty tasks takes through the production engine, under a virtual clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
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


def define_mix(lab: Lab, *, dense: bool) -> list[int]:
    """Define fifty tasks and return a list whose length is the number of their calls.

    Where the mix is *dense*, 36 are daily at local times of five zones, seven weekly, five
    monthly, one hourly, and one runs every six hours; else twelve are daily, twenty weekly and
    18 monthly. One in ten fails at each fifth call and is retried.
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

    for number, (trigger, arguments) in enumerate(_schedules(dense=dense)):
        func = flaky() if number % 10 == 3 else works  # noqa: PLR2004 - one in ten
        zone = ZONES[number % len(ZONES)]
        lab.define(f"task_{number:02}", func, trigger, arguments, timezone=zone)
    return calls


def play(span: timedelta, *, dense: bool = True) -> Played:
    """Play a mix for *span*."""
    with Lab() as lab:
        calls = define_mix(lab, dense=dense)
        lab.advance(span)
        tasks = [task.id for task in lab.tasks.list_tasks()]
        runs = Counter(run.state.value for task_id in tasks for run in lab.runs(task_id))
        return Played(runs, len(calls))


def run(turns: int = 1, span: timedelta = YEAR) -> list[Figure]:
    """Measure both mixes; the name of a figure says how many runs it has."""
    days, found = span // timedelta(days=1), []
    for dense, goal in ((False, 5.0), (True, None)):
        played: list[Played] = []
        call = partial(_keep, played, span, dense)
        (figure,) = measure([Subject("simulated year", call, goal=goal)], turns, warm=False)
        runs = sum(played[-1].runs.values())
        found.append(figure.named(f"{days} simulated days of 50 tasks, {runs} runs"))
    return found


def _keep(played: list[Played], span: timedelta, dense: bool) -> None:
    played.append(play(span, dense=dense))


def _schedules(*, dense: bool) -> list[tuple[str, dict[str, Any]]]:
    days, weeks, months = (36, 7, 5) if dense else (12, 20, 18)
    daily = [{"hour": (n * 5) % 24, "minute": (n * 7) % 60} for n in range(days)]
    weekly = [{"day_of_week": n % 7, "hour": 3 + n, "minute": 10 * (n % 6)} for n in range(weeks)]
    monthly = [{"day": 1 + 6 * n % 28, "hour": (2 * n) % 24} for n in range(months)]
    found: list[tuple[str, dict[str, Any]]] = [("cron", each) for each in daily + weekly + monthly]
    often = [("interval", {"hours": 1}), ("interval", {"hours": 6})] if dense else []
    return [*found, *often]
