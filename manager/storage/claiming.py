"""Waiting runs, started by whoever asks first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from manager.storage.crashes import WITHHELD
from manager.storage.prepared import driver_of
from manager.storage.rows import run_of
from manager.storage.statements import NEXT, NEXT_BUT, RUNNING_OF, START, STARTED
from manager.storage.types import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from core.records import Claim
    from core.run import Run
    from manager.storage.locks import Locks


class Claiming:
    """Claims runs on one connection inside a transaction.

    Tasks about which another node decides at this moment are passed over, not waited for.
    """

    def __init__(self, connection: Connection, locks: Locks) -> None:
        self._connection = connection
        self._driver = driver_of(connection)
        self._locks = locks

    def claim(self, wish: Claim) -> list[Run]:
        """Start waiting runs, the most urgent first, as far as overlap limits allow."""
        claimed: list[Run] = []
        blocked = {*wish.foreign, *(row[0] for row in WITHHELD.run(self._driver, {}))}
        while len(claimed) < wish.limit:
            waiting = self._waiting(wish, blocked, wish.limit - len(claimed))
            if not waiting:
                break
            wanted = {task_id for _, task_id in waiting}
            if elsewhere := self._locks.taken(wanted):
                blocked |= elsewhere
                wish.contended()
            running = self._running(sorted(wanted - elsewhere))
            for run_id, task_id in waiting:
                if task_id in elsewhere:
                    continue
                limit = wish.limit_of(task_id)
                if limit is not None and running[task_id] >= limit:
                    blocked.add(task_id)
                    continue
                running[task_id] += 1
                claimed += self._started(run_id, wish)
        if claimed:
            started = [{"task": run.task_id, "at": run.started_at} for run in claimed]
            STARTED.run_each(self._driver, started)
        return claimed

    def _running(self, task_ids: Sequence[str]) -> Counter[str]:
        """Return how many runs of each task are running."""
        rows = RUNNING_OF.run(self._driver, {"names": to_text(task_ids)})
        return Counter(dict(rows))

    def _waiting(self, wish: Claim, blocked: set[str], limit: int) -> list[tuple[str, str]]:
        values = {"lane": wish.lane, "now": wish.now, "most": limit}
        if blocked:
            values["names"] = to_text(sorted(blocked))
        rows = (NEXT_BUT if blocked else NEXT).run(self._driver, values)
        return [(row[0], row[1]) for row in rows]

    def _started(self, run_id: str, wish: Claim) -> list[Run]:
        values = {"run": run_id, "owner": wish.node, "at": wish.now}
        row = self._connection.execute(START, values).mappings().one_or_none()
        return [] if row is None else [run_of(row)]
