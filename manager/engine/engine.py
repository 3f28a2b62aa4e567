"""One node's engine: its thread, and the verbs that other threads call."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from core.errors import LedgerError, StateError
from core.run import Cause, RunIds
from manager.engine.binding import Binding
from manager.engine.book import Book
from manager.engine.cycle import Cycle
from manager.engine.execution import Execution
from manager.engine.node import this_node
from manager.engine.planner import Planner
from manager.engine.reporter import Reporter
from manager.engine.serving import Serving
from manager.engine.spooling import Spooling
from manager.engine.steps import ClockSteps
from manager.engine.stopping import OVERTIME, Stopping
from manager.engine.tenure import Tenure
from manager.engine.upkeep import Upkeep
from manager.storage.repeating import settled

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from core.clock import Clock
    from core.definition import TaskDefinition
    from core.ports import Executor, Ledger, Lifecycle, Timetable, TriggerFactory
    from core.records import Node, PoolFigures, StoredTask
    from core.registry import Registry
    from core.run import Run
    from manager.engine.settings import EngineSettings
    from manager.storage.spool import SpoolPlace


class EngineState(StrEnum):
    """Whether the engine takes on work."""

    NEW = "new"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


class Engine:
    """Times, starts, ends and recovers the runs of the tasks in *registry*.

    One thread does all of it, a turn at a time: it gathers outcomes and due occurrences, writes
    them in one transaction, and only then calls user code. Without a thread of its own, the
    caller takes the turns: ``step``, then not before ``rest`` has passed.
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
        node: Node | None = None,
        spool: SpoolPlace | None = None,
        draw: random.Random | None = None,
        threaded: bool = True,
    ) -> None:
        self.node = this_node(timed=settings.timed) if node is None else node
        self.state = EngineState.NEW
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
        self._reporter = Reporter(lifecycle)
        self._execution = Execution(executors, clock, settings, manager, self._wakeup.set, draw)
        self._tenure = Tenure(ledger, self.node, settings, clock, self._book, self._execution)
        self._cycle = Cycle(
            ledger=ledger,
            registry=registry,
            executors=executors,
            book=self._book,
            planner=self._planner,
            execution=self._execution,
            reporter=self._reporter,
            tenure=self._tenure,
            node_id=self.node.id,
        )
        parts = (self._book, self._planner, self._cycle, self._reporter)
        self._binding = Binding(ledger, registry, *parts, clock, self.node.id)
        self._turning, self._last_turn = threading.RLock(), clock.monotonic()
        self._threaded, self._turn_of_state = threaded, threading.Lock()
        self._complete(spool)

    def _complete(self, spool: SpoolPlace | None) -> None:
        """Make what stands on the other parts."""
        ledger, clock, settings = self._ledger, self._clock, self._settings
        self._spooling = Spooling(ledger, self.node, spool, self._reporter)
        work, refresh = (self._cycle, self._execution), self._binding.refresh
        self._upkeep = Upkeep(ledger, settings, *work, self._tenure, refresh, self._spooling)
        self._steps = ClockSteps(ledger, self._book, self._cycle, self._upkeep, self.node)
        told = (self._reporter, self._spooling)
        self._stopping = Stopping(
            ledger, self.node.id, *work, self._timetable, *told, self._turning, clock
        )
        self._serving = Serving(
            self.step, self.rest, self._goes_on, self._doubt, self._wakeup, clock, settings
        )

    @property
    def trouble(self) -> str | None:
        """What is wrong with the engine itself or with its ledger, in one line."""
        return self._serving.trouble or self._spooling.trouble

    @property
    def spooled(self) -> int:
        """How many outcomes are on disk because the ledger does not take them."""
        return self._spooling.count

    def start(
        self, definitions: Sequence[TaskDefinition], ready: Callable[[], None] | None = None
    ) -> None:
        """Join the ledger, recover what was cut off, bind *definitions*, and begin.

        Args:
            definitions: The tasks to time.
            ready: Called when they are bound (of thousands, those due first) and nothing runs.

        Raises:
            StateError: it was started before.
            LedgerError: the ledger cannot serve; nothing was started.
        """
        if self.state is not EngineState.NEW:
            raise StateError(f"the engine is {self.state}; only a new one can be started")
        now = self._clock.now()
        self._upkeep.begin(now, self._clock.monotonic())
        first, others = self._binding.apart(definitions)
        self._bring(first)
        if ready is not None:
            ready()
        self._execution.start()
        self.state = EngineState.RUNNING
        if others:
            with suppress(LedgerError):  # the next turn repeats it
                self.step()  # what is due need not wait
            self._bring(others)
        if self._threaded:
            self._serving.start()
        if self.state is EngineState.RUNNING:  # nobody stopped it meanwhile
            self._timetable.start(lambda _schedule: self._wakeup.set())  # thousands take their time

    def _bring(self, definitions: Sequence[TaskDefinition]) -> None:
        """Bind tasks at the start, and request those that run with it."""
        self.admit(definitions)
        if self._settings.timed:
            for task_id in self._book.starting(definitions):
                self.request(task_id, Cause.START)

    def admit(self, definitions: Sequence[TaskDefinition]) -> None:
        """Bind *definitions* in the ledger, all in one commit, and time them."""
        self._binding.admit(definitions)
        self._wakeup.set()

    def refresh(self, stored: Sequence[StoredTask]) -> None:
        """Put into effect what somebody changed about tasks in the ledger."""
        self._binding.refresh(stored)
        self._wakeup.set()

    def request(self, task_id: str, cause: Cause) -> Run:
        """Store a run of *task_id* that is due now; it starts as soon as a place is free.

        Raises:
            UnknownTaskError: this node has no function for it.
        """
        now = self._clock.now()
        task = self._book.get(task_id)
        definition = self._registry.require(task_id) if task is None else task.definition
        run = self._planner.new_run(definition, now, cause, now)
        settled(self._ledger, lambda tx: tx.insert(run))
        self._cycle.expect(run.lane)
        self._wakeup.set()
        return run

    def hasten(self) -> None:
        """Look at the ledger at once: somebody changed a run."""
        self._upkeep.hasten()
        self._wakeup.set()

    def look(self) -> None:
        """Look at the ledger at once for whatever others did, and for those that died."""
        self._upkeep.look()
        self._wakeup.set()

    def health(self) -> tuple[timedelta, list[PoolFigures]]:
        """Return how long ago the last turn was, and how full the executors are."""
        silent = timedelta(seconds=self._clock.monotonic() - self._last_turn)
        return silent, [executor.figures() for executor in self._executors.values()]

    def stop(self, grace: timedelta | None = None) -> None:
        """Take on nothing more, wait for what runs, give back what is left, leave the ledger.

        It ends within the grace and five seconds, whatever is stuck. Called again meanwhile, it
        waits for that end; a shorter grace then counts.

        Args:
            grace: How long running tasks may take; the settings' own time where ``None``.
        """
        grace = self._settings.grace if grace is None else grace
        with self._turn_of_state:
            first = self.state is EngineState.RUNNING
            if first:
                self.state = EngineState.DRAINING
        if not first:
            if self.state is EngineState.DRAINING:
                self._stopping.ended.wait(grace.total_seconds())
                self.hurry()
                self._stopping.ended.wait(OVERTIME.total_seconds())
            return
        end = self._stopping.drain(grace, self._wakeup.set)
        self.state = EngineState.STOPPED
        self._serving.end(self._stopping.time_to_join(end))
        self._stopping.leave(end, threaded=self._threaded)
        self._stopping.ended.set()

    def hurry(self) -> None:
        """Let a stop that is under way wait no longer for running tasks; safe in a signal."""
        self._stopping.hurry()

    def step(self) -> None:
        """Do everything that is to be done now.

        Raises:
            LedgerError: the database did not take it; nothing is lost, the next step repeats it.
        """
        self._wakeup.clear()
        with self._turning:
            now, self._last_turn = self._clock.now(), self._clock.monotonic()
            self._cycle.collect(now)  # before anything that the ledger may refuse
            try:
                self._steps.look(now, self._last_turn)
                self._upkeep.run(now, self._last_turn)
                self._cycle.turn(now, accepting=self.state is EngineState.RUNNING)
            except BaseException:
                self._spooling.keep(self._cycle.unsaved)
                raise
            if not self._cycle.unsaved:
                self._spooling.written()

    def rest(self) -> timedelta | None:
        """Return how long nothing is to be done as far as is known here; ``None`` if for ever.

        What others write to the ledger is found by the sweep, which is not counted.
        """
        if self._wakeup.is_set() or self._cycle.doubts.open:
            return timedelta(0)
        rest: timedelta | None = None
        if self.state is EngineState.RUNNING:  # else what is due stays due
            with self._cycle.lock:
                due, alarm = self._book.earliest(), self._cycle.alarm
            first = alarm if due is None or (alarm is not None and alarm < due) else due
            rest = None if first is None else first - self._clock.now()
        deadline = self._execution.nearest_deadline()
        if deadline is not None:
            left = timedelta(seconds=deadline - self._clock.monotonic())
            rest = left if rest is None else min(rest, left)
        return rest

    def _goes_on(self) -> bool:
        return self.state is not EngineState.STOPPED

    def _doubt(self) -> None:
        """Take note that a turn was cut off: what it started may not have been begun."""
        self._cycle.doubts.open = True
