"""The health check against a running container."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from backgroundtask.health import PROBE, HealthError, check_container, check_machine, probe
from backgroundtask.taskplugins import health_check
from configurations import load_config
from core.clock import SystemClock
from core.errors import LedgerError
from core.run import Reason, RunState
from tests.tools import eventually, fire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from manager.storage import SqlLedger
    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

TOO_MUCH = 1_000_000_000
"""Megabytes of free disk that nobody has."""


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give an event that a task waits for; it is set at the end in any case."""
    event = threading.Event()
    yield event
    event.set()


def checked(project: Project, **section: Any) -> TaskManager:  # noqa: ANN401 - any setting
    project.config(manager=section)
    tasks = project.engine()
    tasks.add_task(health_check, "interval", "health_check", minutes=5, max_retries=0)
    tasks.start()
    return tasks


@pytest.mark.item("X7")
def test_a_healthy_container_is_described(project: Project) -> None:
    """Database, disk, scheduler, pools and state, all as JSON."""
    tasks = checked(project)
    result = fire(tasks, "health_check").result
    assert result["database"]["label"] == tasks.ledger.label
    assert 0 < result["database"]["latency"] < 5
    assert result["disk"]["folder"] == str(project.root)
    assert 0 < result["disk"]["free"] <= result["disk"]["total"]
    assert 0 <= result["scheduler"]["lag"] < 5
    assert [(pool["lane"], pool["leaked"]) for pool in result["pools"]] == [
        ("thread", []),
        ("loop", []),
        ("process", []),
    ]
    assert result["state"] == "ok"


@pytest.mark.item("X7")
def test_a_full_disk_fails_the_run_and_says_what_to_do(project: Project) -> None:
    """The limit is named by its key."""
    tasks = checked(project, health_min_free_disk_mb=TOO_MUCH)
    run = fire(tasks, "health_check")
    assert (run.state, run.reason) == (RunState.FAILED, Reason.EXCEPTION)
    assert run.error is not None
    assert run.error.startswith("HealthError: disk: ")
    assert f"manager.health_min_free_disk_mb is {TOO_MUCH}; make room" in run.error


def test_every_limit_that_is_passed_is_named(project: Project) -> None:
    """A late scheduler and a full disk are two clauses of one error."""
    tasks = checked(project, health_min_free_disk_mb=TOO_MUCH, health_max_lag=1e-9)
    with pytest.raises(HealthError) as caught:
        check_container(tasks)
    assert [limit.partition(":")[0] for limit in caught.value.limits] == ["scheduler", "disk"]


@pytest.mark.item("X60")
def test_an_exhausted_pool_fails_the_check(project: Project, gate: threading.Event) -> None:
    """All places are taken and a run waits for one."""
    project.config(manager={"scheduler_thread_pool": 1})
    tasks = project.engine()
    for name in ("first", "second"):
        tasks.add_task(lambda: gate.wait(20), "interval", name, hours=1)
    tasks.start()
    for name in ("first", "second"):
        tasks.run_task(name)
    eventually(lambda: tasks.health().pools[0].busy == 1)
    with pytest.raises(HealthError, match="pool thread: all 1 places are taken, 1 run waits"):
        check_container(tasks)


@pytest.mark.item("X60")
def test_a_leaked_call_fails_the_check(project: Project, gate: threading.Event) -> None:
    """A function that outlived its time limit is named until it ends."""
    tasks = project.engine()
    tasks.add_task(lambda: gate.wait(20), "interval", "stuck", hours=1, timeout=0.05, max_retries=0)
    tasks.start()
    assert fire(tasks, "stuck").reason is Reason.TIMEOUT
    with pytest.raises(HealthError, match="pool thread: calls outlived their time limit: stuck"):
        check_container(tasks)


def test_the_probe_writes_and_reads_the_database(project: Project) -> None:
    """What it leaves behind is one small document, replaced each time."""
    tasks = checked(project)
    before = SystemClock().now()
    assert probe(tasks.ledger) > 0
    document = tasks.ledger.document(PROBE)
    assert document is not None
    assert document["fetched_at"] >= before


def test_a_database_that_gives_something_else_back_fails_the_probe(project: Project) -> None:
    """Writing alone proves nothing."""
    tasks = checked(project)
    with pytest.raises(LedgerError, match="what was written is not what is read"):
        probe(Forgetful(tasks.ledger))  # type: ignore[arg-type] # what the probe asks of a ledger


class Forgetful:
    """A ledger that keeps no document."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.label = ledger.label

    def store_document(self, values: Mapping[str, Any]) -> None:
        """Lose it."""

    def document(self, name: str) -> dict[str, Any] | None:
        return None


def test_a_closed_database_is_a_limit_of_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check goes on and names the rest as well."""
    tasks = checked(project, health_min_free_disk_mb=TOO_MUCH)

    def refuse(values: Mapping[str, Any]) -> None:
        raise LedgerError("sqlite:///x", "the disk is full; make room")

    monkeypatch.setattr(tasks.ledger, "store_document", refuse)
    with pytest.raises(HealthError) as caught:
        check_container(tasks)
    assert caught.value.limits[0] == "database sqlite:///x: the disk is full; make room"
    assert caught.value.limits[1].startswith("disk: ")


@pytest.mark.item("X59")
def test_without_a_container_the_disk_is_checked(project: Project) -> None:
    """The folder of the database counts, or the nearest above it that is there."""
    project.config(database={"url": "sqlite:///./not/yet/there.db"})
    assert check_machine(load_config())["disk"]["folder"] == str(project.root)
    project.config(manager={"health_min_free_disk_mb": TOO_MUCH})
    with pytest.raises(HealthError, match="make room"):
        check_machine(load_config())


def test_a_database_in_memory_has_the_disk_of_the_project(project: Project) -> None:
    """Reports and logs are written there."""
    project.config(database={"url": "sqlite:///:memory:"})
    assert check_machine(load_config())["disk"]["folder"] == str(project.root)
