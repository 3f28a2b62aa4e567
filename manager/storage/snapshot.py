"""One state of the whole ledger, as whoever holds it against its promises needs it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, func, select, type_coerce

from manager.storage.arrears import arrears
from manager.storage.listing import Listing, Liveness
from manager.storage.scrutiny import TIMED, Breach, breaches
from manager.storage.tables import attempts, runs, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from manager.schemas.reading import TaskRead

_EVERY: Final = Liveness(unbound=frozenset(), timed=True)
_AT_ONCE: Final = 10_000
_DUE: Final = type_coerce(runs.c.scheduled_for, BigInteger)
_DECIDED: Final = (runs.c.task_id, _DUE, runs.c.occurrences)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A task, and the stretch of time of which its row and its runs can tell.

    Attributes:
        anchor: First registration.
        since: From here on schedule and rules are as they are, and the runs are kept.
        cursor: Occurrences up to here are decided.
        is_spent: Whether its schedule has started as many runs as it may.
    """

    task: TaskRead
    anchor: datetime
    since: datetime
    cursor: datetime
    is_spent: bool


class Snapshot:
    """Reads one state of the ledger; good while the connection is.

    Args:
        connection: In a transaction that sees one state.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def breaches(self, now: datetime) -> Iterator[Breach]:
        """Yield what contradicts an invariant, as far as no schedule has to be asked."""
        link = self._connection
        return chain(breaches(link), arrears(link, now))

    def arrears(self, now: datetime) -> Iterator[Breach]:
        """Yield what stands still though it could go on."""
        return arrears(self._connection, now)

    def counts(self) -> tuple[int, int]:
        """Return how many runs and how many rows of attempts there are."""
        run, attempt = (
            self._connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (runs, attempts)
        )
        return run, attempt

    def stretches(self) -> list[Stretch]:
        """Return every task that was not taken out, in the order of their ids."""
        known = {each.id: each for each in Listing().read(self._connection, {}, _EVERY)}
        columns = (tasks.c.anchor, tasks.c.unchanged_since, tasks.c.cursor, tasks.c.fired)
        query = select(tasks.c.id, *columns).where(tasks.c.removed.is_(False)).order_by(tasks.c.id)
        found = []
        for task_id, anchor, since, cursor, fired in self._connection.execute(query):
            task = known[task_id]
            most = task.options.get("max_runs")
            spent = most is not None and fired >= most
            found.append(Stretch(task, anchor, since, cursor, spent))
        return found

    def decided(self) -> Iterator[tuple[str, int, int]]:
        """Yield the rows of all occurrences in the order in which they were made.

        Each is its task, its instant in microseconds, and how many occurrences it stands for.
        """
        query = select(*_DECIDED).where(runs.c.cause.in_(TIMED)).order_by(runs.c.id)
        found = self._connection.execute(query, execution_options={"yield_per": _AT_ONCE})
        for rows in found.partitions():
            yield from map(tuple, rows)

    def decided_of(self, task_id: str) -> list[tuple[str, int, int]]:
        """Return the rows of one task's occurrences in the order of their instants."""
        query = select(*_DECIDED).where(runs.c.cause.in_(TIMED), runs.c.task_id == task_id)
        ordered = query.order_by(runs.c.scheduled_for)
        return [tuple(row) for row in self._connection.execute(ordered)]
