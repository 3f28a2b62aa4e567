"""The zone of the host and the zone database: they change nothing silently."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from core.clock import SystemClock
from tests.tools import task_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tools import Project

WARNING = "nightly: its schedule is as it was, but its next run moves from"


def nothing() -> None:
    """Do nothing."""


@pytest.fixture
def host_in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the zone of this process as an operator sets a machine's."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_zone_of_the_host_does_not_count(project: Project, host_in_tokyo: None) -> None:
    """A task without a zone is due in the settings' zone, a date without offset as well."""
    tasks = project.engine()
    tasks.add_task(nothing, "cron", "nightly", hour=3)
    tasks.add_task(nothing, "date", "once", run_date="2050-01-01 03:00")
    tasks.start()
    due = [task_of(tasks, name).next_run for name in ("nightly", "once")]
    assert [moment.hour for moment in due if moment is not None] == [3, 3]


def test_a_next_run_that_moves_without_an_edit_is_told(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an update of the zone database; an edit of the definition is not told so."""
    caplog.set_level(logging.WARNING)
    for hour in (3, 4):
        tasks = project.engine()
        tasks.add_task(nothing, "cron", "nightly", hour=hour)
        tasks.start()
        tasks.shutdown()
    assert WARNING not in caplog.text

    with sqlite3.connect(project.root / "ledger.db") as link:
        link.execute("UPDATE tasks SET next_run = next_run + 3600000000")
    link.close()
    tasks = project.engine()
    tasks.add_task(nothing, "cron", "nightly", hour=4)
    tasks.start()

    assert WARNING in caplog.text
    due = task_of(tasks, "nightly").next_run
    assert due is not None
    assert (due.hour, due > SystemClock().now()) == (4, True)
