"""``kill -9`` in the middle of runs: what the next start makes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from core.run import Cause, Reason, RunState
from tests.tools import eventually, finals, fire, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tools import Project

PLUGIN: Final = """
    import asyncio
    from pathlib import Path

    from manager import current_run

    HOLD = Path("hold")

    def note(name):
        with Path("calls.txt").open("a") as file:
            file.write(f"{name} {current_run().attempt}\\n")

    async def again():
        note("again")
        while HOLD.exists():
            await asyncio.sleep(0.01)
        return "done"

    def once():
        note("once")
        while HOLD.exists():
            asyncio.run(asyncio.sleep(0.01))

    def quick():
        return "quick"

    TASK_DEFINITIONS = [
        {"id": "again", "name": "Again", "func": again, "trigger": "interval",
         "trigger_args": {"hours": 24}, "enabled": True, "max_retries": 0, "timeout": 60,
         "delivery": "at_least_once"},
        {"id": "once", "name": "Once", "func": once, "trigger": "interval",
         "trigger_args": {"hours": 24}, "enabled": True, "max_retries": 3, "timeout": 60,
         "delivery": "at_most_once"},
        {"id": "quick", "name": "Quick", "func": quick, "trigger": "interval",
         "trigger_args": {"hours": 24}, "enabled": True, "max_retries": 0, "timeout": 60},
    ]
"""
CONTAINER: Final = """
    import threading

    from manager import Manager

    with Manager("config.json") as manager:
        for name in ("quick", "again", "once"):
            manager.task_manager.run_task(name)
        threading.Event().wait(60)
"""

DEADLY: Final = """
    import os
    from pathlib import Path

    from manager import current_run

    def deadly():
        with Path("calls.txt").open("a") as file:
            file.write(f"deadly {current_run().attempt}\\n")
        os.kill(os.getpid(), 9)

    TASK_DEFINITIONS = [
        {"id": "deadly", "name": "Deadly", "func": deadly, "trigger": "interval",
         "trigger_args": {"hours": 24}, "enabled": True, "max_retries": 0, "timeout": 60},
    ]
"""
RESTARTED: Final = """
    import threading
    from pathlib import Path

    from manager import Manager

    with Manager("config.json") as manager:
        if not Path("calls.txt").exists():
            manager.task_manager.run_task("deadly")
        threading.Event().wait(60)
"""


@pytest.fixture
def project(shared_project: Project) -> Project:
    """Give a project on each kind of database."""
    return shared_project


@contextmanager
def killed_after(project: Project, calls: int) -> Iterator[None]:
    """Run a container in a process of its own until *calls* are noted; kill it at the end."""
    project.write("container.py", CONTAINER)
    with (project.root / "container.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "container.py"], stdout=log, stderr=log)
    try:
        eventually(lambda: len(calls_of(project)) >= calls, timeout=30)
        yield
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)


def calls_of(project: Project) -> list[str]:
    """Return which task was called, and for which attempt, in order."""
    file = project.root / "calls.txt"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def test_a_killed_run_is_run_again_or_lost_as_its_task_says(project: Project) -> None:
    """At least once: attempt 2 completes. At most once: LOST. History and cadence are kept."""
    project.plugin(PLUGIN)
    hold = project.write("hold", "")
    with killed_after(project, calls=2):
        pass
    assert sorted(calls_of(project)) == ["again 1", "once 1"]
    hold.unlink()

    tasks = project.start()

    (again,) = finals(tasks, "again")
    (once,) = finals(tasks, "once")
    assert (again.state, again.attempt, again.crashes) == (RunState.COMPLETED, 2, 1)
    assert (again.result, again.error) == ("done", None)
    assert (once.state, once.reason, once.attempt) == (RunState.LOST, Reason.CRASH, 1)
    for run, outcomes in ((again, ["crash", "completed"]), (once, ["crash"])):
        whole = tasks.get_run(run.id)
        assert whole is not None
        assert [each.outcome for each in whole.attempts] == outcomes
        assert [each.number for each in whole.attempts] == list(range(1, len(outcomes) + 1))
    assert sorted(calls_of(project)) == ["again 1", "again 2", "once 1"]
    assert tasks.list_runs(state=RunState.RUNNING) == []
    assert [run.result for run in finals(tasks, "quick")] == ["quick"]
    assert task_of(tasks, "once").last_status is RunState.LOST
    assert fire(tasks, "once").state is RunState.COMPLETED


def test_the_cadence_of_an_interval_survives_a_kill(project: Project) -> None:
    """The occurrence that was due before the kill is due after it, to the microsecond."""
    project.plugin(PLUGIN)
    project.write("hold", "").unlink()
    seen = project.engine()
    with killed_after(project, calls=2):
        seen.start()
        before = {task.id: task.next_run for task in seen.list_tasks()}
        seen.shutdown()
    assert sorted(before) == ["again", "once", "quick"]
    assert None not in before.values()

    tasks = project.start()

    assert {task.id: task.next_run for task in tasks.list_tasks()} == before
    assert [run.cause for run in tasks.list_runs() if run.cause is not Cause.MANUAL] == []


@pytest.mark.item("X42")
def test_without_automatic_restarts_a_killed_run_is_lost(project: Project) -> None:
    """``auto_restart_tasks: false`` switches the second run after a crash off."""
    project.config(manager={"auto_restart_tasks": False})
    project.plugin(PLUGIN)
    hold = project.write("hold", "")
    with killed_after(project, calls=2):
        pass
    hold.unlink()

    tasks = project.start()

    for name in ("again", "once"):
        (run,) = finals(tasks, name)
        assert (run.state, run.reason, run.attempt) == (RunState.LOST, Reason.CRASH, 1)
    assert sorted(calls_of(project)) == ["again 1", "once 1"]


def test_a_run_that_kills_its_process_three_times_is_given_up(project: Project) -> None:
    """The third death under a run ends it as failed, with ``crash``; it is not started again."""
    project.plugin(DEADLY)
    project.write("container.py", RESTARTED)

    for attempt in (1, 2, 3):
        done = subprocess.run([sys.executable, "container.py"], capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL
        assert calls_of(project)[-1] == f"deadly {attempt}"
    tasks = project.start()

    (run,) = finals(tasks, "deadly")
    assert (run.state, run.reason, run.crashes) == (RunState.FAILED, Reason.CRASH, 3)
    assert run.error == "its process died 3 times under it"
    assert len(calls_of(project)) == 3
