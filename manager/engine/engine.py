"""One node's engine: its thread, and the verbs that other threads call."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core.errors import LedgerError, StateError
from core.policy import Delivery
from core.run import Cause, Reason, RunIds, RunState
from loggers import get_logger
from manager.engine.book import Book
from manager.engine.cycle import Cycle
from manager.engine.execution import Execution
from manager.engine.node import this_node
from manager.engine.planner import Planner
from manager.engine.reporter import Reporter
from manager.engine.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from core.clock import Clock
    from core.definition import TaskDefinition
    from core.ports import (
        Executor,
        Ledger,
        Lifecycle,
        PoolFigures,
        StoredTask,
        Timetable,
        TriggerFactory,
    )
    from core.registry import Registry
    from core.run import Run
    from manager.engine.settings import EngineSettings

_log = get_logger("taskrack")
_UNWIND: Final = timedelta(seconds=2)
_GLANCE: Final = timedelta(milliseconds=20)


class EngineState(StrEnum):
    """Whether the engine takes on work."""

    NEW = "new"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


class Engine:
    """Times, starts, ends and recovers the runs of the tasks in *registry*.

    One thread does all of it, a turn at a time: it gathers outcomes and due occurrences, writes
    them in one transaction, and only then calls user code.
    """

    def __init__(  # noqa: PLR0913 - the ports that it stands on
        self,
        ledger: Ledger,
        timetable: Timetable,
        executors: Mapping[str, Executor],
        registry: Registry,
        *,
        build_trigger: TriggerFactory,
        clock: Clock,
        settings: EngineSettings,
        lifecycle: Lifecycle,
        manager: object,
    ) -> None:
        self.node = this_node()
        self.state = EngineState.NEW
        self.trouble: str | None = None
        self._ids = RunIds()
        self._ledger = ledger
        self._timetable = timetable
        self._executors = executors
        self._registry = registry
        self._clock = clock
        self._settings = settings
        self._wakeup = threading.Event()
        self._book = Book(timetable, build_trigger)
        self._planner = Planner(self._book, self._ids, self.node.id, timed=settings.timed)
        self._execution = Execution(executors, clock, settings, manager, self._wakeup.set)
        self._cycle = Cycle(
            ledger=ledger,
            registry=registry,
            executors=executors,
            book=self._book,
            planner=self._planner,
            execution=self._execution,
            reporter=Reporter(lifecycle),
            node_id=self.node.id,
        )
        self._upkeep = Upkeep(
            ledger, self.node, settings, self._cycle, self._execution, self.refresh
        )
        self._last_turn = clock.monotonic()
        self._thread: threading.Thread | None = None
        self._in_haste = False

    def start(self, definitions: Sequence[TaskDefinition]) -> None:
        """Join the ledger, recover what was cut off, bind *definitions*, and begin.

        Raises:
            StateError: it was started before.
            LedgerError: the ledger cannot serve; nothing was started.
        """
        if self.state is not EngineState.NEW:
            raise StateError(f"the engine is {self.state}; only a new one can be started")
        now = self._clock.now()
        self._upkeep.begin(now)
        self.admit(definitions)
        for definition in definitions:
            task = self._book.get(definition.id)
            if task is not None and task.definition.enabled and task.definition.run_on_start:
                self.request(definition.id, Cause.START)
        self._execution.start()
        self._timetable.start(lambda _schedule: self._wakeup.set())
        self.state = EngineState.RUNNING
        self.step()
        self._thread = threading.Thread(target=self._serve, name="taskrack-engine", daemon=True)
        self._thread.start()

    def admit(self, definitions: Sequence[TaskDefinition]) -> None:
        """Bind *definitions* in the ledger, all in one commit, and time them."""
        now = self._clock.now()
        rows = [(each, self._planner.first_run(each, now)) for each in definitions]
        stored = self._ledger.bind(rows, self.node.id, now)
        self._take(definitions, stored, now)

    def refresh(self, stored: Sequence[StoredTask]) -> None:
        """Put into effect what somebody changed about tasks in the ledger."""
        known: dict[str, StoredTask] = {}
        for each in stored:
            if each.removed:
                self._registry.remove(each.id)
                with self._cycle.lock:
                    self._book.remove(each.id)
            elif self._registry.get(each.id) is not None:
                known[each.id] = each
        definitions = [self._registry.require(task_id) for task_id in known]
        self._take(definitions, known, self._clock.now())

    def request(self, task_id: str, cause: Cause) -> Run:
        """Store a run of *task_id* that is due now; it starts as soon as a place is free.

        Raises:
            UnknownTaskError: this node has no function for it.
        """
        now = self._clock.now()
        run = self._planner.new_run(self._registry.require(task_id), now, cause, now)
        self._ledger.transact(lambda tx: tx.insert(run))
        self._cycle.expect(run.lane)
        self._wakeup.set()
        return run

    def hasten(self) -> None:
        """Look at the ledger at once: somebody changed a run."""
        self._upkeep.hasten()
        self._wakeup.set()

    def health(self) -> tuple[timedelta, list[PoolFigures]]:
        """Return how long ago the last turn was, and how full the executors are."""
        silent = timedelta(seconds=self._clock.monotonic() - self._last_turn)
        return silent, [executor.figures() for executor in self._executors.values()]

    def stop(self, grace: timedelta | None = None) -> None:
        """Take on nothing more, wait for what runs, give back what is left, leave the ledger.

        Args:
            grace: How long running tasks may take; the settings' own time where ``None``.
        """
        if self.state is not EngineState.RUNNING:
            return
        self.state = EngineState.DRAINING
        self._timetable.stop()
        for live in self._execution.live():
            live.context.ask_to_stop()
        self._wait_until_idle(self._settings.grace if grace is None else grace)
        for live in self._execution.live():
            self._execution.ask_to_end(live, Reason.INTERRUPTED)
        self._in_haste = False
        self._wait_until_idle(_UNWIND)
        self.state = EngineState.STOPPED
        self._wakeup.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_UNWIND.total_seconds())
        self._leave()

    def hurry(self) -> None:
        """Let a stop that is under way wait no longer for running tasks; safe in a signal."""
        self._in_haste = True

    def step(self) -> None:
        """Do everything that is to be done now.

        Raises:
            LedgerError: the database did not take it; nothing is lost, the next step repeats it.
        """
        now = self._clock.now()
        self._last_turn = self._clock.monotonic()
        self._upkeep.run(now)
        self._cycle.turn(now, accepting=self.state is EngineState.RUNNING)

    def _serve(self) -> None:
        while self.state is not EngineState.STOPPED:
            pause = self._pause()
            if pause > timedelta(0):
                self._clock.wait(self._wakeup, pause)
            self._wakeup.clear()
            try:
                self.step()
            except LedgerError as error:
                self._suffer(str(error))
            except Exception as error:  # noqa: BLE001 - the top of the engine's thread: it never ends
                _log.exception("the engine stumbled and goes on: %s", error)
                self._suffer(str(error))
            else:
                if self.trouble is not None:
                    _log.info("the ledger takes writes again")
                self.trouble = None

    def _suffer(self, trouble: str) -> None:
        if self.trouble is None:
            _log.error("no run starts, outcomes wait: %s", trouble)
        self.trouble = trouble
        self._clock.wait(threading.Event(), self._settings.backoff)

    def _pause(self) -> timedelta:
        """Return how long nothing is to be done, at most one sweep."""
        now, pause = self._clock.now(), self._settings.sweep
        with self._cycle.lock:
            moments = [self._book.earliest(), self._cycle.alarm]
        for moment in moments:
            if moment is not None:
                pause = min(pause, moment - now)
        deadline = self._execution.nearest_deadline()
        if deadline is not None:
            pause = min(pause, timedelta(seconds=deadline - self._clock.monotonic()))
        return pause

    def _take(
        self, definitions: Sequence[TaskDefinition], stored: Mapping[str, StoredTask], now: datetime
    ) -> None:
        """Hold bound tasks, and write what their being bound decides."""
        self._cycle.forget_foreign([each.id for each in definitions])
        firings = []
        with self._cycle.lock:
            for definition in definitions:
                known = stored[definition.id]
                before = self._book.get(definition.id)
                task = self._planner.live(definition, known)
                resumed = before is not None and before.paused and not task.paused
                firing = self._planner.settle(task, known, now, resumed=resumed)
                self._book.put(task)
                if firing is not None:
                    task.cursor = firing.cursor
                    firings.append(firing)
        if firings:
            self._ledger.transact(lambda tx: tx.fire(firings))
        self._wakeup.set()

    def _wait_until_idle(self, limit: timedelta) -> None:
        end = self._clock.monotonic() + limit.total_seconds()
        never = threading.Event()
        while not (self._cycle.is_idle or self._in_haste) and self._clock.monotonic() < end:
            self._wakeup.set()
            self._clock.wait(never, _GLANCE)

    def _leave(self) -> None:
        """Give back what still runs, and enter this node as stopped."""
        now = self._clock.now()
        left = [self._given_back(live.run, live.definition) for live in self._execution.left()]
        try:
            self._ledger.transact(lambda tx: tx.release(left, now))
            self._ledger.leave(self.node.id, now)
        except LedgerError as error:
            _log.error("the ledger did not take the shutdown: %s", error)
        for run in left:
            _log.warning("%s: run %s was interrupted, now %s", run.task_id, run.id, run.state)
        self._execution.stop()

    @staticmethod
    def _given_back(run: Run, definition: TaskDefinition) -> Run:
        once = definition.delivery is Delivery.AT_MOST_ONCE
        return replace(
            run,
            state=RunState.LOST if once else RunState.PENDING,
            reason=Reason.INTERRUPTED,
            interruptions=run.interruptions + 1,
            error="the container was shut down while it ran",
        )
