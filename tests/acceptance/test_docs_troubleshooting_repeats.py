"""Tasks that run several times: each cause on the page is provoked, and its sign is there."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.run import RunState
from manager.cli.running import _Greeting
from tests.pages import command, shows
from tests.tools import QUICK, eventually, finals, fire, task_of

if TYPE_CHECKING:
    from tests.tools import Project

PAIR = """
    def send():
        return "sent"

    def other():
        return "other"

    TASK_DEFINITIONS = [
        {"id": "mail", "func": send, "trigger": "interval", "trigger_args": {"hours": 1}},
        {"id": "%s", "func": %s, "trigger": "interval", "trigger_args": {"hours": 1}},
    ]
"""
ENDLESS = """
    from pathlib import Path
    from threading import Event

    def mail():
        Path("begun").touch()
        Event().wait(60)

    TASK_DEFINITIONS = [
        {
            "id": "mail",
            "func": mail,
            "trigger": "interval",
            "trigger_args": {"hours": 1},
            "run_on_start": True,
        }
    ]
"""
TICK = """
    def tick():
        pass

    TASK_DEFINITIONS = [
        {"id": "tick", "func": tick, "trigger": "interval", "trigger_args": {"seconds": 0.1}}
    ]
"""


@pytest.mark.item("X57")
@pytest.mark.item("X60")
def test_one_id_for_two_functions_is_named_with_both_places(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """The first one stands, and the second never runs."""
    project.plugin(PAIR % ("mail", "other"))

    shows("Two functions have one id", command("check", code=1))
    tasks = project.start()
    shows("Two functions have one id", *caplog.messages)
    assert fire(tasks, "mail").result == "sent"


@pytest.mark.item("X48")
@pytest.mark.item("X57")
@pytest.mark.item("X60")
def test_one_function_under_two_ids_is_two_tasks(project: Project) -> None:
    """Both name the function; under one id it would be one task."""
    project.plugin(PAIR % ("letter", "send"))
    tasks = project.start()

    for task_id in ("mail", "letter"):
        shows("One function has two ids", command("show", task_id))
    send = project.module().send
    tasks.add_task(send, "interval", "mail", hours=1)
    assert [task.id for task in tasks.list_tasks()] == ["letter", "mail"]


@pytest.mark.item("X24")
@pytest.mark.item("X60")
def test_check_shows_a_trigger_as_it_was_understood(project: Project) -> None:
    """A minute of ``*`` is sixty occurrences in the hour."""
    project.plugin("""
        def report():
            pass

        TASK_DEFINITIONS = [
            {
                "id": "report",
                "func": report,
                "trigger": "cron",
                "trigger_args": {"hour": 9, "minute": "*"},
            }
        ]
    """)

    shows("The trigger fires more often than meant", command("check"))


@pytest.mark.item("X60")
def test_the_cause_of_a_run_tells_who_asked_for_it(project: Project) -> None:
    """By hand, and at the start."""
    project.plugin("""
        def report():
            pass

        TASK_DEFINITIONS = [
            {
                "id": "report",
                "func": report,
                "trigger": "interval",
                "trigger_args": {"hours": 1},
                "run_on_start": True,
            }
        ]
    """)
    tasks = project.start()
    finals(tasks, "report")
    fire(tasks, "report")

    shows("It did not run for its schedule", command("runs", "report"))


@pytest.mark.item("X11")
@pytest.mark.item("X57")
@pytest.mark.item("X60")
def test_a_retry_is_logged_and_counted(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """All attempts share the run's id; without retries there is one attempt."""
    called: list[int] = []

    def mail() -> None:
        called.append(1)
        if len(called) != 2:
            raise ConnectionError("no answer")

    tasks = project.engine()
    tasks.start()
    tasks.add_task(mail, "interval", "mail", hours=1, **QUICK)

    run = fire(tasks, "mail")

    assert (run.state, run.attempt) == (RunState.COMPLETED, 2)
    shows("It was retried", *caplog.messages)
    tasks.add_task(mail, "interval", "once", hours=1, max_retries=0)
    assert (fire(tasks, "once").state, len(called)) == (RunState.FAILED, 3)


@pytest.mark.item("X57")
@pytest.mark.item("X60")
@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
def test_a_run_whose_process_was_killed_is_named_at_the_next_start(
    delivery: str, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """It is started again, or it is lost, as its definition says."""
    project.plugin(ENDLESS.replace('"func"', f'"delivery": "{delivery}", "func"'))
    killed = subprocess.Popen(
        [sys.executable, "-m", "manager", "run"],
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually((project.root / "begun").exists)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()

    project.plugin(ENDLESS.replace("Event().wait(60)", "return").replace("True", "False"))
    tasks = project.start()

    run = finals(tasks, "mail")[0]
    if delivery == "at_least_once":
        shows("Its process died", *caplog.messages)
        assert (run.state, run.attempt, run.crashes) == (RunState.COMPLETED, 2, 1)
    else:
        assert (run.state, run.attempt) == (RunState.LOST, 1)


@pytest.mark.item("X60")
def test_two_containers_share_the_occurrences_of_one_ledger(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each instant has one run, whoever starts it; with a ledger each they would have two."""
    project.plugin(TICK)
    first, second = (project.manager(default=False) for _ in range(2))
    first.start()
    second.start()
    eventually(lambda: task_of(first.task_manager, "tick").completed >= 10)

    _Greeting("UTC").taskrack_ready(second.task_manager)

    shows("Two containers have two ledgers", capsys.readouterr().out)
    due = [run.scheduled_for for run in first.task_manager.list_runs("tick")]
    assert len(due) == len(set(due)) >= 10


@pytest.mark.item("X57")
@pytest.mark.item("X60")
def test_a_second_start_is_harmless(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.plugin(TICK)
    tasks = project.start()
    tasks.start()

    finals(tasks, "tick", 3)

    shows("The container is started twice in one process", *caplog.messages)
    due = [run.scheduled_for for run in tasks.list_runs("tick")]
    assert len(due) == len(set(due))
