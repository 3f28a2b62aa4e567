"""What an engine does beside its turns: its lease, the dead, and what others changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.engine.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from core.ports import Ledger
    from core.records import Node, StoredTask
    from manager.engine.cycle import Cycle
    from manager.engine.execution import Execution
    from manager.engine.settings import EngineSettings


class Upkeep:
    """Looks at the ledger at set times for what no timer tells."""

    def __init__(
        self,
        ledger: Ledger,
        node: Node,
        settings: EngineSettings,
        cycle: Cycle,
        execution: Execution,
        refresh: Callable[[Sequence[StoredTask]], None],
    ) -> None:
        self._ledger = ledger
        self._node = node
        self._settings = settings
        self._cycle = cycle
        self._execution = execution
        self._refresh = refresh
        self._revision = 0
        self._next_beat = self._next_sweep = self._trusted_from = float("-inf")

    def begin(self, now: datetime, second: float) -> None:
        """Enter the node, end what dead ones left, and count changes from here on.

        Args:
            now: The wall clock's time, which is written.
            second: The monotonic clock's, by which the next beat is due.
        """
        self._ledger.join(self._node, now, now + self._settings.lease)
        recover(self._ledger, self._node, now, rerun=self._settings.automatic)
        changed = self._ledger.changed_since(0)
        self._revision = max((stored.revision for stored in changed), default=0)
        self._next_beat = second + self._settings.heartbeat.total_seconds()

    def hasten(self) -> None:
        """Sweep at the next opportunity."""
        self._next_sweep = float("-inf")

    def look(self) -> None:
        """Sweep, beat and look for the dead at the next opportunity."""
        self._next_beat = self._next_sweep = float("-inf")

    def doubt(self, second: float) -> None:
        """Look at once: the wall clock was set.

        Leases were written by the clock of before, so none is held against another node until
        each that lives has renewed its own.
        """
        self.look()
        self._trusted_from = second + self._settings.lease.total_seconds()

    def run(self, now: datetime, second: float) -> None:
        """Beat and sweep if it is time, however the wall clock was set meanwhile."""
        if self._next_beat <= second:
            self._ledger.beat(self._node.id, now, now + self._settings.lease)
            self._next_beat = second + self._settings.heartbeat.total_seconds()
            known = {"rerun": self._settings.automatic, "leased": second >= self._trusted_from}
            for run in recover(self._ledger, self._node, now, **known):
                self._cycle.expect(run.lane)
        if self._next_sweep <= second:
            self._next_sweep = second + self._settings.sweep.total_seconds()
            self._sweep(now)

    def _sweep(self, now: datetime) -> None:
        changed = self._ledger.changed_since(self._revision)
        if changed:
            self._refresh(changed)
            self._revision = changed[-1].revision
        for lane, ready, later in self._ledger.waiting(now):
            if ready:
                self._cycle.expect(lane)
            if later is not None:
                self._cycle.expect(lane, later)
        if self._execution.live():
            for run_id, reason in self._ledger.to_cancel(self._node.id):
                live = self._execution.get(run_id)
                if live is not None:
                    self._execution.ask_to_end(live, reason)
