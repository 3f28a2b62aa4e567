"""What a running container tells: status, last and next run, log lines, health."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from core.run import RunState, TaskState
from manager import Manager
from tests.tools import QUICK, ended, eventually, finals, fire, states, task_of

if TYPE_CHECKING:
    from tests.tools import Project


async def nothing() -> None:
    """Do nothing."""


def fails() -> None:
    """Raise."""
    raise ValueError("it is broken")


@pytest.mark.item("X51")
def test_the_status_loop_of_the_seed_prints_every_task(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before and after ``start``, run or never run, each task prints its three lines."""
    tasks = Manager.task_manager
    tasks.add_task(nothing, "interval", "hourly", hours=1)
    tasks.add_task(nothing, "interval", "off", hours=1, enabled=False)

    def shown() -> str:
        for task in Manager.task_manager.list_tasks():
            print(f"{task.id}: {task.status}")  # noqa: T201 - the seed's own lines
            print(f"  Last run: {task.last_run}")  # noqa: T201
            print(f"  Next run: {task.next_run}")  # noqa: T201
        return capsys.readouterr().out

    assert shown() == (
        "hourly: scheduled\n  Last run: None\n  Next run: None\n"
        "off: disabled\n  Last run: None\n  Next run: None\n"
    )
    tasks.start()
    task = task_of(tasks, "hourly")
    assert shown() == (
        f"hourly: scheduled\n  Last run: None\n  Next run: {task.next_run}\n"
        "off: disabled\n  Last run: None\n  Next run: None\n"
    )
    run = fire(tasks, "off")
    assert f"off: disabled\n  Last run: {run.started_at}\n" in shown()


@pytest.mark.item("X52")
def test_last_and_next_run_move_with_each_run(project: Project) -> None:
    """Both are aware instants; ``next_run`` is one period behind the run that was due."""
    tasks = project.engine()
    tasks.add_task(nothing, "interval", "beat", seconds=0.2)
    tasks.start()
    before = task_of(tasks, "beat")
    assert before.last_run is None
    assert before.next_run is not None

    (run, *_) = finals(tasks, "beat")

    assert run.scheduled_for == before.next_run
    after = task_of(tasks, "beat")
    assert after.last_run is not None
    assert after.next_run is not None
    assert after.last_run.tzinfo is not None
    assert after.next_run > before.next_run
    assert after.last_status is RunState.COMPLETED


@pytest.mark.item("X52")
def test_the_status_says_what_a_task_does_and_how_its_last_run_ended(project: Project) -> None:
    """Running, retrying, scheduled, paused, disabled, finished; completed and failed."""
    release = threading.Event()

    def hold() -> None:
        release.wait(10)

    def status(task_id: str) -> tuple[TaskState, RunState | None]:
        task = task_of(tasks, task_id)
        return task.status, task.last_status

    slow = {"retry": {"backoff": "fixed", "delay": 60, "jitter": False}}
    tasks = project.engine()
    tasks.add_task(hold, "interval", "hold", hours=1)
    tasks.add_task(fails, "interval", "fails", hours=1, max_retries=0)
    tasks.add_task(fails, "interval", "again", hours=1, max_retries=1, **slow)
    tasks.add_task(nothing, "interval", "off", hours=1, enabled=False)
    tasks.add_task(nothing, "date", "past", run_date="2020-01-01 00:00:00")
    tasks.start()

    tasks.run_task("hold")
    tasks.run_task("again")
    eventually(lambda: status("hold") == (TaskState.RUNNING, None))
    eventually(lambda: status("again") == (TaskState.RETRYING, None))
    fire(tasks, "fails")
    assert status("fails") == (TaskState.SCHEDULED, RunState.FAILED)
    assert status("off") == (TaskState.DISABLED, None)
    assert status("past")[0] is TaskState.FINISHED
    release.set()
    eventually(lambda: status("hold") == (TaskState.SCHEDULED, RunState.COMPLETED))
    tasks.pause_task("hold")
    assert status("hold") == (TaskState.PAUSED, RunState.COMPLETED)
    tasks.resume_task("hold")
    assert status("hold") == (TaskState.SCHEDULED, RunState.COMPLETED)


@pytest.mark.item("X52")
def test_cancelling_a_retry_is_the_last_status_of_its_task(project: Project) -> None:
    """A run that was tried and is cancelled while it waits counts as its last."""
    slow = {"retry": {"backoff": "fixed", "delay": 60, "jitter": False}}
    tasks = project.engine()
    tasks.add_task(fails, "interval", "again", hours=1, max_retries=1, **slow)
    tasks.start()
    run = tasks.run_task("again")
    eventually(lambda: task_of(tasks, "again").status is TaskState.RETRYING)

    tasks.cancel_run(run.id)

    task = task_of(tasks, "again")
    assert (task.status, task.last_status) == (TaskState.SCHEDULED, RunState.CANCELLED)


@pytest.mark.item("X53")
def test_each_end_of_a_run_is_one_line_and_a_failure_brings_its_traceback(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log names task, attempt and error; the traceback starts in the task's own code."""
    project.config(loggers={"enable_file": True, "log_file": "logs/app.log"})
    tasks = project.engine()
    tasks.add_task(nothing, "interval", "good", hours=1)
    tasks.add_task(fails, "interval", "bad", hours=1, max_retries=1, **QUICK)
    tasks.start()

    fire(tasks, "good")
    fire(tasks, "bad")
    tasks.shutdown()

    for text in (capsys.readouterr().err, (project.root / "logs/app.log").read_text("utf-8")):
        assert text.count("good: completed in 0.0") == 1
        assert text.count("bad: attempt 1 failed, again at ") == 1
        assert text.count("bad: failed, exception, attempt 2: ValueError: it is broken") == 1
        assert text.count('raise ValueError("it is broken")') == 1
        assert "manager/executors" not in text


@pytest.mark.item("X60")
def test_a_scheduler_that_is_not_started_shows(project: Project) -> None:
    """``health`` says stopped, next runs are absent, verbs that need it say what to call."""
    tasks = project.engine()
    tasks.add_task(nothing, "interval", "hourly", hours=1)

    assert tasks.health().state == "stopped"
    assert task_of(tasks, "hourly").next_run is None
    with pytest.raises(RuntimeError, match=r"the container is not started; call start\(\) first"):
        tasks.pause_task("hourly")
    tasks.start()
    assert (tasks.health().state, tasks.health().tasks) == ("ok", 1)
    assert task_of(tasks, "hourly").next_run is not None


@pytest.mark.item("X60")
def test_timing_that_is_switched_off_is_said_at_the_start(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """With the gate closed nothing fires, runs by hand do, and the start warns."""
    project.config(background_jobs_enabled=False)
    tasks = project.engine()
    tasks.add_task(nothing, "interval", "beat", seconds=0.02)
    tasks.start()

    assert fire(tasks, "beat").state is RunState.COMPLETED
    assert len(tasks.list_runs("beat")) == 1
    assert "background_jobs_enabled is false: no timed occurrence will fire" in caplog.text


@pytest.mark.item("X44")
@pytest.mark.item("X60")
def test_a_full_pool_shows_and_delays_and_drops_nothing(project: Project) -> None:
    """``scheduler_thread_pool`` of two: two run, the others wait, health says so, all run."""
    project.config(manager={"scheduler_thread_pool": 2})
    release = threading.Event()
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        release.wait(10)
        with lock:
            running.pop()

    tasks = project.engine()
    for number in range(5):
        tasks.add_task(hold, "interval", f"hold{number}", hours=1)
    tasks.start()
    runs = [tasks.run_task(f"hold{number}").id for number in range(5)]

    eventually(lambda: tasks.health().running == 2)
    health = tasks.health()
    assert (health.state, health.waiting) == ("degraded", 3)
    assert health.trouble == "all 2 places of thread are busy; runs wait"
    release.set()
    assert states([ended(tasks, run) for run in runs]) == [RunState.COMPLETED] * 5
    assert max(most) == 2


@pytest.mark.item("X60")
@pytest.mark.item("X61")
def test_an_occurrence_that_finds_its_task_busy_is_recorded(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Each skipped occurrence is a row with a reason and a warning; nothing runs twice at once."""
    release = threading.Event()
    calls: list[int] = []

    def hold() -> None:
        calls.append(1)
        release.wait(10)

    tasks = project.engine()
    tasks.add_task(hold, "interval", "hold", seconds=0.05)
    tasks.start()

    skipped = finals(tasks, "hold", 3, dropped=True)
    assert {run.state for run in skipped} == {RunState.SKIPPED}
    assert len(calls) == 1
    assert "hold: skipped, overlap: due " in caplog.text
    release.set()
    eventually(lambda: len(calls) > 1)


@pytest.mark.item("X60")
def test_a_coroutine_that_blocks_its_loop_shows(project: Project) -> None:
    """A blocking call in ``async def`` holds the other coroutines up: health names its task."""
    project.config(manager={"shutdown_grace": 0})
    entered, release = threading.Event(), threading.Event()

    async def blocks() -> None:
        entered.set()
        release.wait(20)

    async def waits() -> None:
        await asyncio.sleep(0)

    tasks = project.engine()
    tasks.add_task(blocks, "interval", "blocks", hours=1, timeout=0.1, max_retries=0)
    tasks.add_task(waits, "interval", "waits", hours=1)
    tasks.start()
    tasks.run_task("blocks")
    entered.wait(10)
    try:
        trouble = eventually(lambda: tasks.health().trouble)
        assert trouble is not None
        assert "blocks" in trouble
    finally:
        release.set()
    assert fire(tasks, "waits").state is RunState.COMPLETED
