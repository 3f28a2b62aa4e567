"""An order that is given in one process reaches every other one within a second.

Three containers share one database and fire tasks each half second. A fourth process, which is
none of them, orders a run, a pause, a resume, an edit or a removal through the ledger, at random
moments. The journal tells when each took effect: how soon a run that was asked for began, and
how long after the order the last call began that should not have.
"""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, Final

from configurations import load_config
from core.clock import SystemClock
from manager.schemas.taskManager import TaskUpdate
from manager.task.access import open_control
from tests.reliability import journal, workload
from tests.reliability.checking import Figure, Report, Scale
from tests.reliability.journal import Event
from tests.reliability.nodes import PATIENCE, Nodes
from tests.reliability.rows import SqliteStore, Store
from tests.reliability.warm import Order
from tests.reliability.workload import Kind
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from manager.task.control import Control

CONTAINERS: Final = 3
TASKS: Final = {Scale.SHORT: 12, Scale.LONG: 150}
"""Each is paused, resumed, edited and removed once, and run by hand twice."""
EVERY: Final = 0.5
LIMIT: Final = 1.0
"""Seconds."""
IDLE: Final = {"trigger": "interval", "trigger_args": {"hours": 24}}


def check(scale: Scale, folder: Path) -> Report:
    """Give orders to containers on SQLite."""
    return ordered(SqliteStore(folder / "ledger.db"), folder, TASKS[scale])


def ordered(store: Store, folder: Path, count: int) -> Report:
    """Give orders about *count* tasks to containers on *store*; *folder* is empty but for it."""
    kinds = {"beat": Kind(count=count, every=EVERY, may_drop=True)}
    workload.project(folder, store, kinds, phases=9)
    with Nodes() as nodes:
        running = [nodes.start(Order(folder=str(folder))) for _ in range(CONTAINERS)]
        for container in running:
            container.ready()
        orders = Orders(folder)
        orders.give([f"beat-{number}" for number in range(count)])
        for container in running:
            container.end()
    figures: dict[str, Figure] = {f"processes on {store.name}": CONTAINERS, "orders": orders.given}
    figures |= {f"s until {what} at most": round(most, 2) for what, most in orders.most.items()}
    return Report(figures, orders.failures)


class Orders:
    """Orders given through the ledger, and how long each took to reach everybody.

    Args:
        folder: The project.
    """

    def __init__(self, folder: Path) -> None:
        self.given = 0
        self.most: dict[str, float] = {}
        self.failures: list[str] = []
        self._file = folder / workload.FILE
        self._config = load_config(folder / "config.json")
        self._draw = random.Random(9)  # noqa: S311 - no secret

    def give(self, tasks: list[str]) -> None:
        """Order everything about every task, several tasks at a time."""
        eventually(lambda: {entry.task for entry in self._entries()} >= set(tasks), PATIENCE)
        with open_control(self._config, SystemClock(), "battery") as control:
            for start in range(0, len(tasks), 6):
                some = tasks[start : start + 6]
                self._silenced("a pause", some, lambda task: control.pause(task, paused=True))
                self._begun("a run by hand", some, control)
                self._resumed(some, control)
                self._silenced("an edit", some, lambda task: control.update(task, _idle()))
                self._begun("a run of an edited task", some, control)
                self._silenced("a removal", some, control.remove)

    def _silenced(self, what: str, tasks: list[str], order: Callable[[str], object]) -> None:
        """Give an order after which nothing is due; look when the last call began all the same."""
        given = self._each(tasks, order)
        self._pass(LIMIT + 3 * EVERY)
        for entry in self._entries():
            at = given.get(entry.task)
            if at is not None and entry.event is Event.STARTED and entry.wall > at:
                self._took(what, entry.task, entry.wall - at)
        self.most.setdefault(what, 0.0)

    def _begun(self, what: str, tasks: list[str], control: Control) -> None:
        """Ask for runs; look how soon they began."""
        runs: dict[str, str] = {}

        def order(task: str) -> None:
            runs[task] = control.run_now(task).id

        given = self._each(tasks, order)
        found: dict[str, int] = {}

        def all_began() -> bool:
            found.update({e.run: e.wall for e in self._entries() if e.event is Event.STARTED})
            return all(run in found for run in runs.values())

        eventually(all_began, PATIENCE)
        for task, at in given.items():
            self._took(what, task, found[runs[task]] - at)

    def _resumed(self, tasks: list[str], control: Control) -> None:
        """Let paused tasks go on; look how soon each is called at an instant after that."""
        given = self._each(tasks, lambda task: control.pause(task, paused=False))
        first: dict[str, int] = {}

        def all_went_on() -> bool:
            for entry in self._entries():
                if entry.event is Event.STARTED and entry.wall > given.get(entry.task, entry.wall):
                    first.setdefault(entry.task, entry.wall)
            return set(first) == set(tasks)

        eventually(all_went_on, PATIENCE)
        for task, at in given.items():
            self._took("a resume", task, first[task] - at - round(EVERY * 1_000_000))

    def _each(self, tasks: list[str], order: Callable[[str], object]) -> dict[str, int]:
        """Give an order about each task at a moment of its own; return when each was stored."""
        given = {}
        for task in tasks:
            self._pass(self._draw.uniform(0, 0.1))
            order(task)
            given[task] = journal.wall()
            self.given += 1
        return given

    def _took(self, what: str, task: str, micros: int) -> None:
        seconds = max(0.0, micros / 1_000_000)
        self.most[what] = max(self.most.get(what, 0.0), seconds)
        if seconds > LIMIT:
            self.failures.append(f"{task}: {what} took {seconds:.2f} s to reach every process")

    def _entries(self) -> list[journal.Entry]:
        return journal.read(self._file)[0]

    @staticmethod
    def _pass(seconds: float) -> None:
        threading.Event().wait(seconds)


def _idle() -> TaskUpdate:
    return TaskUpdate.model_validate(IDLE)
