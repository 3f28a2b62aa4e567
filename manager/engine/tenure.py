"""How long this node may believe that it counts as alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.records import Lease
from loggers import get_logger

if TYPE_CHECKING:
    from datetime import datetime

    from core.clock import Clock
    from core.ports import Ledger
    from core.records import Node
    from manager.engine.book import Book
    from manager.engine.execution import Execution
    from manager.engine.settings import EngineSettings

_log = get_logger("taskrack")


class Tenure:
    """Renews the lease of a node, and knows when to stop acting on it.

    A node that was stopped, starved or cut off for longer than its lease may have been taken for
    dead, and its runs may be running elsewhere. It cannot know before it has asked. So it counts
    its trust from the monotonic second *before* each renewal was sent, and starts nothing once
    that has lapsed until a renewal has come through.
    """

    def __init__(
        self,
        ledger: Ledger,
        node: Node,
        settings: EngineSettings,
        clock: Clock,
        book: Book,
        execution: Execution,
    ) -> None:
        self._ledger = ledger
        self.node = node
        self._settings = settings
        self._clock = clock
        self._book = book
        self._execution = execution
        self._trusted_until = float("-inf")

    @property
    def holds(self) -> bool:
        """Whether runs may be started: nobody can have taken this node for dead."""
        return self._clock.monotonic() < self._trusted_until

    def boottime(self) -> float:
        """Return the second of this machine's boot-time clock."""
        return self._clock.boottime()

    def begin(self, now: datetime) -> None:
        """Enter the node as alive."""
        until = self._trust()
        self._ledger.join(self.node, now, self._lease(now))
        self._trusted_until = until

    def renew(self, now: datetime) -> None:
        """Renew the lease; come back where others took this node for dead meanwhile.

        Raises:
            LedgerError: the database did not take it; the trust goes on to lapse.
        """
        until = self._trust()
        if not self._ledger.beat(self.node.id, now, self._lease(now)):
            self._come_back(now)
        self._trusted_until = until

    def lapse(self) -> None:
        """Stop trusting the lease: the ledger says that this node was taken for dead."""
        self._trusted_until = float("-inf")

    def _come_back(self, now: datetime) -> None:
        """Enter the node as alive again, and give up the calls whose runs were taken away."""
        tasks = [task.id for task in self._book.all()]
        self._ledger.revive(self.node.id, tasks, now, self._lease(now))
        held = self._ledger.held(self.node.id)
        taken = [live for live in self._execution.live() if held.get(live.run.id) != live.run.token]
        _log.warning("this node was silent for longer than its lease and taken for dead")
        for live in taken:
            text = "%s: run %s was taken away, its outcome will be dropped"
            _log.warning(text, live.run.task_id, live.run.id)
            self._execution.drop(live)

    def _trust(self) -> float:
        return self._clock.monotonic() + self._settings.trust.total_seconds()

    def _lease(self, now: datetime) -> Lease:
        span = self._settings.lease
        return Lease(now + span, self.boottime() + span.total_seconds())
