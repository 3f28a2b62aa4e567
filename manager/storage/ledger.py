"""The ledger on a SQL database: every verb is one transaction."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import delete, insert, select, update

from core.run import Reason, RunState
from manager.storage import rounds
from manager.storage.catalogue import Catalogue
from manager.storage.locks import locks_of
from manager.storage.membership import Membership
from manager.storage.offers import offer
from manager.storage.prepared import driver_of
from manager.storage.reading import Reading
from manager.storage.recorder import Recorder
from manager.storage.rows import run_of, stored_task_of
from manager.storage.tables import (
    IS_RUNNING,
    IS_WAITING,
    attempts,
    documents,
    nodes,
    run_logs,
    runs,
    tasks,
)
from manager.storage.transaction import SqlTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from core.crashing import Buried
    from core.definition import TaskDefinition
    from core.ports import LedgerTransaction
    from core.records import Lease, Node, StoredTask, Suspect
    from core.run import Run
    from manager.storage.database import Database
    from manager.storage.gate import Gate

T = TypeVar("T")
_PRUNE_BATCH = 500


class SqlLedger:
    """Implements the ledger on *database*."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recorder = Recorder(database)
        self.reading = Reading(database)

    @property
    def label(self) -> str:
        """The database's URL without its password."""
        return self._database.label

    @property
    def gate(self) -> Gate:
        """What every call passes; it knows whether the database answers."""
        return self._database.gate

    @property
    def path(self) -> Path | None:
        """The database's file, or ``None`` for a database in memory."""
        return self._database.path

    @property
    def log_bytes(self) -> int:
        """How long the database's write-ahead log is."""
        return self._database.log_bytes

    @property
    def is_in_memory(self) -> bool:
        """Whether it ends with this process."""
        return self._database.is_in_memory

    def open(self) -> None:
        """Open or create the database.

        Raises:
            LedgerError: it cannot serve; its file is not touched.
        """
        self._database.open()

    def open_reading(self) -> bool:
        """Open a database that exists for reading alone; tell whether there is one."""
        return self._database.open_reading()

    def close(self) -> None:
        """Let go of the database; calling it again is harmless."""
        self._database.close()

    def transact(self, work: Callable[[LedgerTransaction], T]) -> T:
        """Run *work* in a transaction and return its value once it is committed."""
        return self._recorder.write(lambda link: work(SqlTransaction(link)), guarded=False)

    def join(self, node: Node, now: datetime, lease: Lease) -> None:
        """Enter *node* as alive."""
        self._recorder.write(lambda link: Membership(link).join(node, now, lease))

    def beat(self, node_id: str, now: datetime, lease: Lease) -> bool:
        """Renew the lease of a node; tell whether it still counted as alive."""
        return self._recorder.write(lambda link: rounds.beat(driver_of(link), node_id, now, lease))

    def revive(self, node_id: str, task_ids: Sequence[str], now: datetime, lease: Lease) -> None:
        """Enter a node that was taken for dead as alive again, and as one that has these tasks."""
        self._recorder.write(lambda link: Membership(link).revive(node_id, task_ids, now, lease))

    def held(self, node_id: str) -> dict[str, int]:
        """Return the runs that are running on a node, each with its token."""
        with self._database.read() as connection:
            return rounds.held(driver_of(connection), node_id)

    def leave(self, node_id: str, now: datetime) -> None:
        """Enter a node as stopped."""
        self._recorder.write(lambda link: Membership(link).leave(node_id, now))

    def bury(
        self,
        node_ids: Sequence[str],
        now: datetime,
        *,
        rerun: bool,
        leases: Mapping[str, float] = MappingProxyType({}),
    ) -> Buried:
        """Enter nodes as dead and give back, or give up, what they were running.

        *leases* has the second of the lease that a node was judged by: one that has renewed its
        lease since is left alone.
        """
        return self._recorder.write(
            lambda link: Membership(link).bury(node_ids, now, rerun=rerun, leases=leases)
        )

    def suspects(self, now: datetime) -> list[Suspect]:
        """Return the nodes that count as alive or hold runs."""
        with self._database.read() as connection:
            return rounds.suspects(driver_of(connection), now)

    def bind(
        self,
        definitions: Sequence[tuple[TaskDefinition, datetime | None]],
        node: str,
        now: datetime,
    ) -> dict[str, StoredTask]:
        """Write definitions, all in one commit; each with the next run of a first registration."""
        return self._recorder.write(lambda link: Catalogue(link).bind(definitions, node, now))

    def amend(self, work: Callable[[Catalogue], T]) -> T:
        """Run *work* on the catalogue of tasks in a transaction.

        It is done again where the answer is lost, so it takes its time from outside.
        """
        return self._recorder.write(lambda link: work(Catalogue(link)))

    def known(self) -> dict[str, datetime | None]:
        """Return the next run of every task that was ever bound."""
        with self._database.read() as connection:
            return rounds.known(driver_of(connection))

    def offer(self, task_ids: Sequence[str], node: str) -> None:
        """Enter *node* as one that can run tasks, before it has bound them."""
        self._recorder.write(lambda link: offer(link, task_ids, node))

    def stored(self, task_ids: Sequence[str]) -> dict[str, StoredTask]:
        """Return what is known of tasks; unknown ids are left out."""
        with self._database.read() as connection:
            return rounds.stored(driver_of(connection), task_ids)

    def changed_since(self, revision: int) -> list[StoredTask]:
        """Return the tasks that were changed after *revision*, oldest change first."""
        with self._database.read() as connection:
            if rounds.newest(driver_of(connection)) <= revision:
                return []
            rows = Catalogue(connection).changed_since(revision)
        return [stored_task_of(row) for row in rows]

    def to_cancel(self, node_id: str) -> list[tuple[str, Reason]]:
        """Return the runs of a node that somebody asked to cancel, each with the reason."""
        with self._database.read() as connection:
            return rounds.to_cancel(driver_of(connection), node_id)

    def waiting(self, now: datetime) -> list[tuple[str, int, datetime | None]]:
        """Return, by lane, how many runs may start at *now* and when the next later one may."""
        with self._database.read() as connection:
            return rounds.waiting(driver_of(connection), now)

    def cancel(self, run_id: str, now: datetime) -> RunState | None:
        """Cancel a waiting run, ask a running one to end; return its state before, if known."""

        def work(connection: Connection) -> RunState | None:
            mine = runs.c.id == run_id
            owner = connection.execute(select(runs.c.task_id).where(mine)).scalar_one_or_none()
            locks_of(connection).hold([] if owner is None else [owner])
            query = select(runs.c.state, runs.c.task_id, runs.c.attempt).where(mine)
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            ended = {"state": RunState.CANCELLED.value, "reason": Reason.REQUESTED.value}
            waited = connection.execute(
                update(runs).where(IS_WAITING, mine).values(**ended, finished_at=now)
            )
            if waited.rowcount == 1 and row.attempt > 0:
                last = update(tasks).where(tasks.c.id == row.task_id)
                connection.execute(last.values(last_status=RunState.CANCELLED.value))
            connection.execute(update(runs).where(IS_RUNNING, mine).values(cancel_requested=True))
            return RunState(row.state)

        return self._recorder.write(work)

    def run(self, run_id: str) -> Run | None:
        """Return a run, or ``None``."""
        with self._database.read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
            return None if row is None else run_of(row)

    def prune(self, before: datetime) -> int:
        """Delete final runs that ended before *before*, some hundreds a commit; return how many.

        Nodes that stopped or died before it are forgotten too.
        """
        total = 0
        kept = update(tasks).where(tasks.c.unchanged_since < before)
        self._recorder.write(lambda link: link.execute(kept.values(unchanged_since=before)))
        while count := self._recorder.write(lambda link: _pruned(link, before)):
            total += count
        gone = delete(nodes).where(nodes.c.state != "alive", nodes.c.heartbeat < before)
        self._recorder.write(lambda link: link.execute(gone))
        return total

    def document(self, name: str) -> dict[str, Any] | None:
        """Return a stored document with ``source``, ``etag``, ``body`` and ``fetched_at``."""
        query = select(documents).where(documents.c.name == name)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def store_document(self, values: Mapping[str, Any]) -> None:
        """Store a document under its ``name``, in the place of the one that was there."""

        def work(connection: Connection) -> None:
            locks_of(connection).register()
            connection.execute(delete(documents).where(documents.c.name == values["name"]))
            connection.execute(insert(documents), dict(values))

        self._recorder.write(work)


def _pruned(connection: Connection, before: datetime) -> int:
    query = select(runs.c.id).where(runs.c.finished_at < before).limit(_PRUNE_BATCH)
    query = query.with_for_update(skip_locked=True)
    ids = list(connection.execute(query).scalars())
    for column in (run_logs.c.run_id, attempts.c.run_id, runs.c.id):
        connection.execute(delete(column.table).where(column.in_(ids)))
    return len(ids)
