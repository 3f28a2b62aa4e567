"""The daily report from a real ledger, on disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from backgroundtask.report import write_report, write_whole
from backgroundtask.surroundings import Surroundings
from backgroundtask.taskplugins import send_daily_reports
from core.clock import SystemClock
from core.run import Cause, Reason, Run, RunIds, RunState
from tests.tools import fire

if TYPE_CHECKING:
    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

NOW = datetime(2026, 10, 26, 8, 0, tzinfo=UTC)
"""Nine in the morning in Berlin, after the night in which the clocks went back."""
DAY = datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
"""Midnight of the day before, which has 25 hours."""


@pytest.fixture
def tasks(project: Project) -> TaskManager:
    """Start a container in Berlin that knows the report task."""
    project.config(app_name="shop", timezone="Europe/Berlin")
    tasks = project.engine()
    tasks.add_task(
        send_daily_reports, "cron", "send_daily_reports", hour=9, minute=0, name="Daily Reports"
    )
    tasks.start()
    return tasks


def ran(
    tasks: TaskManager, task_id: str, began: datetime, *, seconds: float = 1.0, error: str = ""
) -> None:
    """Put a run into the ledger that began at *began* and completed, or failed with *error*."""
    run_id = RunIds().new(began)
    run = Run(
        id=run_id,
        task_id=task_id,
        fire_key=run_id,
        scheduled_for=began,
        cause=Cause.SCHEDULE,
        state=RunState.FAILED if error else RunState.COMPLETED,
        reason=Reason.EXCEPTION if error else None,
        not_before=began,
        error=error or None,
        created_at=began,
        started_at=began,
        finished_at=began + timedelta(seconds=seconds),
    )
    tasks.ledger.transact(lambda tx: tx.insert(run))


def report(tasks: TaskManager) -> tuple[dict[str, object], str]:
    """Write the report as of ``NOW``; return what the task returns, and the text."""
    found = write_report(Surroundings(tasks.config, tasks), NOW)
    return found, Path(str(found["text"])).read_text(encoding="utf-8")


def test_the_report_counts_the_runs_of_yesterday_and_no_others(tasks: TaskManager) -> None:
    """Both ends of the 25 hours are exact."""
    moment = timedelta(microseconds=1)
    for began in (DAY - moment, DAY, DAY + timedelta(hours=25) - moment, DAY + timedelta(hours=25)):
        ran(tasks, "import", began)
    found, text = report(tasks)
    assert (found["day"], found["runs"], found["success_rate"]) == ("2026-10-25", 2, 1.0)
    hours = [line for line in text.splitlines() if line[2:3] == ":"]
    assert len(hours) == 25
    assert [line[:5] for line in hours if line.endswith(" 1")] == ["00:00", "23:00"]


def test_the_report_names_what_failed_and_what_was_slow(tasks: TaskManager) -> None:
    """Tasks that the ledger knows go by their name, others by their id."""
    ran(tasks, "send_daily_reports", DAY, seconds=300)
    ran(tasks, "import", DAY + timedelta(hours=1), error="ValueError: <old>")
    ran(tasks, "import", DAY + timedelta(hours=2), error="ValueError: <new>")
    found, text = report(tasks)
    assert (found["runs"], found["completed"], found["failed"]) == (3, 1, 2)
    assert "2 of 3 runs failed, in one task." in text
    assert "import: 2 of 2 runs failed, last at 02:00\n    ValueError: <new>" in text
    assert "Daily Reports  longest 5 min 00 s" in text
    page = Path(str(found["html"])).read_text(encoding="utf-8")
    assert "ValueError: &lt;new&gt;" in page
    assert "&lt;old&gt;" not in page


@pytest.mark.item("X7")
def test_a_run_of_the_task_writes_both_files(tasks: TaskManager, project: Project) -> None:
    """They are called by the day, in the folder that the settings name."""
    run = fire(tasks, "send_daily_reports")
    assert run.state is RunState.COMPLETED
    day = run.result["day"]
    yesterday = SystemClock().now().astimezone(ZoneInfo("Europe/Berlin")) - timedelta(days=1)
    assert day == yesterday.date().isoformat()
    folder = project.root / "reports"
    assert sorted(folder.iterdir()) == [folder / f"{day}.html", folder / f"{day}.txt"]
    assert run.result["html"] == str(folder / f"{day}.html")


def test_a_second_report_takes_the_place_of_the_first(tasks: TaskManager) -> None:
    """The task may run as often as it likes."""
    report(tasks)
    ran(tasks, "import", DAY)
    found, text = report(tasks)
    assert "The one run completed." in text
    assert len(list(Path(str(found["html"])).parent.iterdir())) == 2


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """No half-written file is ever seen, and no rest is left behind."""
    target = tmp_path / "reports" / "day.txt"
    write_whole(target, "whole")
    with pytest.raises(TypeError):
        write_whole(target, None)  # type: ignore[arg-type] # a fault in the middle of writing
    assert target.read_text(encoding="utf-8") == "whole"
    assert list(target.parent.iterdir()) == [target]
