"""Outcomes that wait on disk survive ``kill -9``: what had ended has ended."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from core.run import Reason, RunState
from manager.storage.spool import parse, read_spool
from tests.tools import eventually, finals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tools import Project

PLUGIN = """
    import threading
    from pathlib import Path

    def note(word):
        with Path("calls.txt").open("a") as file:
            file.write(word + "\\n")

    def held(name):
        note(name)
        while Path("hold").exists():
            threading.Event().wait(0.02)
        return name + " is done"

    def fails(name):
        held(name)
        raise ValueError(name)

    def stuck(name):
        note(name)
        while Path("stuck").exists():
            threading.Event().wait(0.02)

    def define(name, func, **more):
        return {"id": name, "func": func, "trigger": "interval", "trigger_args": {"hours": 1},
                "args": [name], "run_on_start": not Path("started").exists(),
                "max_retries": 0, **more}

    TASK_DEFINITIONS = [
        define("again", held),
        define("once", held, delivery="at_most_once"),
        define("fails", fails),
        define("cut", stuck),
    ]
"""
CONTAINER = """
    import signal
    import threading
    from manager import Manager
    from manager.storage import sqlite

    sqlite._BUSY_MS = 200
    with Manager("config.json"):
        threading.Event().wait(60)
"""
TASKS = ["again", "cut", "fails", "once"]


@contextmanager
def killed_in_an_outage(project: Project) -> Iterator[Path]:
    """Kill a container whose three runs ended while its ledger was locked; give its spool."""
    project.plugin(PLUGIN)
    project.write("container.py", CONTAINER)
    hold = project.write("hold", "")
    project.write("stuck", "")
    with (project.root / "container.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "container.py"], stdout=log, stderr=log)
    holder = sqlite3.connect(project.root / "ledger.db", isolation_level=None)
    try:
        eventually(lambda: calls_of(project) == TASKS, timeout=30)
        eventually(lambda: locked(holder))
        project.write("started", "")
        hold.unlink()
        (path,) = project.root.glob("*.spool")
        eventually(lambda: len(read_spool(path).records) == 4)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        holder.execute("ROLLBACK")
        (project.root / "stuck").unlink()
        yield path
    finally:
        process.kill()
        process.wait(10)
        holder.close()


def locked(holder: sqlite3.Connection) -> bool:
    try:
        holder.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True


def calls_of(project: Project) -> list[str]:
    file = project.root / "calls.txt"
    return sorted(file.read_text(encoding="utf-8").split()) if file.exists() else []


def test_what_ended_in_an_outage_is_completed_after_a_kill(project: Project) -> None:
    """Three outcomes come from the spool; only the run that had not ended runs again."""
    with killed_in_an_outage(project) as path:
        tasks = project.start()

    assert not path.exists()
    (again,), (once,), (fails,) = (finals(tasks, name) for name in ("again", "once", "fails"))
    assert (again.state, again.result, again.attempt) == (
        *(RunState.COMPLETED, "again is done", 1),
    )
    assert (once.state, once.result, once.crashes) == (RunState.COMPLETED, "once is done", 0)
    assert (fails.state, fails.reason) == (RunState.FAILED, Reason.EXCEPTION)
    assert str(fails.error).startswith("ValueError: fails")
    (cut,) = finals(tasks, "cut")
    assert (cut.state, cut.attempt, cut.crashes) == (RunState.COMPLETED, 2, 1)
    assert calls_of(project) == sorted([*TASKS, "cut"])


@pytest.mark.parametrize("damage", ["cut", "flipped", "torn"])
def test_a_damaged_spool_loses_only_what_is_damaged_and_is_kept(
    project: Project, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The run whose outcome cannot be read is decided as after any crash; the file is set aside."""
    with killed_in_an_outage(project) as path:
        content = path.read_bytes()
        _owner, *records = parse(content).records
        place = content.index(records[2]["run"]["id"].encode())
        if damage == "cut":
            path.write_bytes(content[:place])
        elif damage == "torn":
            path.write_bytes(content[:place] + b"\x00" * (len(content) - place))
        else:
            path.write_bytes(content[:place] + b"#" + content[place + 1 :])
        tasks = project.start()

    damaged, *whole = (
        records[2]["run"]["task_id"],
        *(each["run"]["task_id"] for each in records[:2]),
    )
    for name in whole:
        (run,) = finals(tasks, name)
        assert (run.attempt, run.crashes) == (1, 0)
    (run,) = finals(tasks, damaged)
    assert run.crashes == 1
    assert run.state is (RunState.LOST if damaged == "once" else run.state)
    told = [each.message for each in caplog.records if "is damaged in 1 places" in each.message]
    assert len(told) == 1
    assert "2 outcomes of it are whole" in told[0]
    assert not path.exists()
    assert len(list(project.root.glob("*.damaged"))) == 1


def test_a_spool_changes_nothing_about_runs_that_were_taken_away(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """Found late, after its runs were decided without it: no final state changes."""
    with killed_in_an_outage(project) as path:
        aside = path.rename(project.root / "aside")
        tasks = project.start()
        for name in TASKS:
            finals(tasks, name)
        before = {run.id: run for run in tasks.list_runs()}
        tasks.shutdown()
        aside.rename(path)
        again = project.engine()
        again.start()

    assert {run.id: run for run in again.list_runs()} == before
    assert any("3 of them came too late" in each.message for each in caplog.records)
    assert not path.exists()
