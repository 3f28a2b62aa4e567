"""Waiting runs, started by whoever asks first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

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

_FURTHER: Final = 200
"""At most so many more waiting runs are looked at, the more of those in front may not start."""


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
        while (left := wish.limit - len(claimed)) > 0:
            waiting = self._waiting(wish, blocked, left + min(_FURTHER, 2 * len(blocked)))
            if not waiting:
                break
            fitting = self._fitting(waiting, wish, blocked)[:left]
            if not self._locks.are_alone:
                fitting = self._locked(fitting, wish, blocked)
            chosen = [each for each in fitting if gate.admits(each)]
            if len(chosen) < len(fitting):
                wish.crowded()
            again |= {each.run_id for each in chosen if each.is_retry}
            begun = self._started([each.run_id for each in chosen], wish)
            if chosen and not begun and self._locks.are_alone:
                raise damaged("an index names runs that are not there")
            claimed += begun
            blocked |= gate.closed
        self.news = gate.put_off
        note_starts(self._driver, claimed, again)
        return claimed

    def _fitting(
        self, waiting: Sequence[Candidate], wish: Claim, blocked: set[str]
    ) -> list[Candidate]:
        """Return which of *waiting* their tasks have room for; add the tasks that have none."""
        running = self._running(sorted({each.task_id for each in waiting}))
        found = []
        for each in waiting:
            limit = wish.limit_of(each.task_id)
            if limit is not None and running[each.task_id] >= limit:
                blocked.add(each.task_id)
                wish.crowded()
            else:
                running[each.task_id] += 1
                found.append(each)
        return found

    def _locked(
        self, chosen: Sequence[Candidate], wish: Claim, blocked: set[str]
    ) -> list[Candidate]:
        """Lock the tasks of *chosen*; return what still fits, now that nobody else starts any."""
        if elsewhere := self._locks.taken({each.task_id for each in chosen}):
            blocked |= elsewhere
            wish.contended()
        return self._fitting(
            [each for each in chosen if each.task_id not in elsewhere], wish, blocked
        )

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
