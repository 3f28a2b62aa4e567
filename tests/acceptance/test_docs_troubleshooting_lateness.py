"""Executions that are missed or late: each cause on the page is provoked, and its sign is there."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.clock import SystemClock
from core.run import Cause, Reason, RunState
from tests.pages import command, shows
from tests.tools import ShiftedClock, eventually, finals, goes_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

NINE = """
    def report():
        pass

    TASK_DEFINITIONS = [
        {"id": "report", "func": report, "trigger": "cron", "trigger_args": {"hour": 9}}
    ]
"""


class Gate:
    """Holds the calls that come to it until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def pass_through(self) -> None:
        """Wait in a thread."""
        self.reached.set()
        self.opened.wait(30)

    async def block_the_loop(self) -> None:
        """Wait without letting the event loop go on: the fault that the page describes."""
        self.pass_through()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Give a gate that is open at the latest when the test ends."""
    made = Gate()
    yield made
    made.opened.set()


def skipped(tasks: TaskManager, task_id: str) -> Callable[[], object]:
    return lambda: tasks.list_runs(task_id, state=RunState.SKIPPED)


@pytest.mark.item("X23")
@pytest.mark.item("X60")
def test_check_shows_the_zone_of_an_instant(project: Project) -> None:
    """Nine o'clock is nine in UTC until the configuration says otherwise."""
    project.plugin(NINE)

    shows("The time zone is another one", command("check"))
    project.config(timezone="Asia/Tokyo")
    assert " 09:00:00 JST " in command("check")


@pytest.mark.item("X60")
@pytest.mark.item("X61")
def test_what_passed_while_nothing_ran_is_recorded_at_the_next_start(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Of six occurrences in an hour the last is made up, and five are missed."""
    before = project.engine(clock=ShiftedClock(SystemClock().now() - timedelta(minutes=65)))
    before.add_task(lambda: None, "interval", "tick", minutes=10)
    before.start()
    before.shutdown(0)
    tasks = project.engine()
    tasks.add_task(lambda: None, "interval", "tick", minutes=10)
    tasks.start()

    assert [run.cause for run in finals(tasks, "tick")] == [Cause.CATCH_UP]
    shows("No container ran at that time", *caplog.messages)


@pytest.mark.item("X44")
@pytest.mark.item("X60")
@pytest.mark.item("X61")
def test_a_run_that_waits_for_a_thread_is_pending_and_not_missed(
    project: Project, gate: Gate
) -> None:
    """The pool says that it is full; when a thread is free the run starts."""
    project.config(manager={"scheduler_thread_pool": 1})
    tasks = project.engine()
    tasks.start()
    tasks.add_task(gate.pass_through, "interval", "first", hours=1)
    tasks.run_task("first")
    assert gate.reached.wait(10)
    tasks.add_task(lambda: None, "interval", "second", seconds=0.2, overlap="queue")
    eventually(lambda: tasks.list_runs("second", state=RunState.PENDING))

    listed, trouble = command("runs", "--state", "pending"), tasks.health().trouble

    shows("The thread pool is exhausted", listed, str(trouble))
    gate.opened.set()
    goes_on(tasks, "second")
    assert tasks.list_runs("second", state=RunState.MISSED) == []


@pytest.mark.item("X60")
@pytest.mark.item("X61")
def test_a_coroutine_that_blocks_stops_the_other_coroutines(
    project: Project, caplog: pytest.LogCaptureFixture, gate: Gate
) -> None:
    """Plain functions go on meanwhile, and coroutines soon; a thread would have stopped nobody."""
    tasks = project.engine()
    tasks.start()
    once: dict[str, Any] = {"hours": 1, "timeout": 0.2, "max_retries": 0}
    tasks.add_task(gate.block_the_loop, "interval", "blocker", **once)
    tasks.add_task(lambda: None, "interval", "plain", seconds=0.1)
    blocked = tasks.run_task("blocker").id
    assert gate.reached.wait(10)

    async def quick() -> None:
        await asyncio.sleep(0)

    tasks.add_task(quick, "interval", "quick", seconds=0.1)
    eventually(skipped(tasks, "quick"))
    goes_on(tasks, "plain")
    goes_on(tasks, "quick")  # on a fresh loop
    gate.opened.set()

    (run,) = finals(tasks, "blocker")
    assert run.id == blocked
    assert (run.state, run.reason) == (RunState.FAILED, Reason.TIMEOUT)
    shows("A coroutine blocks the event loop", *caplog.messages)


@pytest.mark.item("X60")
@pytest.mark.item("X61")
def test_an_occurrence_of_a_busy_task_is_skipped_and_says_so(
    project: Project, caplog: pytest.LogCaptureFixture, gate: Gate
) -> None:
    """A plain function that blocks holds up its own task only."""
    tasks = project.engine()
    tasks.start()
    tasks.add_task(gate.pass_through, "interval", "slow", seconds=0.1)
    tasks.add_task(lambda: None, "interval", "other", seconds=0.1)

    eventually(skipped(tasks, "slow"))
    goes_on(tasks, "other")

    shows("The task is slower than its interval", *caplog.messages)
    assert skipped(tasks, "other")() == []


@pytest.mark.item("X60")
def test_the_occurrences_of_a_pause_are_counted_when_it_ends(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """They are one row, and none of them is made up."""
    tasks = project.engine()
    tasks.start()
    tasks.add_task(lambda: None, "interval", "tick", seconds=0.1)
    tasks.pause_task("tick")
    paused = SystemClock().now()
    eventually(lambda: SystemClock().now() > paused + timedelta(seconds=0.3))
    tasks.resume_task("tick")

    eventually(lambda: any("paused" in message for message in caplog.messages))
    shows("It was paused meanwhile", *caplog.messages)
