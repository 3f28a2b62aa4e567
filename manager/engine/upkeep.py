"""What an engine does beside its turns: its lease, the dead, and what others changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import LedgerUnavailableError
from loggers import get_logger
from manager.engine.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from core.ports import Ledger
    from core.records import StoredTask
    from manager.engine.cycle import Cycle
    from manager.engine.execution import Execution
    from manager.engine.settings import EngineSettings
    from manager.engine.spooling import Spooling
    from manager.engine.tenure import Tenure

_log = get_logger("taskrack")


class Upkeep:
    """Looks at the ledger at set times for what no timer tells."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it looks after
        self,
        ledger: Ledger,
        settings: EngineSettings,
        cycle: Cycle,
        execution: Execution,
        tenure: Tenure,
        refresh: Callable[[Sequence[StoredTask]], None],
        spooling: Spooling,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._cycle = cycle
        self._execution = execution
        self._tenure = tenure
        self._node = tenure.node
        self._refresh = refresh
        self._spooling = spooling
        self._revision = 0
        self._next_beat = self._next_sweep = self._trusted_from = float("-inf")

    def begin(self, now: datetime, second: float) -> None:
        """Enter the node, end what dead ones left, and count changes from here on.

        Args:
            now: The wall clock's time, which is written.
            second: The monotonic clock's, by which the next beat is due.
        """
        self._tenure.begin(now)
        self._spooling.begin()
        self._next_beat = second + self._settings.heartbeat.total_seconds()
        try:
            self._recover(now, leased=True)
        except LedgerUnavailableError as error:  # somebody holds their runs; no reason not to start
            _log.warning("what dead nodes left is decided later: %s", error)
            self._next_beat = second
        changed = self._ledger.changed_since(0)
        self._revision = max((stored.revision for stored in changed), default=0)

    def hasten(self) -> None:
        """Sweep at the next opportunity."""
        self._next_sweep = float("-inf")

    def look(self) -> None:
        """Sweep, beat and look for the dead at the next opportunity."""
        self._next_beat = self._next_sweep = float("-inf")

    def doubt(self, second: float) -> None:
        """Look at once: the wall clock was set.

        Leases of other machines were written by the clock of before, so none is held against
        another node until each that lives has renewed its own.
        """
        self.look()
        self._trusted_from = second + self._settings.lease.total_seconds()

    def run(self, now: datetime, second: float) -> None:
        """Beat and sweep if it is time, however the wall clock was set meanwhile."""
        if self._next_beat <= second or not self._tenure.holds:
            self._tenure.renew(now)
            self._next_beat = second + self._settings.heartbeat.total_seconds()
            self._cycle.doubts.compare(self._ledger.held(self._node.id))
            self._recover(now, leased=second >= self._trusted_from)
        if self._next_sweep <= second:
            self._next_sweep = second + self._settings.sweep.total_seconds()
            self._sweep(now)

    def _recover(self, now: datetime, *, leased: bool) -> None:
        rerun, here, second = self._settings.automatic, self._node, self._tenure.boottime()
        said = {"rerun": rerun, "leased": leased}
        words = self._spooling.bring_in
        self._cycle.inherit(recover(self._ledger, here, now, second, **said, last_words=words))

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
