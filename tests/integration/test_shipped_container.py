"""The shipped tasks in a container that found them, and awaited bare."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backgroundtask import taskplugins
from backgroundtask.taskplugins import (
    cleanup_old_logs,
    health_check,
    register_tasks,
    send_daily_reports,
    sync_external_data,
)
from core.run import Cause, RunState, TaskState
from tests.tools import eventually, finals, fire, task_of

if TYPE_CHECKING:
    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

SHIPPED = Path(taskplugins.__file__).parent
MESSAGES = {
    "cleanup_old_logs": ["Starting log cleanup task", "Log cleanup completed"],
    "send_daily_reports": ["Sending daily reports", "Daily reports sent"],
}


@pytest.fixture
def copied(project: Project) -> TaskManager:
    """Start a container on a project that holds a copy of the shipped folder."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SHIPPED, project.root / "backgroundtask", ignore=ignore)
    return project.start()


@pytest.mark.item("X6")
def test_a_copied_folder_brings_the_four_tasks(copied: TaskManager, project: Project) -> None:
    """The bodies come from the copy, under the names that its imports use."""
    assert [task.id for task in copied.list_tasks()] == [
        "cleanup_old_logs",
        "health_check",
        "send_daily_reports",
        "sync_external_data",
    ]
    assert [plugin.state for plugin in copied.list_plugins()] == ["loaded"]
    for name in ("taskplugins", "cleanup", "report", "sync", "health"):
        file = sys.modules[f"backgroundtask.{name}"].__file__
        assert file is not None
        assert Path(file).is_relative_to(project.root)


@pytest.mark.item("X6")
def test_the_sync_is_disabled_though_register_tasks_ran(copied: TaskManager) -> None:
    """The module's definition supplies what the calls of its ``register_tasks`` leave out."""
    sync, report = task_of(copied, "sync_external_data"), task_of(copied, "send_daily_reports")
    assert (sync.enabled, sync.status, sync.next_run) == (False, TaskState.DISABLED, None)
    assert (report.name, report.max_retries, report.timeout) == ("Send Daily Reports", 2, 600)


@pytest.mark.item("X4")
@pytest.mark.item("X7")
def test_the_health_is_checked_at_the_start_and_in_silence(
    copied: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first run finds a container that runs already, and logs nothing of its own."""
    run = finals(copied, "health_check")[0]
    assert (run.state, run.cause) == (RunState.COMPLETED, Cause.START)
    assert run.result["state"] == "ok"
    said = [*caplog.get_records("setup"), *caplog.records]
    assert [each.getMessage() for each in said if each.name == "backgroundtask"] == [
        "Registered task: Cleanup Old Logs",
        "Registered task: Send Daily Reports",
        "Registered task: Sync External Data",
        "Registered task: System Health Check",
    ]


@pytest.mark.item("X4")
@pytest.mark.item("X7")
@pytest.mark.parametrize("task_id", MESSAGES)
def test_a_task_logs_its_start_and_its_end(
    task_id: str, copied: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    """Both lines come from the logger ``backgroundtask``."""
    with caplog.at_level("INFO"):
        caplog.clear()
        assert fire(copied, task_id).state is RunState.COMPLETED
        said = [each.getMessage() for each in caplog.records if each.name == "backgroundtask"]
    assert said == MESSAGES[task_id]


@pytest.mark.item("X6")
def test_register_tasks_works_on_a_task_manager_without_discovery(project: Project) -> None:
    """As in the documented start-up function of an application."""
    tasks = project.engine()
    register_tasks(tasks)
    tasks.start()
    assert len(tasks.list_tasks()) == 4
    eventually(lambda: task_of(tasks, "cleanup_old_logs").next_run)


def text_of(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


@pytest.mark.item("X7")
@pytest.mark.item("X59")
@pytest.mark.asyncio
async def test_the_tasks_can_be_awaited_bare(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """No container, no database, no config file: each does what it can."""
    (project.root / "config.json").unlink()
    with caplog.at_level("INFO", "backgroundtask"):
        cleaned = await cleanup_old_logs()
        reported = await send_daily_reports()
        synced = await sync_external_data()
        checked = await health_check()
    assert cleaned == {"files": 0, "bytes": 0, "runs": 0}
    assert "There is no history at hand" in text_of(reported["text"])
    assert synced == {"changed": False, "etag": None, "bytes": 0}
    assert (checked["state"], checked["pools"]) == ("stopped", [])
    assert checked["disk"]["folder"] == str(project.root)
    unset = "manager.sync_url is not set; give the http or https address of a JSON document in "
    assert caplog.messages == [
        *MESSAGES["cleanup_old_logs"],
        *MESSAGES["send_daily_reports"],
        "Starting data sync",
        f"{unset}config.json",
        "Data sync completed",
    ]
    assert sorted(path.name for path in project.root.iterdir()) == ["reports"]
