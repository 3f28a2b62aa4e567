"""Memory that grows: what the container bounds holds, and each cause shows its sign."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import tracemalloc
import weakref
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import QueuePool

from core.run import RunState
from tests.pages import DOCS, build_project, shows
from tests.tools import eventually, fire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from tests.tools import Project

LEAKY = """\
kept = []


def leak():
    kept.append(bytearray(5_000_000))


TASK_DEFINITIONS = [
    {"id": "leak", "func": leak, "trigger": "interval", "trigger_args": {"hours": 1}}
]
"""
HANDLES = """
    def read():
        open(__file__).readline()

    TASK_DEFINITIONS = [
        {
            "id": "read",
            "func": read,
            "trigger": "interval",
            "trigger_args": {"hours": 1},
            "run_on_start": True,
        }
    ]
"""


class Large:
    """A result that can be watched."""


@pytest.fixture
def untraced() -> Iterator[None]:
    """Stop the tracing that a task began."""
    yield
    tracemalloc.stop()


@pytest.mark.item("X60")
def test_the_container_keeps_no_result_and_no_error_in_memory(project: Project) -> None:
    """Once a run has ended nothing of it is referenced; the ledger has a bounded text."""
    watched: list[weakref.ref[Large]] = []

    def give() -> list[object]:
        made = Large()
        watched.append(weakref.ref(made))
        return [made, "x" * 200_000]

    async def fail() -> None:
        made = Large()
        watched.append(weakref.ref(made))
        raise ValueError(f"{made} " + "x" * 10_000)

    tasks = project.engine()
    tasks.start()
    tasks.add_task(give, "interval", "give", hours=1)
    tasks.add_task(fail, "interval", "fail", hours=1, max_retries=0)
    given, failed = fire(tasks, "give"), fire(tasks, "fail")

    def released() -> bool:
        gc.collect()
        return all(each() is None for each in watched)

    eventually(released)
    assert len(watched) == 2
    assert len(given.result["repr"]) == 65_536
    assert len(failed.error or "") == 4_096


@pytest.mark.item("X30")
@pytest.mark.item("X56")
@pytest.mark.item("X60")
def test_sessions_that_stay_open_exhaust_the_pool_of_the_application(project: Project) -> None:
    """The next session fails the run; closed in ``finally`` they never do."""
    engine = create_engine(
        "sqlite://",
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.1,
        connect_args={"check_same_thread": False},
    )
    new_session = sessionmaker(engine)
    left: list[Session] = []

    def leak() -> None:
        left.append(new_session())
        left[-1].execute(text("SELECT 1"))

    def close() -> None:
        with new_session() as session:
            session.execute(text("SELECT 1"))

    tasks = project.engine()
    tasks.start()
    for task_id, func in (("leak", leak), ("close", close)):
        tasks.add_task(func, "interval", task_id, hours=1, max_retries=0)
    tidy = [fire(tasks, "close").state for _ in range(3)]
    runs = [fire(tasks, "leak") for _ in range(2)]
    for session in left:
        session.close()
    engine.dispose()

    assert tidy == [RunState.COMPLETED] * 3
    assert [run.state for run in runs] == [RunState.COMPLETED, RunState.FAILED]
    shows("Database sessions stay open", runs[1].error or "")


@pytest.mark.item("X60")
def test_a_handle_that_is_thrown_away_open_is_a_line_on_standard_error(project: Project) -> None:
    """Python's development mode names the file."""
    project.plugin(HANDLES)
    log = project.root / "stderr"
    with log.open("wb") as stderr:
        running = subprocess.Popen(
            [sys.executable, "-X", "dev", "-m", "manager", "run"],
            cwd=project.root,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            eventually(lambda: "read: completed" in log.read_text(encoding="utf-8"), timeout=30)
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(30)

    shows("File handles stay open", log.read_text(encoding="utf-8"))


@pytest.mark.item("X60")
def test_the_recipe_names_the_line_that_keeps_large_objects(
    project: Project, untraced: None
) -> None:
    """The task of the page, in a project with a leak, as the page has it."""
    build_project(DOCS / "troubleshooting.md", project.root)
    project.plugin(LEAKY, "backgroundtask/leaky.py")
    tasks = project.start()
    assert fire(tasks, "report_memory").result == []
    fire(tasks, "leak")

    shows("Large objects stay alive", *fire(tasks, "report_memory").result[:1])


@pytest.mark.item("X12")
@pytest.mark.item("X60")
@pytest.mark.item("X61")
def test_calls_that_outlive_their_time_limit_are_named_and_bounded(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    """After four the pool starts nothing more, until they end."""
    opened = threading.Event()
    tasks = project.engine()
    tasks.start()
    for task_id in ("stuck", "stuck2", "stuck3", "stuck4"):
        limits = {"timeout": 0.2, "max_retries": 0}
        tasks.add_task(lambda: opened.wait(30), "interval", task_id, hours=1, **limits)
    tasks.add_task(lambda: None, "interval", "other", hours=1)
    fire(tasks, "stuck")
    trouble = tasks.health().trouble
    for task_id in ("stuck2", "stuck3", "stuck4"):
        fire(tasks, task_id)
    waiting = tasks.run_task("other").id
    tasks.run_task("other")

    shows("Calls outlive their time limit", *caplog.messages, str(trouble))
    assert [run.state for run in tasks.list_runs("other")] == [RunState.PENDING] * 2
    opened.set()

    def over() -> bool:
        run = tasks.get_run(waiting)
        return run is not None and run.state is RunState.COMPLETED

    eventually(over)
