"""A container whose database fails: nothing is lost, and it goes on by itself."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import stat
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.clock import SystemClock
from core.errors import LedgerBrokenError, LedgerError, LedgerUnavailableError
from core.run import Cause, Reason, RunState
from manager.storage import spool, sqlite
from manager.storage.spool import read_spool
from tests.engine_tools import served
from tests.tools import eventually, finals, goes_on, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from manager.task.taskmanager import TaskManager
    from tests.tools import Project

CLOCK = SystemClock()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for locks a fifth of a second only."""
    monkeypatch.setattr(sqlite, "_BUSY_MS", 200)


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """Hold the ledger locked, as another program may."""
    holder = sqlite3.connect(project.root / "ledger.db", isolation_level=None)
    eventually(lambda: began(holder))
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def began(holder: sqlite3.Connection) -> bool:
    try:
        holder.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True


def spools(project: Project) -> list[Path]:
    """Return the spools beside the ledger."""
    return sorted(project.root.glob("ledger.db.*.spool"))


class Gate:
    """A task that ends when it may, and counts its calls."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.may_end.wait(30)
        return "done"


def busy(tasks: TaskManager, gate: Gate, task_id: str = "slow", **options: object) -> str:
    """Start a run of *gate* and return its id once it runs."""
    tasks.add_task(gate.__call__, "interval", task_id, hours=1, **options)
    run = tasks.run_task(task_id)
    eventually(lambda: gate.calls == 1)
    return run.id


def test_an_outcome_waits_on_disk_while_the_ledger_is_locked(project: Project) -> None:
    """Health says degraded, why, and how many; unlocked, the run is completed by itself."""
    tasks, gate = project.start(), Gate()
    run_id = busy(tasks, gate)
    (path,) = spools(project)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_blocks * 512 >= spool.RESERVE
    with locked(project):
        gate.may_end.set()
        health = eventually(lambda: [each for each in [tasks.health()] if each.spooled == 1])[0]
        assert (health.state, health.database) == ("degraded", "failing")
        assert "another process holds it locked" in str(health.trouble)
        (owner, record) = read_spool(path).records
        assert (owner["kind"], record["run"]["id"]) == ("node", run_id)
        assert [run.state for run in tasks.list_runs("slow")] == [RunState.RUNNING]

    (run,) = finals(tasks, "slow")
    assert (run.state, run.result, run.attempt) == (RunState.COMPLETED, "done", 1)
    health = eventually(lambda: [each for each in [tasks.health()] if each.state == "ok"])[0]
    assert (health.spooled, health.database, health.trouble) == (0, "ok", None)
    eventually(lambda: len(read_spool(path).records) == 1)
    tasks.shutdown()
    assert spools(project) == []
    assert gate.calls == 1


def test_verbs_fail_at_once_while_the_ledger_is_locked_and_reading_works(
    project: Project,
) -> None:
    """Each says what is wrong and what to do, within a second; nothing of it was done."""
    tasks = project.start()
    tasks.add_task(Gate().__call__, "interval", "a", hours=1)
    with locked(project):
        eventually(lambda: tasks.health().database == "failing")
        begun = CLOCK.monotonic()
        for verb in (
            lambda: tasks.run_task("a"),
            lambda: tasks.pause_task("a"),
            lambda: tasks.update_task("a", timeout=5),
            lambda: tasks.remove_task("a"),
        ):
            with pytest.raises(LedgerUnavailableError, match="stop that process, or wait"):
                verb()
        assert CLOCK.monotonic() - begun < 2
        assert [task.id for task in tasks.list_tasks()] == ["a"]
    eventually(lambda: served(lambda: tasks.run_task("a")))
    assert not task_of(tasks, "a").paused
    assert task_of(tasks, "a").timeout == 300


def test_no_occurrence_is_decided_while_the_ledger_is_locked(project: Project) -> None:
    """They are made from the cursor afterwards, late ones as catch-up says; the engine lives."""
    tasks = project.start()
    tasks.add_task(threading.active_count, "interval", "often", seconds=0.25)
    every = {"catch_up": "all", "overlap": "queue"}
    tasks.add_task(threading.active_count, "interval", "all", seconds=0.25, **every)
    tasks.add_task(threading.active_count, "interval", "none", seconds=0.25, catch_up="none")
    goes_on(tasks, "often")
    with locked(project):
        eventually(lambda: tasks.health().database == "failing")
        before = CLOCK.now()
        eventually(lambda: CLOCK.now() - before > timedelta(seconds=3))
        after = CLOCK.now()
        assert tasks.health().lag < 3
    for name in ("often", "all", "none"):
        goes_on(tasks, name, 3)

    def within(name: str, *, ran: bool) -> list[Cause]:
        unwanted = {RunState.SKIPPED, RunState.MISSED}
        return [
            run.cause
            for run in tasks.list_runs(name)
            if before < run.scheduled_for < after and (run.state not in unwanted) is ran
        ]

    assert len(within("all", ran=True)) >= 10
    assert within("all", ran=False) == []
    assert len(within("often", ran=True)) <= 1
    missed = [run for run in tasks.list_runs("none") if run.state is RunState.MISSED]
    assert sum(run.occurrences for run in missed) >= 3
    assert {run.reason for run in missed} == {Reason.LATE}


def test_a_shutdown_with_a_locked_ledger_ends_in_time_and_loses_nothing(project: Project) -> None:
    """What ended and what was cut off is in the spool, and the next start makes it so."""
    tasks, ended, stuck = project.start(), Gate(), Gate()
    first, second = busy(tasks, ended), busy(tasks, stuck, "stuck")
    with locked(project):
        ended.may_end.set()
        begun = CLOCK.monotonic()
        tasks.shutdown(0.5)
        assert CLOCK.monotonic() - begun < 5.5
    (path,) = spools(project)
    assert [record["kind"] for record in read_spool(path).records] == [
        *("node", "end", "release", "closed"),
    ]

    again = project.engine()
    again.start()

    found = {run.id: run for run in again.list_runs()}
    assert (found[first].state, found[first].result) == (RunState.COMPLETED, "done")
    assert (found[second].state, found[second].reason) == (RunState.PENDING, Reason.INTERRUPTED)
    assert path not in spools(project)
    assert found[second].crashes == 0
    stuck.may_end.set()


def test_a_shutdown_returns_in_time_with_every_call_to_the_ledger_stuck(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that never answers holds a thread, and not whoever shuts down."""
    tasks, gate = project.start(), Gate()
    busy(tasks, gate)
    free, stuck = threading.Event(), threading.Event()
    commit = sqlite._commit

    def hangs(driver: sqlite3.Connection) -> None:
        stuck.set()
        free.wait(60)
        commit(driver)

    monkeypatch.setattr(sqlite, "_commit", hangs)
    gate.may_end.set()
    stuck.wait(10)
    begun = CLOCK.monotonic()
    tasks.shutdown(0)
    assert CLOCK.monotonic() - begun < 5
    free.set()


def test_two_threads_that_shut_down_wait_for_one_end(project: Project) -> None:
    """The second closes nothing under the first, and a shorter grace counts."""
    tasks, gate = project.start(), Gate()
    run_id = busy(tasks, gate)
    first = threading.Thread(target=tasks.shutdown, args=(60,))
    first.start()
    eventually(lambda: tasks.health().state == "draining")
    begun = CLOCK.monotonic()
    tasks.shutdown(0.2)
    assert CLOCK.monotonic() - begun < 5
    first.join(5)
    assert not first.is_alive()
    gate.may_end.set()
    seen = project.engine()
    seen.start()
    (run,) = seen.list_runs("slow")
    assert (run.id, run.state, run.reason) == (run_id, RunState.PENDING, Reason.INTERRUPTED)


def test_a_full_spool_leaves_outcomes_in_memory_and_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is dropped: it is written once the ledger takes it."""
    monkeypatch.setattr(spool, "LIMIT", 600)
    tasks, gate = project.start(), Gate()
    busy(tasks, gate)
    with locked(project):
        gate.may_end.set()
        trouble = eventually(
            lambda: [
                each
                for each in [tasks._session and tasks._session.engine._spooling.trouble]
                if each
            ]
        )[0]
        assert "outcomes are in memory alone: " in str(trouble)
        assert tasks.health().spooled == 0
    assert [run.state for run in finals(tasks, "slow")] == [RunState.COMPLETED]
    eventually(lambda: tasks.health().state == "ok")


def test_a_spool_that_cannot_be_made_is_told_and_no_reason_not_to_start(project: Project) -> None:
    """The folder of ``manager.spool_directory`` is not there."""
    project.config(manager={"spool_directory": "nowhere"})
    tasks = project.engine()
    tasks.start()
    health = tasks.health()
    assert health.state == "degraded"
    assert "no outcome can be kept on disk: " in str(health.trouble)
    assert "nowhere" in str(health.trouble)
    tasks.add_task(threading.active_count, "interval", "a", seconds=0.1)
    goes_on(tasks, "a")


def throw_into(name: str, error: type[BaseException]) -> bool:
    """Throw *error* into the thread of that name, as nothing of ours ever would."""
    ids = [each.ident or 0 for each in threading.enumerate() if each.name == name]
    return bool(
        ids
        and ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(ids[0]), ctypes.py_object(error)
        )
    )


@pytest.fixture
def untraced() -> Iterator[None]:
    """No trace functions: with one, CPython 3.11 spins while an exception waits to be thrown."""
    before = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    yield
    threading.settrace(before[1])
    sys.settrace(before[0])


@pytest.mark.usefixtures("untraced")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [SystemExit, MemoryError, KeyboardInterrupt])
def test_no_exception_thrown_into_the_engine_ends_it(
    project: Project, error: type[BaseException]
) -> None:
    """Thrown a hundred times wherever the thread is; each run is completed once."""
    tasks = project.start()
    tasks.add_task(threading.active_count, "interval", "often", seconds=0.1, catch_up="all")
    goes_on(tasks, "often")
    for _ in range(100):
        throw_into("taskrack-engine", error)
        threading.Event().wait(0.005)
    goes_on(tasks, "often", 20)
    eventually(lambda: tasks.health().state == "ok")
    states = {run.state for run in tasks.list_runs("often", limit=10_000)}
    assert states <= {RunState.COMPLETED, RunState.SKIPPED, RunState.RUNNING, RunState.PENDING}
    eventually(lambda: not tasks.list_runs("often", state=RunState.RUNNING))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_whose_thread_ended_gets_another(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second or so; the one that watches is replaced as well."""
    tasks = project.start()
    tasks.add_task(threading.active_count, "interval", "often", seconds=0.05)
    goes_on(tasks, "often")
    assert tasks._session is not None
    serving = tasks._session.engine._serving

    def ends(*_: object) -> None:
        raise SystemExit

    for name in ("taskrack-engine", "taskrack-warden"):
        (before,) = [each for each in threading.enumerate() if each.name == name]
        if name == "taskrack-engine":
            with monkeypatch.context() as patch:
                patch.setattr(serving, "_stumble", ends)
                patch.setattr(serving, "_turn", ends)
                before.join(5)
        else:
            serving._ended.set()
            before.join(5)
            serving._ended.clear()
        assert not before.is_alive()
        eventually(lambda name=name: name in {each.name for each in threading.enumerate()})  # type: ignore[misc]
        goes_on(tasks, "often")
    assert serving.restarts == 1


def test_a_turn_that_hangs_is_seen_in_health_and_told_with_its_place(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the stack of the engine's thread, once."""
    monkeypatch.setattr("manager.engine.serving._STUCK", 0.3)
    tasks = project.start()
    free = threading.Event()
    assert tasks._session is not None
    monkeypatch.setattr(tasks._session.engine._upkeep, "run", lambda *_: free.wait(60))
    told = eventually(lambda: [each for each in caplog.records if "has not ended" in each.message])
    eventually(lambda: tasks.health().lag > 1)
    free.set()
    assert len(told) == 1
    assert "free.wait(60)" in told[0].message


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "log deleted"])
def test_a_ledger_that_is_taken_away_is_not_written_elsewhere(project: Project, how: str) -> None:
    """Neither reads nor writes go to another file; put back, the container goes on."""
    tasks, gate = project.start(), Gate()
    run_id = busy(tasks, gate)
    path, aside = project.root / "ledger.db", project.root / "aside.db"
    taken = path.with_name("ledger.db-wal") if how == "log deleted" else path
    os.link(taken, aside)
    taken.unlink()
    if how == "replaced":
        shutil.copyfile(aside, path)
        other = path.read_bytes()
    gate.may_end.set()

    eventually(lambda: tasks.health().spooled == 1)
    health = tasks.health()
    assert (health.state, health.database) == ("degraded", "failing")
    words = "was replaced by another file" if how == "replaced" else "was deleted or moved"
    assert words in str(health.trouble)
    with pytest.raises(LedgerBrokenError, match=words):
        tasks.run_task("slow")
    with pytest.raises(LedgerError, match=words):
        tasks.list_tasks()
    if how == "replaced":
        assert path.read_bytes() == other
        path.unlink()
    else:
        assert not taken.exists()
    aside.rename(taken)

    eventually(lambda: tasks.health().state == "ok")
    (run,) = finals(tasks, "slow")
    assert (run.id, run.state) == (run_id, RunState.COMPLETED)
