"""The seven steps of a shutdown, which ends in time whatever is stuck."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.errors import LedgerError
from core.run import Reason
from loggers import get_logger
from manager.engine.recovery import given_back, never_begun
from manager.storage.limits import within
from manager.storage.repeating import settled

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from core.clock import Clock
    from core.ports import Ledger, LedgerTransaction, Timetable
    from core.records import Ending
    from core.run import Run
    from manager.engine.cycle import Cycle
    from manager.engine.execution import Execution
    from manager.engine.reporter import Reporter
    from manager.engine.spooling import Spooling

_log = get_logger("taskrack")
OVERTIME: Final = timedelta(seconds=4)
"""So long after its grace everything is given back; the rest is left to let go of all."""
_UNWIND: Final = timedelta(seconds=2)
_TURN: Final = timedelta(seconds=0.5)
_LEAVE: Final = (timedelta(seconds=1), timedelta(seconds=5))
_JOIN: Final = (timedelta(seconds=0.1), timedelta(seconds=1))
_BRIEF: Final = timedelta(seconds=0.25)
_EXECUTORS: Final = (_BRIEF, timedelta(seconds=2.25))
_GLANCE: Final = timedelta(milliseconds=20)


class Stopping:
    """Ends an engine.

    1. nothing is claimed and no occurrence decided any more; 2. running tasks are told; 3. they
    have the grace, while the node goes on renewing its lease; 4. those left are cancelled, and
    have two seconds to clean up; 5. what still runs is given back; 6. outcomes and releases are
    in the ledger, or in the spool where it does not take them; 7. the executors are let go of.

    Attributes:
        ended: Set when all is over.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it brings to rest
        self,
        ledger: Ledger,
        node_id: str,
        cycle: Cycle,
        execution: Execution,
        timetable: Timetable,
        reporter: Reporter,
        spooling: Spooling,
        turning: threading.RLock,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._node_id = node_id
        self._reporter = reporter
        self._cycle = cycle
        self._execution = execution
        self._timetable = timetable
        self._spooling = spooling
        self._turning = turning
        self._clock = clock
        self._in_haste = False
        self.ended = threading.Event()

    def hurry(self) -> None:
        """Wait no longer for running tasks; safe in a signal handler."""
        self._in_haste = True

    def drain(self, grace: timedelta, wake: Callable[[], None]) -> float:
        """Take the steps up to the cancelling; return the second at which all is to be over."""
        end = self._clock.monotonic() + (grace + OVERTIME).total_seconds()
        if not within(_BRIEF, self._timetable.stop, "taskrack-timers"):
            _log.warning("a timer is stuck; it is left behind")
        if self._turning.acquire(timeout=_TURN.total_seconds()):  # what it starts now is seen
            self._turning.release()
        for live in self._execution.live():
            live.context.ask_to_stop()
        self._wait_until_idle(grace, wake)
        for live in self._execution.live():
            self._execution.ask_to_end(live, Reason.INTERRUPTED)
        self._in_haste = False
        if not self._is_idle():
            self._wait_until_idle(_UNWIND, wake)
        return end

    def leave(self, end: float, *, threaded: bool) -> None:
        """Give back what is left, until the second *end* at the latest, and let go of all.

        What the ledger does not take by then is in the spool, for the next start.
        """
        now = self._clock.now()
        unsaved = self._cycle.collect(now)
        left = [given_back(live) for live in self._execution.left()] + self._cycle.unstarted
        saved: list[bool] = []

        def write() -> None:
            if self._is_written(unsaved, left, now):
                saved.append(True)

        if not threaded:
            write()
        elif not within(self._left(end, *_LEAVE), write, "taskrack-leaving"):
            _log.error("the ledger does not answer in time; the next start reads the spool")
        if saved:
            self._spooling.written()
        else:
            self._spooling.keep(unsaved)
            self._spooling.keep_released(left, now)
        self._spooling.end()
        for run in left:
            _log.warning("%s: run %s was interrupted, now %s", run.task_id, run.id, run.state)
        if not threaded:
            self._execution.stop()
        elif not within(self._left(end, *_EXECUTORS), self._execution.stop, "taskrack-executors"):
            _log.warning("an executor is stuck; its thread is left behind")

    def _is_written(self, unsaved: list[Ending], left: list[Run], now: datetime) -> bool:
        """Write outcomes and releases, and enter the node as stopped; tell whether it was taken."""

        def work(tx: LedgerTransaction) -> tuple[list[Run | None], list[Run | None]]:
            given = tx.release(left, now)
            if self._cycle.doubts.open:
                tx.release([never_begun(run) for run in self._cycle.doubts.unknown(tx)], now)
            return given, tx.end(unsaved)

        try:
            given, held = settled(self._ledger, work)
        except LedgerError as error:
            _log.error("the ledger did not take the shutdown: %s", error)
            return False
        self._reporter.ended(unsaved, held)
        self._reporter.finished(given)
        try:
            self._ledger.leave(self._node_id, now)
        except LedgerError as error:
            _log.error("the ledger did not take that this node has stopped: %s", error)
        return True

    def time_to_join(self, end: float) -> timedelta:
        """Return how long the engine's thread may take to end its turn."""
        return self._left(end - _LEAVE[0].total_seconds(), *_JOIN)

    def _left(self, end: float, least: timedelta, most: timedelta) -> timedelta:
        """Return the time until the second *end*, within bounds."""
        left = timedelta(seconds=end - self._clock.monotonic())
        return min(most, max(least, left))

    def _is_idle(self) -> bool:
        """Whether nothing runs, and what ended is in the ledger or at least on disk."""
        if self._cycle.is_idle:
            return True
        return not self._execution.live() and self._spooling.keeps(self._cycle.unsaved)

    def _wait_until_idle(self, limit: timedelta, wake: Callable[[], None]) -> None:
        end = self._clock.monotonic() + limit.total_seconds()
        never = threading.Event()
        while not (self._is_idle() or self._in_haste) and self._clock.monotonic() < end:
            wake()
            self._clock.wait(never, _GLANCE)
