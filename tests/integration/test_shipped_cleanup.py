"""The clean-up task on real files and a real ledger."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backgroundtask.cleanup import delete_rotated, log_file_of
from backgroundtask.taskplugins import cleanup_old_logs
from configurations import load_config
from core.clock import SystemClock
from core.run import Cause, Run, RunIds, RunState
from tests.tools import fire

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from manager.task.taskmanager import TaskManager
    from tests.tools import Project


def aged(path: Path, days: float, text: str = "line\n") -> Path:
    """Write a file that was last written *days* ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    then = (SystemClock().now() - timedelta(days=days)).timestamp()
    os.utime(path, (then, then))
    return path


def two_weeks_ago() -> datetime:
    return SystemClock().now() - timedelta(days=14)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_old_rotated_files_of_the_log_are_deleted(tmp_path: Path) -> None:
    """The live file, young ones and everything that is called otherwise stay."""
    for name in ("app.log", "app.log.2", "app.log.13", "app.log.old", "xapp.log.1", "app_log.1"):
        aged(tmp_path / name, days=30)
    aged(tmp_path / "app.log.1", days=13)
    assert delete_rotated(tmp_path / "app.log", two_weeks_ago()) == (2, 10)
    assert names(tmp_path) == ["app.log", "app.log.1", "app.log.old", "app_log.1", "xapp.log.1"]


def test_the_clean_up_never_leaves_the_folder(tmp_path: Path) -> None:
    """A link that is called like a log file stays, and so does what it points to."""
    secret = aged(tmp_path / "elsewhere" / "precious", days=99)
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "app.log.1").symlink_to(secret)
    (logs / "app.log.2").symlink_to(secret.parent)
    (logs / "app.log.3").mkdir()
    assert delete_rotated(logs / "app.log", two_weeks_ago()) == (0, 0)
    assert secret.exists()
    assert names(logs) == ["app.log.1", "app.log.2", "app.log.3"]


def test_a_folder_that_is_not_there_has_nothing_to_delete(tmp_path: Path) -> None:
    """A project that never logged to a file is in order."""
    assert delete_rotated(tmp_path / "logs" / "app.log", two_weeks_ago()) == (0, 0)


def test_a_file_that_cannot_be_deleted_is_named_and_the_rest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One stubborn file does not keep the others."""
    stubborn = aged(tmp_path / "app.log.1", days=30)
    aged(tmp_path / "app.log.2", days=30)
    unlink = type(stubborn).unlink

    def refuse(path: Path) -> None:
        if path == stubborn:
            raise PermissionError(13, "Permission denied")
        unlink(path)

    monkeypatch.setattr(type(stubborn), "unlink", refuse)
    assert delete_rotated(tmp_path / "app.log", two_weeks_ago()) == (1, 5)
    assert caplog.messages == [f"{stubborn} cannot be deleted: Permission denied"]


def test_the_log_file_of_the_environment_counts_where_the_settings_name_none(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the file that the container logs to."""
    monkeypatch.setenv("LOG_FILE", "elsewhere/other.log")
    assert log_file_of(load_config()) == project.root / "elsewhere" / "other.log"
    project.config(loggers={"log_file": "mine/my.log"})
    assert log_file_of(load_config()) == project.root / "mine" / "my.log"


@pytest.mark.item("X59")
@pytest.mark.asyncio
async def test_a_bare_clean_up_goes_by_the_config_file(project: Project) -> None:
    """Without a container there is no history to prune, and the files are deleted all the same."""
    project.config(loggers={"log_file": "var/my.log"}, manager={"log_retention_days": 2})
    aged(project.root / "var" / "my.log.1", days=3)
    aged(project.root / "var" / "my.log.2", days=1)
    assert await cleanup_old_logs() == {"files": 1, "bytes": 5, "runs": 0}


@pytest.mark.item("X7")
def test_a_run_of_the_clean_up_prunes_the_history(project: Project) -> None:
    """Runs that ended before the retention go; younger ones, and the run itself, stay."""
    project.config(manager={"run_retention_days": 7, "log_retention_days": 2})
    aged(project.root / "logs" / "app.log.1", days=3)
    tasks = project.engine()
    tasks.add_task(cleanup_old_logs, "cron", "cleanup_old_logs", hour=0, minute=0)
    tasks.start()
    old, young = ended(tasks, days=8), ended(tasks, days=6)
    run = fire(tasks, "cleanup_old_logs")
    assert run.result == {"files": 1, "bytes": 5, "runs": 1}
    assert tasks.get_run(old) is None
    assert tasks.get_run(young) is not None


def ended(tasks: TaskManager, days: float) -> str:
    """Put a run into the ledger that completed *days* ago; return its id."""
    then = SystemClock().now() - timedelta(days=days)
    run_id = RunIds().new(then)
    run = Run(
        id=run_id,
        task_id="other",
        fire_key=run_id,
        scheduled_for=then,
        cause=Cause.SCHEDULE,
        state=RunState.COMPLETED,
        not_before=then,
        created_at=then,
        started_at=then,
        finished_at=then,
    )
    tasks.ledger.transact(lambda tx: tx.insert(run))
    return run_id
