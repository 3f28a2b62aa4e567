"""Several containers on one ledger, several starts in one process, and the end of one."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.clock import SystemClock
from core.run import RunState, TaskState
from tests.tools import ended, fire, task_of

if TYPE_CHECKING:
    from tests.tools import Project

PLUGIN = """
def beat():
    return "done"

TASK_DEFINITIONS = [
    {"id": "beat", "name": "Beat", "func": beat,
     "trigger": "interval", "trigger_args": {"hours": 1}},
]
"""


@pytest.fixture
def project(shared_project: Project) -> Project:
    """Give a project on each kind of database."""
    return shared_project


def test_a_task_stays_bound_while_one_of_its_containers_lives(project: Project) -> None:
    """The container that bound it last may go; another still has the function."""
    project.plugin(PLUGIN)
    first, second = project.manager(), project.manager()
    first.start()
    second.start()
    second.shutdown(0)
    assert task_of(first.task_manager, "beat").status is TaskState.SCHEDULED
    assert fire(first.task_manager, "beat").state is RunState.COMPLETED


def test_without_timed_occurrences_tasks_are_shown_as_disabled(project: Project) -> None:
    """Nothing is due while background_jobs_enabled is false, and nothing is finished either."""
    project.plugin(PLUGIN)
    project.config(background_jobs_enabled=False)
    with project.manager() as container:
        task = task_of(container.task_manager, "beat")
        assert (task.status, task.next_run) == (TaskState.DISABLED, None)
        assert fire(container.task_manager, "beat").state is RunState.COMPLETED
    project.config(background_jobs_enabled=True)
    with project.manager() as container:
        task = task_of(container.task_manager, "beat")
        assert task.status is TaskState.SCHEDULED
        assert task.next_run is not None


def test_what_a_call_wrote_outlives_a_second_start(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The module's definition is read again; the options of the call still lie over it."""
    project.plugin(PLUGIN)
    monkeypatch.syspath_prepend(project.root)
    container = project.manager()
    beat = importlib.import_module("backgroundtask.taskplugins").beat
    container.task_manager.add_task(beat, "interval", "beat", minutes=7, max_retries=9)
    for _start in range(2):
        container.start()
        task = task_of(container.task_manager, "beat")
        assert (task.trigger_args, task.max_retries, task.name) == ({"minutes": 7}, 9, "Beat")
        container.shutdown(0)


def test_a_task_that_never_ran_shows_what_became_of_its_occurrence(project: Project) -> None:
    """A date that had passed is missed, and the task says so."""
    with project.manager() as container:
        container.task_manager.add_task(print, "date", "old", run_date="2024-12-25 00:00:00")
        task = task_of(container.task_manager, "old")
        assert (task.status, task.last_status) == (TaskState.FINISHED, RunState.MISSED)


def test_a_run_ends_when_its_function_does(project: Project) -> None:
    """A ledger that is slow to take the outcome does not lengthen the run."""
    left = threading.Event()

    def quick() -> None:
        left.set()

    clock = SystemClock()
    with project.manager() as container:
        container.task_manager.add_task(quick, "interval", "quick", hours=1)
        run = container.task_manager.run_task("quick")
        assert left.wait(10)
        before = clock.now()
        found = ended(container.task_manager, run.id)
        assert found.finished_at is not None
        assert found.finished_at <= before + timedelta(milliseconds=50)


def test_a_thread_of_a_coroutine_never_holds_the_interpreter(project: Project) -> None:
    """``asyncio.to_thread`` inside a task runs on daemon threads, as everything else does."""
    (project.root / "app.py").write_text(
        "import asyncio, threading\n"
        "from manager import Manager\n"
        "began, never = threading.Event(), threading.Event()\n"
        "async def stuck():\n"
        "    began.set()\n"
        "    await asyncio.to_thread(never.wait)\n"
        "tasks = Manager().task_manager\n"
        "tasks.add_task(stuck, 'interval', 'stuck', hours=1)\n"
        "tasks.start()\n"
        "tasks.run_task('stuck')\n"
        "assert began.wait(10)\n",
        encoding="utf-8",
    )
    subprocess.run([sys.executable, "app.py"], cwd=project.root, timeout=30, check=True)
