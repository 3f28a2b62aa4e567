"""Failing, timing out, cleaning up: how often a task is tried, and what is kept of it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from core.run import Reason, RunState
from manager import current_run
from tests.tools import QUICK, eventually, finals, fire, task_of

if TYPE_CHECKING:
    from tests.tools import Project


class Flaky:
    """A task that raises for the first *times* calls."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise ConnectionError(f"call {self.calls}")
        return "done"


@pytest.mark.item("X11")
def test_a_failing_run_is_retried_as_often_as_its_task_says(project: Project) -> None:
    """``max_retries`` of 0 to 3 makes one to four attempts, each kept with its error."""
    tasks = project.engine()
    flaky = {retries: Flaky(times=100) for retries in range(4)}
    for retries, func in flaky.items():
        tasks.add_task(func, "interval", f"r{retries}", hours=1, max_retries=retries, **QUICK)
    tasks.start()

    for retries, func in flaky.items():
        run = fire(tasks, f"r{retries}")
        numbers = list(range(1, retries + 2))
        assert (run.state, run.reason) == (RunState.FAILED, Reason.EXCEPTION)
        assert [attempt.number for attempt in run.attempts] == numbers
        assert [attempt.error for attempt in run.attempts] == [
            f"ConnectionError: call {number}" for number in numbers
        ]
        assert func.calls == retries + 1


@pytest.mark.item("X11")
@pytest.mark.item("X32")
def test_a_retry_that_succeeds_makes_the_run_a_success(project: Project) -> None:
    """Two failures and a success are one completed run of three attempts."""
    tasks = project.engine()
    tasks.add_task(Flaky(times=2), "interval", "flaky", hours=1, max_retries=3, **QUICK)
    tasks.start()

    run = fire(tasks, "flaky")

    assert (run.state, run.attempt, run.result) == (RunState.COMPLETED, 3, "done")
    outcomes = [attempt.outcome for attempt in run.attempts]
    assert outcomes == ["exception", "exception", "completed"]
    assert (task_of(tasks, "flaky").completed, task_of(tasks, "flaky").failed) == (1, 0)


@pytest.mark.item("X12")
@pytest.mark.item("X56")
def test_a_coroutine_beyond_its_timeout_is_stopped_and_failed(project: Project) -> None:
    """It is cancelled at its await, its ``finally`` runs, and the run failed with ``timeout``."""
    events: list[str] = []

    async def slow() -> None:
        events.append("open")
        try:
            await asyncio.sleep(60)
            events.append("went on")
        finally:
            events.append("close")

    tasks = project.engine()
    tasks.add_task(slow, "interval", "slow", hours=1, timeout=0.1, max_retries=1, **QUICK)
    tasks.start()

    run = fire(tasks, "slow")

    assert (run.state, run.reason, run.attempt) == (RunState.FAILED, Reason.TIMEOUT, 2)
    assert run.error == "it ran longer than its time limit of 0.1 s"
    assert events == ["open", "close", "open", "close"]


@pytest.mark.item("X12")
@pytest.mark.item("X60")
def test_a_function_beyond_its_timeout_is_failed_told_and_named(project: Project) -> None:
    """A thread cannot be stopped: the run fails on time, the function is told, health names it."""
    release = threading.Event()
    told: list[bool] = []

    def slow() -> None:
        release.wait(30)
        run = current_run()
        told.append(run is not None and run.stopping)

    tasks = project.engine()
    tasks.add_task(slow, "interval", "slow", hours=1, timeout=0.1, max_retries=0)
    tasks.start()

    run = fire(tasks, "slow")

    assert (run.state, run.reason) == (RunState.FAILED, Reason.TIMEOUT)
    assert run.error == (
        "it ran longer than its time limit of 0.1 s; its thread cannot be stopped and goes on"
    )
    assert tasks.health().trouble == (
        "calls that outlived their time limit hold thread places: slow"
    )
    release.set()
    eventually(lambda: tasks.health().state == "ok")
    assert told == [True]


@pytest.mark.item("X12")
def test_swallowing_the_cancellation_does_not_turn_a_timeout_into_a_success(
    project: Project,
) -> None:
    """A coroutine that catches everything still failed if its time was up."""

    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except BaseException:  # noqa: BLE001 - what a careless task does
            return "all is well"
        return "slept"

    tasks = project.engine()
    tasks.add_task(stubborn, "interval", "stubborn", hours=1, timeout=0.1, max_retries=0)
    tasks.start()

    run = fire(tasks, "stubborn")

    assert (run.state, run.reason, run.result) == (RunState.FAILED, Reason.TIMEOUT, None)


@pytest.mark.item("X32")
@pytest.mark.item("X53")
def test_an_exception_logged_and_raised_again_fails_the_run(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The seed's pattern: logged, re-raised, retried, the session closed each time."""
    project.plugin(
        """
        from loggers import get_logger

        logger = get_logger("backgroundtask")
        events = []

        async def clean():
            events.append("open")
            try:
                raise ValueError("no such table")
            except Exception as e:
                logger.error(f"Session cleanup failed: {e}")
                logger.exception("Task failed")
                raise
            finally:
                events.append("close")

        TASK_DEFINITIONS = [
            {"id": "clean", "name": "Clean", "func": clean, "trigger": "cron",
             "trigger_args": {"hour": "*/6"}, "enabled": True, "max_retries": 1, "timeout": 300,
             "retry": {"delay": 0.01}},
        ]
        """
    )
    tasks = project.start()

    run = fire(tasks, "clean")

    assert (run.state, run.error) == (RunState.FAILED, "ValueError: no such table")
    assert run.traceback is not None
    assert 'raise ValueError("no such table")' in run.traceback
    assert "executors" not in run.traceback
    assert project.module().events == ["open", "close"] * 2
    assert caplog.text.count("Session cleanup failed: no such table") == 2
    lines = [record for record in caplog.records if record.getMessage() == "Task failed"]
    assert [line.name for line in lines] == ["backgroundtask"] * 2
    assert all(line.exc_info is not None and line.exc_info[0] is ValueError for line in lines)


@pytest.mark.item("X36")
@pytest.mark.parametrize(
    ("settings", "said", "result"),
    [
        ({"premium_features_enabled": True}, "Running premium task", "ran"),
        ({"premium_features_enabled": False}, "Skipping premium task - not enabled", None),
        ({}, "Skipping premium task - not enabled", None),
    ],
    ids=["on", "off", "absent"],
)
def test_a_task_that_returns_early_is_a_success(
    project: Project,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, bool],
    said: str,
    result: str | None,
) -> None:
    """``config.premium_features_enabled`` is an attribute, falsy where config.json has none."""
    project.config(**settings)
    project.plugin(
        """
        from configurations import Xcorecfg
        from loggers import get_logger

        logger = get_logger("backgroundtask")
        config = Xcorecfg.from_file("config.json")

        async def premium():
            if not config.premium_features_enabled:
                logger.info("Skipping premium task - not enabled")
                return
            logger.info("Running premium task")
            return "ran"

        TASK_DEFINITIONS = [
            {"id": "premium", "name": "Premium", "func": premium, "trigger": "interval",
             "trigger_args": {"hours": 1}, "enabled": True, "max_retries": 0, "timeout": 5},
        ]
        """
    )
    tasks = project.start()

    run = fire(tasks, "premium")

    assert (run.state, run.result) == (RunState.COMPLETED, result)
    assert said in caplog.text


@pytest.mark.item("X37")
@pytest.mark.item("X55")
def test_a_task_may_retry_by_itself_and_use_wait_for(project: Project) -> None:
    """``asyncio.sleep``, ``wait_for`` and ``TimeoutError`` work; value or last error counts."""
    inner = {"good": Flaky(times=2), "bad": Flaky(times=100)}

    async def sync(name: str) -> str | None:
        for attempt in range(3):
            try:
                return await inner[name]()
            except ConnectionError:
                if attempt == 2:
                    raise
                await asyncio.sleep(0.01)
        return None

    async def limited() -> str:
        try:
            await asyncio.wait_for(asyncio.sleep(60), timeout=0.02)
        except asyncio.TimeoutError:  # noqa: UP041 - as the seed writes it
            return "timed out"
        return "slept"

    async def unlimited() -> None:
        await asyncio.wait_for(asyncio.sleep(60), timeout=0.02)

    tasks = project.engine()
    for name in inner:
        tasks.add_task(sync, "interval", name, hours=1, kwargs={"name": name}, max_retries=0)
    tasks.add_task(limited, "interval", "limited", hours=1, max_retries=0)
    tasks.add_task(unlimited, "interval", "unlimited", hours=1, max_retries=0)
    tasks.start()

    good, bad = fire(tasks, "good"), fire(tasks, "bad")
    assert (good.state, good.result, good.attempt) == (RunState.COMPLETED, "done", 1)
    assert (bad.state, bad.error) == (RunState.FAILED, "ConnectionError: call 3")
    assert fire(tasks, "limited").result == "timed out"
    raised = fire(tasks, "unlimited")
    assert (raised.state, raised.reason) == (RunState.FAILED, Reason.EXCEPTION)


@pytest.mark.item("X42")
@pytest.mark.item("X45")
def test_auto_restart_tasks_switches_retries_off_and_on(project: Project) -> None:
    """With ``false`` a failing run has one attempt whatever ``max_retries`` says."""
    for automatic, attempts in ((False, 1), (True, 4)):
        project.config(manager={"auto_restart_tasks": automatic})
        tasks = project.engine()
        tasks.add_task(Flaky(times=100), "interval", "flaky", hours=1, max_retries=3, **QUICK)
        tasks.start()
        run = fire(tasks, "flaky")
        tasks.shutdown()
        assert (run.state, run.attempt) == (RunState.FAILED, attempts)


@pytest.mark.item("X43")
@pytest.mark.item("X41")
def test_the_defaults_of_config_are_what_runs_get(project: Project) -> None:
    """``max_task_retries`` and ``task_timeout`` are not only shown, they happen."""
    project.config(manager={"max_task_retries": 1, "task_timeout": 0.1})

    async def slow() -> None:
        await asyncio.sleep(60)

    tasks = project.engine()
    tasks.add_task(slow, "interval", "slow", hours=1, **QUICK)
    tasks.start()

    run = fire(tasks, "slow")

    assert (run.state, run.reason, run.attempt) == (RunState.FAILED, Reason.TIMEOUT, 2)


@pytest.mark.item("X56")
def test_finally_runs_at_cancellation_and_at_shutdown(project: Project) -> None:
    """A run cancelled by hand and one cut off by ``shutdown`` both close what they opened."""
    events: list[str] = []

    async def hold() -> None:
        events.append("open")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            events.append("close")

    tasks = project.engine()
    tasks.add_task(hold, "interval", "hold", hours=1)
    tasks.start()
    run = tasks.run_task("hold")
    eventually(lambda: events == ["open"])
    tasks.cancel_run(run.id)
    (cancelled,) = finals(tasks, "hold")
    assert (cancelled.state, cancelled.reason) == (RunState.CANCELLED, Reason.REQUESTED)
    assert events == ["open", "close"]

    cut = tasks.run_task("hold")
    eventually(lambda: len(events) == 3)
    tasks.shutdown(0)

    assert events == ["open", "close", "open", "close"]
    tasks.start()
    again = tasks.get_run(cut.id)
    assert again is not None
    assert again.state in {RunState.PENDING, RunState.RUNNING}
    eventually(lambda: len(events) == 5)


@pytest.mark.item("X58")
def test_errors_that_a_task_counts_itself_do_not_fail_the_run(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The seed's counting loop: two of three items fail, the run is a success."""
    project.plugin(
        """
        from loggers import get_logger

        logger = get_logger("backgroundtask")

        async def process(item):
            if item % 2:
                raise ValueError(item)

        async def count():
            processed = errors = 0
            for item in (1, 2, 3):
                try:
                    await process(item)
                    processed += 1
                except Exception as e:
                    logger.error(f"Failed to process {item}: {e}")
                    errors += 1
            logger.info(f"Task complete: {processed} processed, {errors} errors")
            return [processed, errors]

        TASK_DEFINITIONS = [
            {"id": "count", "name": "Count", "func": count, "trigger": "interval",
             "trigger_args": {"hours": 1}, "enabled": True, "max_retries": 3, "timeout": 5},
        ]
        """
    )
    tasks = project.start()

    run = fire(tasks, "count")

    assert (run.state, run.attempt, run.result) == (RunState.COMPLETED, 1, [1, 2])
    assert "Task complete: 1 processed, 2 errors" in caplog.text
