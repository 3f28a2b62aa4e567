"""One turn of the engine: gather, commit at once, then start what may start."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from core.records import Claim, Ending
from core.run import RunState
from manager.engine.alarms import Alarms
from manager.engine.doubts import Doubts
from manager.engine.recovery import removed, unstarted
from manager.engine.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from core.crashing import Buried
    from core.ports import Executor, Ledger, LedgerTransaction
    from core.records import Firing
    from core.registry import Registry
    from core.run import Run
    from manager.engine.book import Book, LiveTask
    from manager.engine.execution import Execution
    from manager.engine.planner import Planner
    from manager.engine.reporter import Reporter
    from manager.engine.tenure import Tenure

_SOON: Final = timedelta(milliseconds=50)


class Cycle:
    """Takes turns for one node; called by one thread, told things by any."""

    def __init__(  # noqa: PLR0913 - the parts that a turn moves
        self,
        *,
        ledger: Ledger,
        registry: Registry,
        executors: Mapping[str, Executor],
        book: Book,
        planner: Planner,
        execution: Execution,
        reporter: Reporter,
        tenure: Tenure,
        node_id: str,
    ) -> None:
        self.lock = threading.RLock()
        self._ledger = ledger
        self._registry = registry
        self._executors = executors
        self._book = book
        self._planner = planner
        self._execution = execution
        self._reporter = reporter
        self._tenure = tenure
        self._node_id = node_id
        self._unsaved: list[Ending] = []
        self._unstarted: list[Run] = []
        self._backlog: set[str] = set(executors)
        self._blocked: set[str] = set()
        self._foreign: set[str] = set()
        self._beaten: set[str] = set()
        self._alarms = Alarms()
        self.doubts = Doubts(execution, self._names_unsaved, node_id)

    @property
    def unsaved(self) -> list[Ending]:
        """What ended and is not in the ledger yet."""
        return list(self._unsaved)

    @property
    def unstarted(self) -> list[Run]:
        """What was claimed and not called in time, to be given back."""
        return list(self._unstarted)

    def _names_unsaved(self) -> set[tuple[str, int]]:
        ended = {(each.run.id, each.token) for each in self._unsaved}
        return ended | {(run.id, run.token) for run in self._unstarted}

    @property
    def alarm(self) -> datetime | None:
        """When the next waiting run may start, as far as is known."""
        return self._alarms.earliest

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing is left to be written."""
        return not (self._unsaved or self._unstarted or self._execution.live())

    def expect(self, lane: str, when: datetime | None = None) -> None:
        """Take note that a run of *lane* waits, from *when* on or now."""
        with self.lock:
            if when is None:
                self._backlog.add(lane)
            else:
                self._alarms.add(when)

    def inherit(self, buried: Buried) -> None:
        """Take note of what dead nodes left, and say what it cost their tasks."""
        self._reporter.inherited(buried)
        for run in buried.runs:
            self.expect(run.lane)

    def collect(self, now: datetime) -> list[Ending]:
        """Gather what ended or timed out, and return all that is not written yet."""
        self._unsaved += self._execution.endings(now)
        return list(self._unsaved)

    def turn(self, now: datetime, *, accepting: bool) -> None:
        """Do everything that is to be done at *now*.

        Raises:
            LedgerError: the database did not take it; what ended is kept for the next turn, and
                what is due stays due.
        """
        if self._beaten:
            self._reload()
        endings = self.collect(now)
        with self.lock:
            turn = self._gather(now, endings, accepting=accepting and self._tenure.holds)
        if turn.is_empty:
            return
        try:
            self._ledger.transact(lambda tx: self._write(turn, tx))
        except BaseException as error:
            self.doubts.raised(error)
            with self.lock:
                self._backlog |= turn.lanes
                self._put_back(turn.due)
            raise
        given = len(turn.unstarted)
        self._unsaved, self._unstarted[:given], later = turn.parted()
        self.doubts.open &= turn.buried or not turn.doubtful
        with self.lock:
            self._settle(turn)
            self._put_back(later)
        starting = {run.task_id for run in turn.fired if not run.state.is_final}
        for firing in turn.firings:
            if firing.replace and firing.task_id in starting:
                self._execution.make_room(firing.task_id)
        if turn.begun:
            self._call(turn.begun)
        self._reporter.ended(turn.endings, turn.held)
        self._reporter.tell(turn.news)
        self._reporter.dropped(turn.fired)
        if self._beaten:
            self._reload()

    def _call(self, begun: list[Run]) -> None:
        """Begin each of them, whatever a plugin does meanwhile."""
        with ExitStack() as calls:
            for run in reversed(begun):
                calls.callback(self._begin, run)

    def _gather(self, now: datetime, endings: list[Ending], *, accepting: bool) -> Turn:
        if self._alarms.ring(now):
            self._backlog |= set(self._executors)
        if not accepting:
            return Turn(now, endings, [], [], {}, set(), list(self._unstarted))
        if endings:  # what waited for an earlier run of its task may start
            self._backlog |= self._blocked
            self._blocked = set()
        slots = {lane: executor.free() for lane, executor in self._executors.items()}
        due = self._book.due(now)
        firings = self._plan(due, now, slots) if due else []
        self._backlog.update(
            run.lane for firing in firings for run in firing.runs if run.state is RunState.PENDING
        )
        lanes = {lane for lane in self._backlog if slots.get(lane, 0) > 0}
        self._backlog -= lanes
        if self._foreign:
            self._foreign = {each for each in self._foreign if self._book.get(each) is None}
        given, doubtful = list(self._unstarted), self.doubts.open
        return Turn(now, endings, due, firings, slots, lanes, given, doubtful=doubtful)

    def _plan(self, due: list[LiveTask], now: datetime, slots: dict[str, int]) -> list[Firing]:
        """Return what becomes of *due*; where others wait for a place, they go first."""
        direct = {lane: 0 if lane in self._backlog else free for lane, free in slots.items()}
        try:
            return self._planner.plan(due, now, direct, self._execution.leaked())
        except BaseException:
            self._put_back(due)
            raise

    def _write(self, turn: Turn, tx: LedgerTransaction) -> None:
        """Write one turn; may be called again, so it only sets what it computes anew."""
        endings, given, firings = turn.part(tx.seize(turn.concerned))
        turn.held = tx.end(endings) if endings else []
        turn.news = tx.news  # and what is added to it below
        if given:
            tx.release(given, turn.now)
        turn.buried = turn.starts and not tx.is_alive(self._node_id)
        if turn.buried:
            return
        turn.found = self.doubts.unknown(tx) if turn.doubtful else []
        fired = tx.fire(firings) if firings else None
        turn.fired = fired.runs if fired is not None else ()
        turn.beaten = fired.beaten if fired is not None else frozenset()
        turn.claimed, turn.drained, turn.blocked, turn.contended = [], set(), set(), set()
        for lane in sorted(turn.lanes):
            wanted = turn.slots[lane] - turn.begun_in(lane)
            claimed = tx.claim(self._wish(lane, wanted, turn)) if wanted > 0 else []
            turn.claimed += claimed
            if len(claimed) < wanted:
                turn.drained.add(lane)

    def _wish(self, lane: str, limit: int, turn: Turn) -> Claim:
        return Claim(
            lane=lane,
            limit=limit,
            node=self._node_id,
            now=turn.now,
            foreign=self._foreign,
            limit_of=self._limit_of,
            contended=partial(turn.contended.add, lane),
            crowded=partial(turn.blocked.add, lane),
            budget=self._execution.retry_budget,
        )

    def _limit_of(self, task_id: str) -> int | None:
        """Return how many runs of a task this node may start; none of what it cannot run."""
        task = self._book.get(task_id)
        if task is None:
            self._foreign.add(task_id)
            return 0
        limit = task.definition.overlap.limit
        return None if limit is None else limit - self._execution.leaked()[task_id]

    def _put_back(self, due: list[LiveTask]) -> None:
        for task in due:
            self._book.retime(task)

    def _settle(self, turn: Turn) -> None:
        for run in turn.held:
            if run is not None and not run.state.is_final:
                self.expect(run.lane, run.not_before)
        self._alarms.add(*(instant for each in turn.news for instant in each.instants))
        if turn.buried:
            self._tenure.lapse()
            self._backlog |= turn.lanes
            self._put_back(turn.due)
            return
        self._backlog |= turn.lanes - turn.drained
        self._blocked |= turn.blocked & turn.drained
        for lane in turn.contended:
            self.expect(lane, turn.now + _SOON)
        self._beaten |= turn.beaten
        for firing in turn.firings:
            task = self._book.get(firing.task_id)
            if firing.task_id in turn.beaten:
                continue
            if task is not None and task.cursor == firing.since:
                task.cursor, task.next_run = firing.cursor, firing.next_run
                if firing.left is not None:
                    task.fired += sum(
                        run.task_id == task.id and not run.state.is_final for run in turn.fired
                    )
                    task.next_run = task.next_run if task.left else None
                self._book.retime(task)

    def recall(self, task_ids: Collection[str]) -> None:
        """Take note that somebody else decided these tasks: go on from what the ledger says."""
        with self.lock:
            self._beaten |= set(task_ids)

    def _reload(self) -> None:
        beaten = frozenset(self._beaten)
        known = self._ledger.stored(sorted(beaten))
        with self.lock:
            self._beaten -= beaten
            for stored in known.values():
                definition = self._registry.get(stored.id)
                before = self._book.get(stored.id)
                if definition is None or before is None or before.revision > stored.revision:
                    continue
                if not stored.removed:
                    self._book.put(self._planner.live(definition, stored))

    def _begin(self, run: Run) -> None:
        task = self._book.get(run.task_id)
        if task is None:  # removed since the claim
            self._unsaved.append(removed(run))
            return
        if not self._tenure.holds:  # it was stopped since the commit: others may have the run
            self._unstarted.append(unstarted(run))
            self.expect(run.lane)
            return
        try:
            self._reporter.started(run)
        finally:
            self._execution.begin(run, task.definition)
