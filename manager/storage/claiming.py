"""Waiting runs, started by whoever asks first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from manager.storage.admission import Admission, Candidate
from manager.storage.budgets import note_starts
from manager.storage.crashes import WITHHELD
from manager.storage.faults import damaged
from manager.storage.prepared import driver_of
from manager.storage.rows import run_of
from manager.storage.statements import NEXT, NEXT_BUT, RUNNING_OF, START
from manager.storage.types import to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from core.budget import PutOff
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
        self.news: Sequence[PutOff] = ()

    def claim(self, wish: Claim) -> list[Run]:
        """Start waiting runs, the most urgent first, as far as overlap limits and gates allow."""
        claimed: list[Run] = []
        blocked = {*wish.foreign, *(row[0] for row in WITHHELD.run(self._driver, {}))}
        gate = Admission(self._connection, wish.now, wish.budget, self._locks.spend)
        again: set[str] = set()
        while len(claimed) < wish.limit:
            waiting = self._waiting(wish, blocked, wish.limit - len(claimed))
            if not waiting:
                break
            wanted = {each.task_id for each in waiting}
            if elsewhere := self._locks.taken(wanted):
                blocked |= elsewhere
                wish.contended()
            running = self._running(sorted(wanted - elsewhere))
            chosen: list[str] = []
            for each in waiting:
                task_id = each.task_id
                if task_id in elsewhere:
                    continue
                limit = wish.limit_of(task_id)
                if limit is not None and running[task_id] >= limit:
                    blocked.add(task_id)
                elif gate.admits(each):
                    running[task_id] += 1
                    chosen.append(each.run_id)
                    again |= {each.run_id} if each.is_retry else set()
            begun = self._started(chosen, wish)
            if chosen and not begun and self._locks.are_alone:
                raise damaged("an index names runs that are not there")
            claimed += begun
            blocked |= gate.closed
        self.news = gate.put_off
        note_starts(self._driver, claimed, again)
        return claimed

    def _running(self, task_ids: Sequence[str]) -> Counter[str]:
        """Return how many runs of each task are running."""
        rows = RUNNING_OF.run(self._driver, {"names": to_text(task_ids)})
        return Counter(dict(rows))

    def _waiting(self, wish: Claim, blocked: set[str], limit: int) -> list[Candidate]:
        values = {"lane": wish.lane, "now": wish.now, "most": limit}
        if blocked:
            values["names"] = to_text(sorted(blocked))
        rows = (NEXT_BUT if blocked else NEXT).run(self._driver, values)
        return [Candidate(*row) for row in rows]

    def _started(self, run_ids: Sequence[str], wish: Claim) -> list[Run]:
        """Start *run_ids*, those aside that do not wait any more; return them in that order."""
        if not run_ids:
            return []
        values = {"names": to_text(run_ids), "owner": wish.node, "at": wish.now}
        begun = [run_of(row) for row in self._connection.execute(START, values).mappings()]
        places = {run_id: place for place, run_id in enumerate(run_ids)}
        return sorted(begun, key=lambda run: places[run.id])
