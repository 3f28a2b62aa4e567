"""Registering, starting, pausing, removing, stopping, and starting again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import StateError, UnknownTaskError
from core.run import Cause, Reason, RunState, TaskState
from manager import Manager
from manager.task.taskmanager import TaskManager
from tests.tools import ShiftedClock, eventually, finals, fire, goes_on, task_of

if TYPE_CHECKING:
    from tests.tools import Project

SEED_SHAPED = """
    from manager.task.taskmanager import TaskManager
    from loggers import get_logger

    logger = get_logger("backgroundtask")
    seen = []

    async def beat():
        seen.append("beat")

    TASK_DEFINITIONS = [
        {"id": "beat", "name": "Beat", "func": beat, "trigger": "interval",
         "trigger_args": {"seconds": 0.05}, "enabled": True, "max_retries": 3, "timeout": 300},
    ]

    def register_tasks(task_manager: TaskManager):
        for task_def in TASK_DEFINITIONS:
            task_manager.add_task(
                func=task_def["func"],
                trigger=task_def["trigger"],
                id=task_def["id"],
                **task_def["trigger_args"],
            )
"""


class Count:
    """A plain task that counts its calls and names the threads that made them."""

    __name__ = "count"

    def __init__(self) -> None:
        self.threads: list[str] = []

    def __call__(self) -> int:
        self.threads.append(threading.current_thread().name)
        return len(self.threads)


async def nothing() -> None:
    """Do nothing."""


@pytest.mark.item("X4")
@pytest.mark.item("X5")
@pytest.mark.parametrize("url", ["sqlite:///./ledger.db", "sqlite:///:memory:"])
def test_coroutine_functions_and_functions_run_to_completion(project: Project, url: str) -> None:
    """Both kinds run on their schedule, body and all, on disk and in memory."""
    project.config(database={"url": url})
    count = Count()
    done: list[str] = []

    async def walk() -> str:
        await asyncio.sleep(0.01)
        done.append(threading.current_thread().name)
        return "walked"

    tasks = project.engine()
    tasks.add_task(count, "interval", "plain", seconds=0.05)
    tasks.add_task(walk, "interval", "walk", seconds=0.05)
    tasks.start()

    plain, walked = finals(tasks, "plain", 2), finals(tasks, "walk", 2)

    assert [run.state for run in (plain[0], walked[0])] == [RunState.COMPLETED] * 2
    assert (plain[0].result, walked[0].result) == (1, "walked")
    assert threading.current_thread().name not in {*count.threads, *done}
    assert set(done) == {"taskrack-loop"}


@pytest.mark.item("X46")
@pytest.mark.item("X47")
def test_the_seeds_startup_runs_in_an_event_loop_and_outside(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``register_tasks(Manager.task_manager)`` and ``start()`` need no instance and no waiting."""
    project.plugin(SEED_SHAPED)
    monkeypatch.syspath_prepend(project.root)

    async def startup_event() -> None:
        from backgroundtask.taskplugins import register_tasks  # noqa: PLC0415 - as the seed does

        register_tasks(Manager.task_manager)
        Manager.task_manager.start()

    asyncio.run(startup_event())
    tasks = Manager.task_manager
    assert tasks is Manager.task_manager
    assert finals(tasks, "beat", 2)[0].state is RunState.COMPLETED
    assert [task.id for task in tasks.list_tasks()] == ["beat"]
    assert task_of(tasks, "beat").name == "Beat"
    tasks.shutdown()
    seen = len(project.module().seen)

    project.module().register_tasks(tasks)
    tasks.start()
    eventually(lambda: len(project.module().seen) > seen)


@pytest.mark.item("X47")
def test_a_running_event_loop_is_neither_blocked_nor_used(project: Project) -> None:
    """Inside ``async with`` the application's own coroutines go on; tasks have their own loop."""
    project.plugin(SEED_SHAPED)

    async def application() -> int:
        async with project.manager() as manager:
            turns = 0
            while len(manager.task_manager.list_runs("beat")) < 3:
                turns += 1
                await asyncio.sleep(0.01)
            return turns

    assert asyncio.run(application()) > 3


@pytest.mark.item("X48")
def test_a_task_manager_of_ones_own_runs_a_cron_task(project: Project) -> None:
    """The seed's manual registration: constructor without arguments, ``add_task``, ``start``."""
    tasks = project.keep(TaskManager())

    tasks.add_task(func=nothing, trigger="cron", id="cleanup_logs", hour=0, minute=0)
    tasks.start()

    task = task_of(tasks, "cleanup_logs")
    assert (task.status, task.trigger_args) == (TaskState.SCHEDULED, {"hour": 0, "minute": 0})
    assert task.next_run is not None
    assert (task.next_run.hour, task.next_run.minute, task.next_run.second) == (0, 0, 0)
    assert fire(tasks, "cleanup_logs").state is RunState.COMPLETED
    assert (project.root / "ledger.db").is_file()


@pytest.mark.item("X49")
@pytest.mark.item("X50")
def test_nothing_runs_before_start_and_everything_after(project: Project) -> None:
    """Before ``start`` a task is only shown; it begins at the start, a later one at once."""
    early, late = Count(), Count()
    tasks = project.engine()
    tasks.add_task(early, "interval", "early", seconds=0.02)
    assert not (project.root / "ledger.db").exists()
    other = project.engine()
    other.add_task(nothing, "interval", "witness", seconds=0.02)
    other.start()

    finals(other, "witness", 5)
    other.shutdown()
    assert early.threads == []
    assert task_of(tasks, "early").status is TaskState.SCHEDULED
    with pytest.raises(StateError, match="the container is not started; call start"):
        tasks.run_task("early")

    tasks.start()
    finals(tasks, "early", 2)
    tasks.add_task(late, "interval", "late", seconds=0.02)

    assert finals(tasks, "late", 2)[0].state is RunState.COMPLETED
    assert len(late.threads) >= 2


@pytest.mark.item("X50")
def test_importing_and_constructing_starts_nothing() -> None:
    """No thread and no log line comes from imports and constructors in a fresh process."""
    code = (
        "import threading\n"
        "from manager import Manager\n"
        "from manager.task.taskmanager import TaskManager\n"
        "Manager(); TaskManager()\n"
        "print([thread.name for thread in threading.enumerate()])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout.strip(), done.stderr) == ("['MainThread']", "")


@pytest.mark.item("X52")
def test_pausing_resuming_and_removing_take_effect_and_last(project: Project) -> None:
    """A paused task does not run, over a restart too; what a pause held back is recorded."""
    count = Count()
    tasks = project.engine()
    tasks.add_task(count, "interval", "beat", seconds=0.05)
    tasks.add_task(nothing, "interval", "witness", seconds=0.05)
    tasks.start()
    finals(tasks, "beat")

    tasks.pause_task("beat")
    eventually(lambda: task_of(tasks, "beat").status is TaskState.PAUSED)
    calls = len(count.threads)
    tasks.shutdown()
    tasks.start()
    goes_on(tasks, "witness", 4)
    assert (task_of(tasks, "beat").status, len(count.threads)) == (TaskState.PAUSED, calls)

    tasks.resume_task("beat")
    eventually(lambda: len(count.threads) > calls)
    skipped = [run for run in tasks.list_runs("beat") if run.state is RunState.SKIPPED]
    assert Reason.PAUSED in {run.reason for run in skipped}
    assert skipped[-1].occurrences >= 4

    tasks.remove_task("beat")
    assert tasks.get_task("beat") is None
    eventually(lambda: all(run.state.is_final for run in tasks.list_runs("beat")))
    history = len(tasks.list_runs("beat"))
    goes_on(tasks, "witness", 4)
    assert len(tasks.list_runs("beat")) == history
    for verb in (tasks.remove_task, tasks.pause_task, tasks.resume_task, tasks.run_task):
        with pytest.raises(UnknownTaskError, match="no task has the id 'beat'"):
            verb("beat")


@pytest.mark.item("X57")
def test_starting_twice_runs_nothing_twice(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """A second ``start`` is a warning; each occurrence still has one run."""
    count = Count()
    tasks = project.engine()
    tasks.add_task(count, "interval", "beat", seconds=0.05)

    tasks.start()
    tasks.start()
    runs = finals(tasks, "beat", 4)

    assert "start() was called again; the container runs already" in caplog.text
    assert len({run.scheduled_for for run in runs}) == len(runs)
    tasks.shutdown()
    assert len(count.threads) <= len({run.scheduled_for for run in runs}) + 2


@pytest.mark.item("X18")
def test_an_interval_keeps_its_cadence_over_restarts(project: Project) -> None:
    """The next run after a restart is the one that was due before it: intervals are anchored."""
    clock = ShiftedClock(datetime(2026, 1, 1, tzinfo=UTC))
    tasks = project.engine(clock=clock)
    tasks.add_task(nothing, "interval", "daily", hours=24)
    tasks.start()
    due = task_of(tasks, "daily").next_run
    tasks.shutdown()

    for hours in (1, 2, 23):
        later = project.engine(clock=ShiftedClock(datetime(2026, 1, 1, hours, tzinfo=UTC)))
        later.add_task(nothing, "interval", "daily", hours=24)
        later.start()
        assert task_of(later, "daily").next_run == due
        assert later.list_runs("daily") == []
        later.shutdown()


@pytest.mark.item("X61")
def test_what_passed_while_the_container_was_down_is_made_up_once_and_reported(
    project: Project,
) -> None:
    """Three occurrences were missed: one run makes up for them, one row tells of the others."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = project.engine(clock=ShiftedClock(start))
    first.add_task(nothing, "interval", "hourly", hours=1)
    first.start()
    first.shutdown()

    later = project.engine(clock=ShiftedClock(start + timedelta(hours=3, minutes=30)))
    later.add_task(nothing, "interval", "hourly", hours=1)
    later.start()
    runs = finals(later, "hourly", 2, dropped=True)

    made = {run.state: run for run in runs}
    assert set(made) == {RunState.MISSED, RunState.COMPLETED}
    assert (made[RunState.MISSED].occurrences, made[RunState.MISSED].reason) == (2, Reason.LATE)
    assert made[RunState.COMPLETED].cause is Cause.CATCH_UP


def test_shutdown_lets_running_tasks_end_and_leaves_no_thread(project: Project) -> None:
    """Within the grace a task ends by itself; afterwards none of our threads is left."""
    before = {thread.name for thread in threading.enumerate()}
    entered, release = threading.Event(), threading.Event()

    def hold() -> str:
        entered.set()
        release.wait(10)
        return "ended"

    tasks = project.engine()
    tasks.add_task(hold, "interval", "hold", hours=1)
    tasks.add_task(nothing, "interval", "beat", seconds=0.02)
    tasks.start()
    run = tasks.run_task("hold")
    entered.wait(10)
    stopper = threading.Thread(target=tasks.shutdown, args=(10,))
    stopper.start()
    release.set()
    stopper.join(10)

    eventually(lambda: {thread.name for thread in threading.enumerate()} <= before)
    tasks.start()
    ended = tasks.get_run(run.id)
    assert ended is not None
    assert (ended.state, ended.result) == (RunState.COMPLETED, "ended")
