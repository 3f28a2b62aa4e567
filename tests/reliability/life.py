"""A container's whole life in a second, in one thread, and the one that comes after it.

All that runs go through happens once: fired by a schedule, asked for, completed, retried, timed
out, cancelled, cut off by the shutdown. The engine has no thread of its own, so that the calls
into the system that write the ledger come from one thread, in nearly the same order each time.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.clock import SystemClock
from manager.container import plugins_of
from manager.engine.engine import EngineState
from manager.task.taskmanager import TaskManager
from tests.reliability import workload
from tests.reliability.workload import JOURNAL, QUICK_RETRY, flaky, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from configurations import Xcorecfg
    from core.clock import Clock
    from manager.task.assembly import Assembly

ACCEPTED: Final = "accepted.txt"
"""Ids of the runs that the container has accepted, one a line."""
WHOLE: Final = "whole.txt"
"""A file that is there when a life has come to its own end."""
SECOND: Final = "second.txt"
"""A file that is there in the life after."""
CHECKPOINTS: Final = "TASKRACK_TEST_CHECKPOINTS"
"""The variable that lets SQLite write its log into the file every so many pages."""
BEAT: Final = 0.15
LIMIT: Final = 0.25
PATIENCE: Final = 30.0
_GLANCE: Final = timedelta(milliseconds=5)
PLUGIN: Final = """
from tests.reliability.life import definitions

TASK_DEFINITIONS = definitions()
"""


async def endless(seconds: float) -> list[int]:
    """Wait for what never comes in the first life, and for nothing in the one after it."""
    run = workload.running()
    with JOURNAL.attempt(run):
        if not os.path.exists(SECOND):  # noqa: ASYNC240, PTH110 - a name looked up in no time
            await asyncio.sleep(seconds)
    return [run.attempt, run.token]


def definitions() -> list[dict[str, Any]]:
    """Return one task for each way that a run can go."""
    never = {"trigger": "interval", "trigger_args": {"days": 1}, "kwargs": {"seconds": 0}}
    waits = {**never, "func": endless, "kwargs": {"seconds": 60}}
    once = {"delivery": "at_most_once"}
    tasks: dict[str, dict[str, Any]] = {
        "beat": {**never, "func": plain, "trigger_args": {"seconds": BEAT}},
        "again": {**never, "func": plain},
        "once": {**never, "func": plain, **once},
        "flaky": {**never, "func": flaky, "max_retries": 3, "retry": QUICK_RETRY},
        "slow": {**waits, "timeout": 30 if Path(SECOND).exists() else LIMIT},
        "unwanted": waits,
        "stays": waits,
        "stays-once": {**waits, **once},
    }
    given = {"enabled": True, "max_retries": 0, "timeout": 60, "overlap": "allow"}
    return [
        {"id": name, "name": name, **given, "catch_up": "all", **task}
        for name, task in tasks.items()
    ]


def whole(config: Xcorecfg, assembly: Assembly) -> None:
    """Live from the first start to the end of the shutdown."""
    clock = _Turning()
    alone = replace(assembly, clock=clock, threaded=False)
    tasks = TaskManager(config, plugins=plugins_of, assembly=alone)
    tasks.start()
    _write_through(tasks)
    clock.turn = _turn(tasks)
    for name in ("again", "once", "flaky", "slow", "unwanted"):
        _ask(tasks, name)
    (unwanted,) = tasks.list_runs("unwanted")
    _until(clock, lambda: _called("unwanted"))
    tasks.cancel_run(unwanted.id)
    _until(clock, lambda: not _open(tasks))
    _until(clock, lambda: len(tasks.list_runs("beat")) > 1)
    for name in ("stays", "stays-once"):
        _ask(tasks, name)
    _until(clock, lambda: _called("stays") and _called("stays-once"))
    tasks.shutdown(0)
    Path(WHOLE).touch()


def after(config: Xcorecfg, assembly: Assembly) -> None:
    """Start where another was cut off, run until nothing is left, and shut down."""
    Path(SECOND).touch()
    clock = SystemClock()
    tasks = TaskManager(config, plugins=plugins_of, assembly=assembly)
    tasks.start()
    now = clock.now()
    _until(clock, lambda: any(run.scheduled_for > now for run in tasks.list_runs("beat")))
    tasks.pause_task("beat")
    _until(clock, lambda: not _open(tasks))
    tasks.shutdown()


class _Turning(SystemClock):
    """Takes turns of the engine while somebody waits for it."""

    def __init__(self) -> None:
        self.turn: Callable[[], None] = lambda: None

    def wait(self, wakeup: threading.Event, limit: timedelta) -> bool:
        self.turn()
        return super().wait(wakeup, min(limit, _GLANCE))


def _turn(tasks: TaskManager) -> Callable[[], None]:
    assert tasks._session is not None
    engine = tasks._session.engine

    def turn() -> None:
        if engine.state is not EngineState.STOPPED:
            engine.step()

    return turn


def _write_through(tasks: TaskManager) -> None:
    """Let SQLite write its log into the file as often as the environment asks for."""
    pages = os.environ.get(CHECKPOINTS)
    if pages:
        assert tasks._session is not None
        backend: Any = tasks._session.ledger._database.backend
        driver = backend._writer.connection.driver_connection
        driver.execute(f"PRAGMA wal_autocheckpoint={int(pages)}")


def _ask(tasks: TaskManager, name: str) -> None:
    """Ask for a run, and write down that it was accepted."""
    run = tasks.run_task(name)
    line = os.open(ACCEPTED, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(line, f"{run.id}\n".encode())
    os.close(line)


def _called(name: str) -> bool:
    with suppress(FileNotFoundError), open(workload.FILE, encoding="utf-8") as file:  # noqa: PTH123 - often
        return any(f" {name} " in line for line in file)
    return False


def _open(tasks: TaskManager) -> bool:
    return any(not run.state.is_final for run in tasks.list_runs(limit=1_000))


def _until(clock: Clock, condition: Callable[[], object]) -> None:
    end, never = clock.monotonic() + PATIENCE, threading.Event()
    while not condition():
        if clock.monotonic() > end:
            raise AssertionError("what the life waits for does not come")
        clock.wait(never, _GLANCE)
