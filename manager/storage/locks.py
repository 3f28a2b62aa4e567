"""Locks on tasks, so that several nodes never decide about one at the same time.

On SQLite every transaction is alone from its first statement on, and nothing is to be locked. On
PostgreSQL transactions of several nodes overlap; each sees what others committed before its
current statement. So a transaction that counts runs and then acts on the count first locks the
rows of the tasks concerned, and counts afterwards.

The order in which locks are waited for is the same everywhere, so that no two wait for each other:
``register``, tasks in the order of their ids, ``spend``, ``revise``, and only then rows of nodes,
breakers and runs. The turns of an engine do not wait for tasks: what another node decides about at
that moment is left to the next turn, so that a node that stands still holds up nothing but its own
tasks.
Where work of several callers shares a transaction it may break that order; PostgreSQL then ends
one of those who wait for each other after a second, and its work is done again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import Text, bindparam, func, select

from manager.storage.dialects import listed
from manager.storage.prepared import Prepared, driver_of
from manager.storage.tables import tasks
from manager.storage.types import to_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection

LOCK_WAIT: Final = "3000ms"
"""How long a transaction waits for a lock that it cannot do without."""
ANSWER_WAIT: Final = "3500ms"
"""How long a statement may take that waits for one lock, or for none."""
ROUND_WAIT: Final = "8s"
"""The same for one that waits for every task, one after the other, each for as long as a lock."""
ROUND_SILENCE: Final = 8.5
REGISTERING: Final = 0x7461736B72656731
"""The advisory lock of whoever makes rows that others may make too: ``taskreg1`` in ASCII."""
REVISING: Final = 0x7461736B72657631
"""The advisory lock of whoever makes revision numbers: ``taskrev1``."""
SPENDING: Final = 0x7461736B7370656E
"""The advisory lock of whoever takes from retry budgets: ``taskspen``."""
QUEUEING: Final = 0x7461736B71756575
"""The advisory lock of whoever adds runs on request: ``taskqueu``."""

_THESE: Final = (
    select(tasks.c.id)
    .where(tasks.c.id.bool_op("IN")(listed(bindparam("names", type_=Text))))
    .order_by(tasks.c.id)
)
_HOLD: Final = Prepared(_THESE.with_for_update(key_share=True))
_SEIZE: Final = Prepared(_THESE.with_for_update(key_share=True, skip_locked=True))
_TRY: Final = Prepared(
    _THESE.where(tasks.c.quarantined.is_(False)).with_for_update(key_share=True, skip_locked=True)
)
_QUEUE: Final = "SAVEPOINT seizing; SET LOCAL lock_timeout = '50ms'"
_GIVE_UP: Final = "ROLLBACK TO SAVEPOINT seizing; RELEASE SAVEPOINT seizing"
_QUEUED: Final = f"RELEASE SAVEPOINT seizing; SET LOCAL lock_timeout = '{LOCK_WAIT}'"
_ROUND: Final = f"SET LOCAL statement_timeout = '{ROUND_WAIT}'"
_ROUNDED: Final = f"SET LOCAL statement_timeout = '{ANSWER_WAIT}'"
_KNOWN: Final = Prepared(_THESE)
_ALL: Final = Prepared(select(tasks.c.id).order_by(tasks.c.id).with_for_update(key_share=True))


class Locks(Protocol):
    """Locks that one transaction holds until its end.

    Attributes:
        are_alone: Whether nobody else writes meanwhile.
    """

    are_alone: bool

    def register(self) -> None:
        """Wait until nobody else makes rows that two nodes may make at once."""
        ...

    def hold(self, task_ids: Collection[str]) -> None:
        """Wait until nobody else decides about these tasks."""
        ...

    def hold_all(self) -> None:
        """Wait until nobody else decides about any task."""
        ...

    def seize(self, task_ids: Collection[str]) -> set[str]:
        """Lock tasks as soon as they are free, waiting only a moment; return the others."""
        ...

    def taken(self, task_ids: Collection[str]) -> set[str]:
        """Lock those of the tasks that nobody holds or has quarantined; return the others."""
        ...

    def spend(self) -> None:
        """Wait until nobody else takes from a retry budget."""
        ...

    def queue(self) -> None:
        """Wait until nobody else adds runs that somebody asked for."""
        ...

    def revise(self) -> None:
        """Wait until nobody else makes a revision number.

        Numbers become visible in their order, so that whoever has read one has read all before.
        """
        ...


class _Alone:
    """The transaction is the only writer: SQLite."""

    are_alone = True

    def register(self) -> None:
        """Hold everything anyway."""

    def hold(self, task_ids: Collection[str]) -> None:
        """Hold everything anyway."""

    def hold_all(self) -> None:
        """Hold everything anyway."""

    def seize(self, task_ids: Collection[str]) -> set[str]:
        """Find nothing held by others."""
        _ = task_ids
        return set()

    def taken(self, task_ids: Collection[str]) -> set[str]:
        """Find nothing held by others."""
        _ = task_ids
        return set()

    def spend(self) -> None:
        """Hold everything anyway."""

    def queue(self) -> None:
        """Hold everything anyway."""

    def revise(self) -> None:
        """Hold everything anyway."""


class _Rows:
    """Row locks of PostgreSQL."""

    are_alone = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = driver_of(connection)
        self._held: set[str] = set()

    def register(self) -> None:
        """Take the lock that all take who make such rows."""
        self._connection.execute(select(func.pg_advisory_xact_lock(REGISTERING)))

    def hold(self, task_ids: Collection[str]) -> None:
        """Lock the rows in the order of their ids."""
        wanted = set(task_ids) - self._held
        if wanted:
            _HOLD.run(self._driver, {"names": to_text(sorted(wanted))}).fetchall()
            self._held |= wanted

    def hold_all(self) -> None:
        """Lock every row in the order of their ids, however many of them others hold by turns."""
        driver: Any = self._driver
        driver.execute(_ROUND, prepare=False)
        with driver.silent_for(ROUND_SILENCE):
            self._held.update(row[0] for row in _ALL.run(self._driver, {}).fetchall())
        driver.execute(_ROUNDED, prepare=False)

    def taken(self, task_ids: Collection[str]) -> set[str]:
        """Lock what is free; a task without a row counts as free."""
        return self._tried(_TRY, task_ids)

    def seize(self, task_ids: Collection[str]) -> set[str]:
        """Queue up for what is not free for a moment: most others need no longer."""
        elsewhere = self._tried(_SEIZE, task_ids)
        if not elsewhere or self._queued(elsewhere):
            return set()
        return self._tried(_SEIZE, elsewhere)

    def _queued(self, task_ids: set[str]) -> bool:
        """Wait a moment for all of *task_ids*; tell whether they became free."""
        from psycopg.errors import LockNotAvailable  # noqa: PLC0415 - an extra

        driver: Any = self._driver
        driver.execute(_QUEUE, prepare=False)
        try:
            self.hold(task_ids)
        except LockNotAvailable:
            driver.execute(_GIVE_UP, prepare=False)
            return False
        driver.execute(_QUEUED, prepare=False)
        return True

    def _tried(self, statement: Prepared, task_ids: Collection[str]) -> set[str]:
        wanted = set(task_ids) - self._held
        if not wanted:
            return set()
        names = {"names": to_text(sorted(wanted))}
        got = {row[0] for row in statement.run(self._driver, names).fetchall()}
        self._held |= got
        if got == wanted:
            return set()
        return {row[0] for row in _KNOWN.run(self._driver, names).fetchall()} - got

    def spend(self) -> None:
        """Take the lock that all take who start retries."""
        self._connection.execute(select(func.pg_advisory_xact_lock(SPENDING)))

    def queue(self) -> None:
        """Take the lock that all take who add runs on request."""
        self._connection.execute(select(func.pg_advisory_xact_lock(QUEUEING)))

    def revise(self) -> None:
        """Take the lock that all makers of revision numbers take."""
        self._connection.execute(select(func.pg_advisory_xact_lock(REVISING)))


_ALONE: Final = _Alone()


def locks_of(connection: Connection) -> Locks:
    """Return the locks of the transaction on *connection*, none held yet."""
    return _ALONE if connection.dialect.name == "sqlite" else _Rows(connection)
