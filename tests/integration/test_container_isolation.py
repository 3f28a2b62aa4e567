"""One task's fault is its own: the scheduler and the other tasks go on."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from core.run import Reason, RunState
from tests.tools import QUICK, eventually, finals, fire, goes_on, states, task_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tools import Project


async def nothing() -> None:
    """Do nothing."""


def exits() -> None:
    """End the process, as far as a task can."""
    sys.exit(3)


async def exits_too() -> None:
    """End the process from a coroutine."""
    sys.exit(3)


def interrupts() -> None:
    """Pretend that the keyboard was struck."""
    raise KeyboardInterrupt


async def interrupts_too() -> None:
    """Pretend it from a coroutine."""
    raise KeyboardInterrupt


async def cancels() -> None:
    """Raise what only the engine should raise."""
    raise asyncio.CancelledError


async def stops_the_loop() -> None:
    """Stop the loop that runs all coroutines."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)


class Unprintable(Exception):  # noqa: N818 - it is about its text
    """An exception whose text raises."""

    def __str__(self) -> str:
        raise ValueError("no text")


def unprintable() -> None:
    """Raise what cannot be shown."""
    raise Unprintable


def recurses() -> None:
    """Never come back by itself."""
    recurses()


def takes_arguments(name: str) -> str:
    """Need what a definition does not give."""
    return name


@pytest.mark.item("X54")
@pytest.mark.parametrize(
    ("func", "state"),
    [
        (exits, RunState.FAILED),
        (exits_too, RunState.FAILED),
        (interrupts, RunState.FAILED),
        (interrupts_too, RunState.FAILED),
        (cancels, RunState.FAILED),
        (stops_the_loop, RunState.COMPLETED),
        (unprintable, RunState.FAILED),
        (recurses, RunState.FAILED),
        (takes_arguments, RunState.FAILED),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_whatever_a_task_raises_ends_its_run_and_nothing_else(
    project: Project, func: Callable[[], object], state: RunState
) -> None:
    """The run is over, the schedule of the task and of the others goes on."""
    tasks = project.engine()
    tasks.add_task(func, "interval", "wild", seconds=0.1, max_retries=1, **QUICK)
    tasks.add_task(nothing, "interval", "calm", seconds=0.05)
    tasks.add_task(threading.active_count, "interval", "plain", seconds=0.05)
    tasks.start()

    runs = finals(tasks, "wild", 2)[:2]

    expected = (state, 1 if state is RunState.COMPLETED else 2)
    assert [(run.state, run.attempt) for run in runs] == [expected] * 2
    for name in ("calm", "plain"):
        goes_on(tasks, name)
    assert tasks.health().state == "ok"


@pytest.mark.item("X54")
@pytest.mark.item("X11")
def test_raising_leads_to_a_retry_while_other_tasks_run(project: Project) -> None:
    """The attempts of one failing task and the successes of another interleave."""
    order: list[str] = []

    def bad() -> None:
        order.append("bad")
        raise OSError("no")

    def good() -> None:
        order.append("good")

    pause = {"retry": {"backoff": "fixed", "delay": 0.1, "jitter": False}}
    tasks = project.engine()
    tasks.add_task(bad, "interval", "bad", hours=1, max_retries=3, **pause)
    tasks.add_task(good, "interval", "good", seconds=0.03)
    tasks.start()

    run = fire(tasks, "bad")

    assert (run.state, run.attempt) == (RunState.FAILED, 4)
    between = "".join(word[0] for word in order).strip("g").split("b")[1:-1]
    assert all(between), order


@pytest.mark.item("X31")
def test_a_late_import_that_fails_is_a_failure_of_the_task(project: Project) -> None:
    """The model's module is missing: the run fails; once it is there, the next run succeeds."""
    project.plugin(
        """
        closed = []

        async def expire():
            try:
                from auth.models import UserSession
                return UserSession.__name__
            finally:
                closed.append(True)

        async def calm():
            pass

        TASK_DEFINITIONS = [
            {"id": "expire", "name": "Expire", "func": expire, "trigger": "interval",
             "trigger_args": {"hours": 1}, "enabled": True, "max_retries": 0, "timeout": 5},
            {"id": "calm", "name": "Calm", "func": calm, "trigger": "interval",
             "trigger_args": {"seconds": 0.05}, "enabled": True, "max_retries": 0, "timeout": 5},
        ]
        """
    )
    tasks = project.start()

    run = fire(tasks, "expire")

    assert (run.state, run.reason) == (RunState.FAILED, Reason.EXCEPTION)
    assert run.error == "ModuleNotFoundError: No module named 'auth'"
    goes_on(tasks, "calm")
    project.write("auth/models.py", "class UserSession:\n    pass\n")
    again = fire(tasks, "expire")
    assert (again.state, again.result) == (RunState.COMPLETED, "UserSession")
    assert project.module().closed == [True, True]


@pytest.mark.item("X61")
@pytest.mark.item("X44")
def test_a_blocking_function_stalls_nobody_else(project: Project) -> None:
    """While one ``def`` blocks, another, a coroutine and the engine are all on time."""
    project.config(manager={"scheduler_thread_pool": 2})
    entered, release = threading.Event(), threading.Event()

    def blocks() -> None:
        entered.set()
        release.wait(20)

    tasks = project.engine()
    tasks.add_task(blocks, "interval", "blocks", hours=1)
    tasks.add_task(threading.active_count, "interval", "plain", seconds=0.05)
    tasks.add_task(nothing, "interval", "walk", seconds=0.05)
    tasks.start()
    tasks.run_task("blocks")
    entered.wait(10)

    for name in ("plain", "walk"):
        goes_on(tasks, name, 4)
        runs = finals(tasks, name)[-3:]
        assert states(runs) == [RunState.COMPLETED] * 3
        for run in runs:
            assert run.started_at is not None
            assert (run.started_at - run.scheduled_for).total_seconds() < 1
    release.set()
    eventually(lambda: task_of(tasks, "blocks").last_status is RunState.COMPLETED)


@pytest.mark.item("X54")
def test_a_hook_that_raises_disturbs_no_run(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Hooks of plugins hear of every run; what they raise is logged and goes no further."""
    project.plugin(
        """
        from core import hookimpl

        heard = []

        def work():
            pass

        TASK_DEFINITIONS = [
            {"id": "work", "name": "Work", "func": work, "trigger": "interval",
             "trigger_args": {"hours": 1}, "enabled": True, "max_retries": 0, "timeout": 5},
        ]

        @hookimpl
        def taskrack_run_started(run):
            heard.append("started")
            raise RuntimeError("the hook is broken")

        @hookimpl
        def taskrack_run_finished(run):
            heard.append(str(run.state))
            raise RuntimeError("the hook is broken")
        """
    )
    tasks = project.start()

    run = fire(tasks, "work")

    assert run.state is RunState.COMPLETED
    eventually(lambda: project.module().heard == ["started", "completed"])
    eventually(lambda: caplog.text.count("RuntimeError: the hook is broken") == 2)
    assert fire(tasks, "work").state is RunState.COMPLETED
