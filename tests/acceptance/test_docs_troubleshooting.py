"""Tasks that do not run: each cause on the page is provoked, and its sign is there."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.errors import StateError
from core.run import Reason, RunState, TaskState
from tests.pages import DOCS, command, shows
from tests.tools import eventually, finals, fire, task_of

if TYPE_CHECKING:
    from tests.tools import Project

ONE = """
    def nightly():
        return "done"

    TASK_DEFINITIONS = [
        {{
            "id": "{id}",
            "name": "Nightly",
            "func": nightly,
            "trigger": "interval",
            "trigger_args": {{"{unit}": {number}}},
            "enabled": {enabled},
        }}
    ]
"""


def one(number: float = 1, unit: str = "hours", *, enabled: bool = True) -> str:
    return ONE.format(id="nightly", unit=unit, number=number, enabled=enabled)


@pytest.mark.item("X60")
def test_every_cause_of_the_page_has_its_test() -> None:
    """A cause that the page names is held against the code by one of these modules."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    causes = re.findall(r"^### (.+)$", page, re.MULTILINE)
    here = Path(__file__).parent.glob("test_docs_troubleshooting*.py")
    tested = [
        name
        for file in here
        for name in re.findall(r'shows\(\s*"([^"]+)"', file.read_text(encoding="utf-8"))
    ]
    assert sorted(set(tested)) == sorted(causes)
    assert len(set(causes)) == len(causes)


@pytest.mark.item("X60")
@pytest.mark.item("X50")
def test_a_container_that_is_not_started_says_so(project: Project) -> None:
    """Before the first start, after the last one, for an order, and in Python."""
    project.plugin(one())
    before = command("list")
    tasks = project.start()
    tasks.shutdown(0)

    with pytest.raises(StateError) as caught:
        tasks.run_task("nightly")

    order = command("run-now", "nightly")
    shows("The container is not started", before, command("list"), order, str(caught.value))
    assert tasks.health().state == "stopped"


@pytest.mark.item("X60")
@pytest.mark.item("X16")
@pytest.mark.item("X21")
def test_a_wrong_trigger_is_named_with_its_place(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """``check`` and the log of a start say the same."""
    project.plugin("""
        def task():
            pass

        TASK_DEFINITIONS = [
            {"id": "a", "func": task, "trigger": 'intervall', "trigger_args": {"hours": 1}},
            {"id": "b", "func": task, "trigger": "cron", "trigger_args": {"hour": 24}},
        ]
    """)

    shows("The trigger is wrong", command("check", code=1))
    project.start()
    shows("The trigger is wrong", *caplog.messages)


@pytest.mark.item("X29")
@pytest.mark.item("X60")
def test_a_date_that_has_passed_is_recorded_as_missed(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = project.engine()
    tasks.add_task(lambda: None, "date", "greeting", run_date="2024-12-25 00:00:00")
    tasks.start()

    (run,) = finals(tasks, "greeting", dropped=True)

    assert (run.state, run.reason) == (RunState.MISSED, Reason.PAST)
    assert task_of(tasks, "greeting").status is TaskState.FINISHED
    shows("The date has passed", *caplog.messages)


@pytest.mark.item("X10")
@pytest.mark.item("X60")
def test_a_disabled_task_is_listed_as_disabled(project: Project) -> None:
    """It is not timed, and an edit that enables it is named beside the definition's value."""
    project.plugin(one(enabled=False))
    tasks = project.start()

    shows("The task is disabled", command("list"))
    tasks.update_task("nightly", enabled=True)
    assert task_of(tasks, "nightly").status is TaskState.SCHEDULED
    assert "overrides: {'enabled': {'value': True, 'definition': False}}" in command(
        "show", "nightly"
    )
    tasks.reset_task("nightly")
    assert task_of(tasks, "nightly").status is TaskState.DISABLED


@pytest.mark.item("X60")
def test_a_paused_task_is_listed_as_paused_until_it_is_resumed(project: Project) -> None:
    """The pause is there after a restart."""
    project.plugin(one())
    tasks = project.start()
    tasks.pause_task("nightly")
    tasks.shutdown(0)
    tasks.start()

    shows("The task is paused", command("list"))
    command("resume", "nightly")
    eventually(lambda: task_of(tasks, "nightly").status is TaskState.SCHEDULED)


@pytest.mark.item("X60")
def test_the_gate_of_timed_occurrences_is_named_at_the_start(
    project: Project,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log says it, ``config show`` says who closed it, and a run by hand still works."""
    monkeypatch.setenv("BACKGROUND_JOBS_ENABLED", "false")
    project.plugin(one(0.05, "seconds"))
    tasks = project.start()

    shows("Timed occurrences are switched off", *caplog.messages)
    assert "environment BACKGROUND_JOBS_ENABLED" in command("config", "show")
    assert fire(tasks, "nightly").state is RunState.COMPLETED
    assert len(tasks.list_runs()) == 1


@pytest.mark.item("X60")
def test_a_task_file_that_does_not_load_is_named_with_its_line(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """``check``, the log and ``list`` name it; the other file's task runs."""
    project.plugin("import nowhere\n")
    project.plugin(one(), "backgroundtask/other.py")

    shows("The task file does not load", command("check", code=1))
    tasks = project.start()
    shows("The task file does not load", *caplog.messages)
    listed = command("list").replace("plugin backgroundtask.taskplugins failed: ", "")
    shows("The task file does not load", listed)
    assert fire(tasks, "nightly").state is RunState.COMPLETED


@pytest.mark.item("X60")
def test_a_file_that_offers_nothing_is_no_plugin(project: Project) -> None:
    """What looks like a plugin and is called otherwise is found once it assigns the list."""
    project.plugin(one().replace("TASK_DEFINITIONS", "TASKS"), "backgroundtask/mine.py")

    shows("The task file is not found", command("check"))
    project.plugin(one(), "backgroundtask/mine.py")
    assert "0 tasks" not in command("check")


@pytest.mark.item("X40")
@pytest.mark.item("X60")
def test_a_task_too_many_is_refused_by_name(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.config(manager={"max_tasks": 1})
    project.plugin("""
        def task():
            pass

        TASK_DEFINITIONS = [
            {"id": "first", "func": task, "trigger": "interval", "trigger_args": {"hours": 1}},
            {"id": "second", "func": task, "trigger": "interval", "trigger_args": {"hours": 1}},
        ]
    """)

    shows("There are more tasks than allowed", command("check", code=1))
    tasks = project.start()
    shows("There are more tasks than allowed", *caplog.messages)
    assert [task.id for task in tasks.list_tasks()] == ["first"]


@pytest.mark.item("X60")
def test_a_task_whose_function_is_gone_is_unbound(project: Project) -> None:
    """The ledger keeps it, and the container that runs does not have it."""
    file = project.plugin(one())
    tasks = project.start()
    tasks.shutdown(0)
    file.unlink()
    project.start()

    shows("The task is unbound", command("list"))


@pytest.mark.item("X60")
def test_a_refused_configuration_names_its_problem(project: Project) -> None:
    project.config(manager={"task_timeout": -5})
    for verb in ("list", "check", "run"):
        shows("The configuration is refused", command(verb, code=1))


@pytest.mark.item("X60")
def test_a_database_out_of_reach_is_named_at_the_start_and_while_running(
    project: Project, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process locks the ledger: it is told once, outcomes wait, and work goes on after."""
    monkeypatch.setattr("manager.storage.sqlite._BUSY_MS", 200)  # a lock is waited for 5 s
    project.config(database={"url": "sqlite:///./gone/ledger.db"})
    at_start = command("run", code=3)
    project.config()
    project.plugin(one(0.2, "seconds"))
    tasks = project.start()
    finals(tasks, "nightly")

    with closing(sqlite3.connect(project.root / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        eventually(lambda: "database is locked" in str(tasks.health().trouble), timeout=15)
        health = tasks.health()
        other.execute("ROLLBACK")
    eventually(lambda: tasks.health().trouble is None)

    assert health.state == "degraded"
    shows("The database is out of reach", at_start, *caplog.messages)
    so_far = len(finals(tasks, "nightly"))
    finals(tasks, "nightly", so_far + 1)
