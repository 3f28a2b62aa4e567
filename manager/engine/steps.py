"""What becomes of timers when somebody sets the clock of the machine."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.policy import PUNCTUAL
from core.records import Shift
from loggers import get_logger

if TYPE_CHECKING:
    from datetime import datetime

    from core.ports import Ledger
    from core.records import Node
    from manager.engine.book import Book, LiveTask
    from manager.engine.cycle import Cycle
    from manager.engine.upkeep import Upkeep

_log = get_logger("taskrack")


class ClockSteps:
    """Notices that the wall clock was set, by the monotonic one, which nobody can set.

    A step back would stall an interval until the wall clock has caught up. So the anchors and
    cursors of intervals move back with it, and with them what waits for a retry. Local times
    that come a second time start nothing: cron and date tasks keep their cursors. After a step
    ahead, or a sleep of the machine, catch-up decides; nothing is moved.
    """

    def __init__(
        self, ledger: Ledger, book: Book, cycle: Cycle, upkeep: Upkeep, node: Node
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._cycle = cycle
        self._upkeep = upkeep
        self._node = node
        self._latest: tuple[datetime, float] | None = None

    def look(self, now: datetime, second: float) -> None:
        """Compare the clocks, and put into effect what a step asks for.

        Args:
            now: The wall clock's time.
            second: The monotonic clock's.

        Raises:
            LedgerError: the database did not take it; the next look repeats it.
        """
        if self._latest is None:
            self._latest = now, second
            return
        wall, monotonic = self._latest
        step = now - wall - timedelta(seconds=round(second - monotonic, 6))
        if step < -PUNCTUAL:
            self._back(step, now)
        elif now < wall:
            return  # a small step: it is measured from before, in case others follow
        if abs(step) > PUNCTUAL:
            self._upkeep.doubt(second)
        self._latest = now, second

    def _back(self, step: timedelta, now: datetime) -> None:
        text = "the clock was set back by %.3f s: intervals keep their pace, and move with it"
        _log.warning(text, -step.total_seconds())
        with self._cycle.lock:
            known = self._book.all() if self._node.timed else []
            tasks = [each for each in known if _counts_from_anchor(each)]
        shifts = [
            Shift(each.id, each.anchor, timedelta(**each.definition.trigger_args), step)
            for each in tasks
        ]
        self._ledger.transact(lambda tx: tx.shift(shifts, self._node.id, step, now))
        self._cycle.recall([each.id for each in tasks])


def _counts_from_anchor(task: LiveTask) -> bool:
    """Tell whether a task is an interval that no start ties to the wall clock."""
    return task.definition.trigger == "interval" and task.definition.start is None
