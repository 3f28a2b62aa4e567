"""Restarts, kills and down time, played through the production engine under a virtual clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.run import Cause, Reason, RunState

if TYPE_CHECKING:
    from collections.abc import Callable

    from manager.testing import Lab

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TEN = timedelta(minutes=10)


@pytest.mark.parametrize("end", ["graceful", "crash"])
def test_an_hourly_task_runs_24_times_a_day_in_a_process_that_lives_for_50_minutes(
    lab: Lab, end: str
) -> None:
    """Its hours count from the first registration, whatever became of the process since."""
    lab.define("hourly", trigger="interval", trigger_args={"hours": 1})
    for _ in range(3 * 24 * 60 // 50 + 1):
        lab.advance(min(50 * MINUTE, START + timedelta(days=3) - lab.now))
        if end == "crash":
            lab.crash()
        lab.restart()
    lab.assert_ran("hourly", at=[START + timedelta(hours=n) for n in range(1, 73)])
    assert {run.cause for run in lab.runs("hourly")} == {Cause.SCHEDULE}


DOWN = [timedelta(0), timedelta(seconds=5), timedelta(hours=2), timedelta(days=30)]
LENGTHS = ["no-time", "seconds", "hours", "month"]
PASSED = dict(zip(DOWN, (0, 1, 12, 4320), strict=True))
MADE_UP: dict[str, Callable[[int], int]] = {
    "latest": lambda passed: min(passed, 1),
    "none": lambda _passed: 0,
    "all": lambda passed: min(passed, 100),
}


@pytest.mark.parametrize("policy", MADE_UP)
@pytest.mark.parametrize("down", DOWN, ids=LENGTHS)
@pytest.mark.parametrize("end", ["graceful", "crash"])
def test_catch_up_makes_up_exactly_what_it_says_and_counts_the_rest(
    lab: Lab, policy: str, down: timedelta, end: str
) -> None:
    """Down from two seconds before an occurrence on; what is dropped is one row with a count."""
    lab.define("t", trigger="interval", trigger_args={"minutes": 10}, catch_up=policy)
    lab.advance("9 min 58 s")
    if end == "crash":
        lab.crash()

    lab.restart(after=down)
    lab.advance("1 s")

    passed = PASSED[down]
    made_up = MADE_UP[policy](passed)
    instants = [START + number * TEN for number in range(1, passed + 1)]
    lab.assert_ran("t", at=instants[passed - made_up :], state=RunState.COMPLETED)
    runs = lab.runs("t")
    assert {run.cause for run in runs if run.state is RunState.COMPLETED} <= {Cause.CATCH_UP}
    dropped = [
        (run.state, run.reason, run.scheduled_for, run.occurrences)
        for run in runs
        if run.state is not RunState.COMPLETED
    ]
    expected = []
    if passed > made_up:
        last = instants[passed - made_up - 1]
        expected = [(RunState.MISSED, Reason.LATE, last, passed - made_up)]
    assert dropped == expected

    lab.advance(TEN)
    assert lab.runs("t")[-1].scheduled_for == START + (passed + 1) * TEN
    assert lab.runs("t")[-1].cause is Cause.SCHEDULE


def test_a_run_that_a_kill_cut_off_runs_again_at_the_next_start(lab: Lab) -> None:
    """The dead process writes nothing more; the crash is counted beside the attempts."""
    begun: list[datetime] = []
    done: list[datetime] = []

    async def work() -> None:
        begun.append(lab.now)
        await asyncio.sleep(60)
        done.append(lab.now)

    lab.define("t", work, "interval", {"hours": 1})
    lab.advance("1 h 20 s")
    lab.crash()
    lab.restart(after="2 min")
    lab.advance("3 min")

    hour = START + timedelta(hours=1)
    assert begun == [hour, hour + timedelta(seconds=140)]
    assert done == [hour + timedelta(seconds=200)]
    (run,) = lab.runs("t")
    assert (run.state, run.crashes, run.attempt) == (RunState.COMPLETED, 1, 2)


def test_what_must_not_run_twice_is_lost_with_its_process(lab: Lab) -> None:
    """Delivered at most once, the run that was cut off is not started again."""

    async def work() -> None:
        await asyncio.sleep(60)

    lab.define("t", work, "interval", {"hours": 1}, delivery="at_most_once")
    lab.advance("1 h 20 s")
    lab.crash()
    lab.restart(after="1 min")
    lab.advance("5 min")
    lab.assert_ran("t", times=1, state=RunState.LOST)
    assert len(lab.runs("t")) == 1


def test_another_node_takes_over_when_the_lease_of_a_dead_one_has_run_out(lab: Lab) -> None:
    """Not at once, because the silent node may live; within 20 seconds, because it may not."""
    begun: list[datetime] = []

    async def work() -> None:
        begun.append(lab.now)
        await asyncio.sleep(60)

    lab.define("t", work, "interval", {"hours": 1})
    other = lab.second_node()
    lab.advance("1 h 20 s")
    (first,) = lab.runs("t")
    victim = lab.node if first.node == lab.node.id else other
    victim.crash()
    lab.advance("10 s")
    assert len(begun) == 1
    lab.advance("10 s")
    assert len(begun) == 2
    lab.advance("2 min")
    (run,) = lab.runs("t")
    assert (run.state, run.crashes) == (RunState.COMPLETED, 1)
    assert run.node != first.node


def test_two_nodes_on_one_ledger_start_each_occurrence_once(lab: Lab) -> None:
    """Both see every hour of a day come, and 24 runs are what is left of it."""
    calls: list[datetime] = []
    lab.define("t", lambda: calls.append(lab.now), "interval", {"hours": 1})
    lab.second_node()
    lab.advance("1 day")
    lab.assert_ran("t", at=[START + timedelta(hours=n) for n in range(1, 25)])
    assert len(calls) == 24


def test_a_shutdown_gives_running_tasks_its_grace(lab: Lab) -> None:
    """What ends within it has completed; what does not is given back and runs again."""

    async def work(seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    for name, seconds in {"short": 40, "long": 400}.items():
        lab.define(name, work, "interval", {"hours": 1}, args=[seconds], timeout=None)
    lab.advance("1 h 20 s")
    lab.restart()
    assert timedelta(seconds=30) <= lab.now - START - timedelta(hours=1, seconds=20)
    assert lab.now - START <= timedelta(hours=1, seconds=53)
    lab.advance("10 min")
    lab.assert_ran("short", times=1, state=RunState.COMPLETED)
    (run,) = lab.runs("long")
    assert (run.state, run.attempt, run.crashes) == (RunState.COMPLETED, 2, 0)
