"""Runs for a range of the past: each occurrence once, with its nominal time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.errors import DefinitionError, UnknownTaskError
from core.run import Cause, RunState
from manager import current_run
from tests.pages import command
from tests.tools import ShiftedClock, finals, states, task_of

if TYPE_CHECKING:
    from manager.testing import Lab
    from tests.tools import Project

DAY: Final = timedelta(days=1)
NOON: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)


def nominal() -> str:
    """Return the instant that this run stands for."""
    context = current_run()
    assert context is not None
    return context.scheduled_for.isoformat()


async def takes_a_minute() -> None:
    """Work for a minute of virtual time."""
    await asyncio.sleep(60)


def test_a_range_is_run_once_with_its_nominal_times(project: Project) -> None:
    """A second call for the range, or one that overlaps it, adds only what is new."""
    tasks = project.engine(clock=ShiftedClock(NOON))
    tasks.add_task(nominal, "cron", "daily", hour=9, timezone="Europe/Berlin")
    tasks.start()

    planned = tasks.backfill("daily", NOON - 5 * DAY, NOON, dry_run=True)
    assert [f"{at:%d %H:%M}" for at in planned.runs] == [f"{day} 08:00" for day in range(16, 21)]
    assert tasks.list_runs("daily") == []

    added = tasks.backfill("daily", NOON - 5 * DAY, NOON)
    runs = finals(tasks, "daily", 5)
    assert states(runs) == [RunState.COMPLETED] * 5
    assert [run.scheduled_for for run in runs] == list(planned.runs) == list(added.runs)
    assert [run.result for run in runs] == [run.scheduled_for.isoformat() for run in runs]
    assert {run.cause for run in runs} == {Cause.BACKFILL}

    again = tasks.backfill("daily", NOON - 7 * DAY, NOON)
    assert [f"{at:%d}" for at in again.runs] == ["14", "15"]
    assert again.left == 5
    finals(tasks, "daily", 7)
    assert task_of(tasks, "daily").completed == 7
    assert tasks.backfill("daily", NOON - 7 * DAY, NOON).runs == ()


def test_what_was_missed_is_made_up_and_stays_recorded_as_missed(project: Project) -> None:
    """Nothing is doubled: what ran is left alone."""
    first = project.engine(clock=ShiftedClock(NOON))
    first.add_task(nominal, "cron", "hourly", minute=0)
    first.start()
    first.shutdown()
    tasks = project.engine(clock=ShiftedClock(NOON + timedelta(hours=5, minutes=30)))
    tasks.add_task(nominal, "cron", "hourly", minute=0)
    tasks.start()
    (caught,) = finals(tasks, "hourly")
    assert caught.cause is Cause.CATCH_UP

    found = tasks.backfill(
        "hourly", NOON + timedelta(minutes=1), tasks.ledger.stored(["hourly"])["hourly"].cursor
    )
    assert [at.hour for at in found.runs] == [13, 14, 15, 16]
    assert found.left == 1
    finals(tasks, "hourly", 5)
    missed = tasks.list_runs("hourly", state=RunState.MISSED)
    assert [run.occurrences for run in missed] == [4]


def test_a_backfill_does_not_hold_up_what_is_due(lab: Lab) -> None:
    """What is due while a backfill runs waits for that one run, not for all, and is not skipped."""
    lab.define("report", takes_a_minute, "cron", expression="*/5 * * * *")
    lab.advance("90 s")
    start = lab.now - timedelta(hours=2)
    lab.tasks.backfill("report", start, lab.now - timedelta(minutes=2))
    lab.advance("30 min")

    runs = lab.runs("report")
    due = [run for run in runs if run.cause is Cause.SCHEDULE]
    assert {run.state for run in runs} == {RunState.COMPLETED}
    assert len(runs) - len(due) == 23
    late = [run.started_at - run.scheduled_for for run in due if run.started_at is not None]
    assert len(late) == 6
    assert all(timedelta(0) <= each <= timedelta(minutes=1) for each in late)
    assert max(late) > timedelta(0)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (NOON, NOON - DAY, "backfill: end: expected an instant after the start"),
        (NOON, NOON + 365_000 * DAY, "expected an instant that has passed"),
        (datetime.min.replace(tzinfo=UTC), NOON, "expected an instant from 1970-01-01 on"),
        (NOON.replace(tzinfo=None), NOON, "start: expected an instant with an offset"),
        (NOON - 4000 * DAY, NOON, "expected at most 10000 occurrences in one range, got 9600"),
    ],
    ids=["order", "future", "first-century", "naive", "many"],
)
def test_a_range_that_cannot_be_meant_is_refused(
    project: Project, start: datetime, end: datetime, said: str
) -> None:
    tasks = project.engine()
    tasks.add_task(nominal, "cron", "hourly", minute=0)
    tasks.start()
    with pytest.raises(DefinitionError) as caught:
        tasks.backfill("hourly", start, end)
    assert said in str(caught.value)
    with pytest.raises(UnknownTaskError):
        tasks.backfill("hourl", NOON - DAY, NOON)
    assert tasks.list_runs() == []


def test_the_command_line_asks_and_orders(project: Project) -> None:
    """Local times of the task's zone; without a container the runs wait for one."""
    tasks = project.engine()
    tasks.add_task(nominal, "cron", "daily", hour=9, timezone="Asia/Tokyo")
    tasks.start()
    tasks.shutdown()
    words = ("backfill", "daily", "--from", "2026-03-01", "--to", "2026-03-03 09:00")

    shown: dict[str, Any] = json.loads(command(*words, "--dry-run", "--json"))
    assert shown["runs"] == [f"2026-03-0{day}T00:00:00Z" for day in (1, 2, 3)]
    text = command(*words, "--dry-run")
    assert "WOULD RUN\n2026-03-01 09:00:00 JST\n" in text
    assert "daily: 3 runs would be added; 0 occurrences of the range ran already" in text
    text = command(*words)
    assert "daily: 3 runs added" in text
    assert "no container is running; the runs start when one does" in text
    assert "0 runs added; 3 occurrences of the range" in command(*words)
    assert "expected an instant that has passed" in command(
        "backfill", "daily", "--from", "2026-03-01", "--to", "2999-01-01", code=1
    )
