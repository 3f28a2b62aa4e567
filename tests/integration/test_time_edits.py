"""Edits and pauses: what they must not start, played under a virtual clock."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from configurations import Xcorecfg
from core.run import Cause, Reason, RunState
from manager.task.access import open_control
from manager.testing import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from manager.task.control import Control

START = datetime(2026, 1, 1, tzinfo=UTC)
SOON = timedelta(hours=5, minutes=30, seconds=7)
HOURLY: dict[str, Any] = {"trigger": "interval", "trigger_args": {"hours": 1}}

PLUGIN = '''
def work():
    """Do nothing."""


TASK_DEFINITIONS = [
    {{
        "id": "t",
        "name": "T",
        "func": work,
        "trigger": {trigger!r},
        "trigger_args": {trigger_args!r},
        **{more!r},
    }},
]
'''
EDITS: dict[str, dict[str, Any]] = {
    "shorter-interval": {"trigger_args": {"minutes": 10}},
    "longer-interval": {"trigger_args": {"days": 1}},
    "to-cron": {"trigger": "cron", "trigger_args": {"minute": "*/10"}},
    "to-a-date-to-come": {"trigger": "date", "trigger_args": {"run_date": "2026-01-01 05:40"}},
    "to-a-date-gone-by": {"trigger": "date", "trigger_args": {"run_date": "2026-01-01 05:25"}},
    "name": {"name": "Another"},
    "retries": {"max_retries": 0},
    "time-limit": {"timeout": 7.0},
    "priority": {"priority": 5},
    "disabled": {"enabled": False},
}
DUE = {
    "shorter-interval": START + timedelta(hours=5, minutes=40),
    "longer-interval": START + timedelta(days=1),
    "to-cron": START + timedelta(hours=5, minutes=40),
    "to-a-date-to-come": START + timedelta(hours=5, minutes=40),
    "to-a-date-gone-by": None,
    "disabled": None,
}


def due_of(lab: Lab) -> datetime | None:
    task = lab.tasks.get_task("t")
    assert task is not None
    return task.next_run


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_by_an_operator_never_fires(lab: Lab, edit: str) -> None:
    """Whatever is edited half an hour after the last run, nothing starts before it is due."""
    lab.define("t", **HOURLY)
    lab.advance(SOON)
    before = lab.runs("t")
    lab.tasks.update_task("t", **EDITS[edit])
    lab.advance("1 min")
    lab.restart()
    lab.advance("1 min")
    assert lab.runs("t") == before
    assert due_of(lab) == DUE.get(edit, START + timedelta(hours=6))
    lab.tasks.reset_task("t")
    lab.advance("1 min")
    assert lab.runs("t") == before
    assert due_of(lab) == START + timedelta(hours=6)


@pytest.mark.parametrize("down", ["0 s", "2 min"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_changed_plugin_file_never_fires_at_the_restart(
    lab: Lab, tmp_path: Path, edit: str, down: str
) -> None:
    """The next start reads the file again; what it says now is due only later."""
    folder = tmp_path / "chores"
    folder.mkdir()
    plugin = folder / "taskplugins.py"
    plugin.write_text(PLUGIN.format(**HOURLY, more={}), encoding="utf-8")
    lab.load(folder)
    lab.advance(SOON)
    before = lab.runs("t")
    assert len(before) == 5
    assert all(run.state is RunState.COMPLETED for run in before)

    more = dict(EDITS[edit])
    trigger, arguments = (
        more.pop("trigger", "interval"),
        more.pop("trigger_args", HOURLY["trigger_args"]),
    )
    text = PLUGIN.format(trigger=trigger, trigger_args=arguments, more=more)
    plugin.write_text(text, encoding="utf-8")
    lab.restart(after=down)
    lab.advance("1 min")

    assert lab.runs("t") == before
    assert due_of(lab) == DUE.get(edit, START + timedelta(hours=6))


CHANGES: dict[str, dict[str, Any]] = {
    "zone": {"timezone": "Europe/Paris"},
    "zone-behind": {"timezone": "America/New_York"},
    "summer-time": {"dst": "both"},
    "catch-up": {"catch_up": "all"},
    "hour-gone-by": {"trigger_args": {"hour": 9}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_other_reading_of_local_times_fires_what_has_passed(lab: Lab, change: str) -> None:
    """At noon of the day on which 02:30 was not there; only what comes later is due."""
    known: dict[str, Any] = {
        "dst": "skip",
        "timezone": "Europe/Berlin",
        "trigger_args": {"hour": 2, "minute": 30},
    }
    lab.define("t", trigger="cron", **known)
    lab.advance("2026-03-29 12:00")
    before = lab.runs("t")
    lab.node.stop()
    lab.define("t", trigger="cron", **known | CHANGES[change])
    lab.restart()
    lab.advance("1 min")
    assert lab.runs("t") == before
    lab.advance("1 day")
    assert len(lab.runs("t")) == len(before) + 1


def test_enabling_a_task_again_makes_nothing_up(lab: Lab) -> None:
    """It was not scheduled meanwhile, so nothing was missed."""
    lab.define("t", **HOURLY, catch_up="all")
    lab.tasks.update_task("t", enabled=False)
    lab.advance(SOON)
    lab.tasks.update_task("t", enabled=True)
    lab.advance("1 min")
    assert lab.runs("t") == []
    lab.advance("30 min")
    lab.assert_ran("t", at=["2026-01-01 06:00"])


@contextmanager
def command_line(lab: Lab, file: Path) -> Iterator[Control]:
    """Give the verbs as another process has them that looks at the same ledger."""
    config = Xcorecfg.model_validate({"database": {"url": f"sqlite:///{file}"}})
    with open_control(config, lab.clock, "cli") as control:
        yield control


PAUSED_FOR = timedelta(hours=2)
MINUTES = 120


def assert_went_on(lab: Lab, paused: datetime) -> None:
    """Assert that the pause is one skipped run, and that the next occurrence ran on time."""
    resumed = paused + PAUSED_FOR
    runs = [run for run in lab.runs("t") if run.scheduled_for > paused]
    assert [(run.state, run.reason, run.occurrences) for run in runs] == [
        (RunState.SKIPPED, Reason.PAUSED, MINUTES)
    ]
    lab.advance("2 min")
    runs = [run for run in lab.runs("t") if run.scheduled_for > resumed]
    assert [(run.cause, run.state) for run in runs] == [(Cause.SCHEDULE, RunState.COMPLETED)] * 2
    assert runs[0].scheduled_for - resumed <= timedelta(minutes=1)
    assert all(run.started_at == run.scheduled_for for run in runs)


@pytest.mark.parametrize("policy", ["latest", "none", "all"])
def test_a_pause_of_two_hours_never_floods(lab: Lab, policy: str) -> None:
    """At the resume nothing runs; one row tells how many were skipped; the next is on time."""
    lab.define("t", trigger="interval", trigger_args={"minutes": 1}, catch_up=policy)
    lab.advance("10 min 30 s")
    paused = lab.now
    lab.tasks.pause_task("t")
    lab.advance(PAUSED_FOR)
    assert len(lab.runs("t")) == 10
    lab.tasks.resume_task("t")
    lab.advance("1 s")
    assert_went_on(lab, paused)


@pytest.mark.parametrize("policy", ["latest", "none", "all"])
@pytest.mark.parametrize("seen", ["never", "paused", "resumed"])
def test_a_pause_while_no_container_runs_never_floods(
    tmp_path: Path, policy: str, seen: str
) -> None:
    """Paused, resumed, or both while nothing runs: the next start does not take it for down time.

    *seen* is what a container lived to see of it.
    """
    file = tmp_path / "ledger.db"
    with Lab(ledger=file) as lab, command_line(lab, file) as control:
        lab.define("t", trigger="interval", trigger_args={"minutes": 1}, catch_up=policy)
        lab.advance("10 min 30 s")
        paused = lab.now
        if seen == "paused":
            lab.tasks.pause_task("t")
        lab.node.stop()
        if seen != "paused":
            control.pause("t", paused=True)
        lab.advance(PAUSED_FOR)
        if seen == "resumed":
            lab.restart()
        control.pause("t", paused=False)
        lab.advance("1 s")
        if seen != "resumed":
            lab.restart()
        lab.advance("1 s")
        assert_went_on(lab, paused)


def test_an_order_from_another_process_is_followed_within_a_second(tmp_path: Path) -> None:
    """What the command line asks for, the container finds in the ledger."""
    file = tmp_path / "ledger.db"
    with Lab(ledger=file) as lab, command_line(lab, file) as control:
        lab.define("t", **HOURLY)
        lab.advance("10 s")
        control.run_now("t")
        lab.advance("1 s")
        lab.assert_ran("t", times=1, state="completed")
