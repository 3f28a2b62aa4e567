"""Nodes, their leases, and what dead ones left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, delete, insert, literal, select, update

from core.crashing import Buried, Quarantined, after_crash
from core.policy import Delivery
from core.run import Reason, Run, RunState
from manager.storage.dialects import lease_time
from manager.storage.locks import locks_of
from manager.storage.offers import offer
from manager.storage.prepared import driver_of
from manager.storage.rounds import beat
from manager.storage.rows import run_of
from manager.storage.tables import IS_RUNNING, bindings, nodes, runs, tasks
from manager.storage.transaction import SqlTransaction
from manager.storage.types import MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from core.records import Lease, Node


class Membership:
    """Reads and writes nodes on one connection inside a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def join(self, node: Node, now: datetime, lease: Lease) -> None:
        """Enter *node* as alive; its row is kept where it is there already."""
        known = select(nodes.c.id).where(nodes.c.id == node.id)
        if self._connection.execute(known).first() is not None:
            return
        self._connection.execute(
            insert(nodes).values(
                {
                    "id": node.id,
                    "host": node.host,
                    "pid": node.pid,
                    "boot_id": node.boot_id,
                    "process_start": node.process_start,
                    "version": node.version,
                    "timed": node.timed,
                    "state": "alive",
                    "started_at": now,
                    "heartbeat": lease_time(now),
                    "lease_until": lease_time(
                        now, literal((lease.until - now) // MICROSECOND, BigInteger)
                    ),
                    "lease_second": lease.second,
                }
            )
        )

    def revive(self, node_id: str, task_ids: Sequence[str], now: datetime, lease: Lease) -> None:
        """Enter a node that was taken for dead as alive again, and as one that has these tasks."""
        mine = update(nodes).where(nodes.c.id == node_id)
        self._connection.execute(mine.values(state="alive"))
        beat(driver_of(self._connection), node_id, now, lease)
        offer(self._connection, task_ids, node_id)

    def leave(self, node_id: str, now: datetime) -> None:
        """Enter a node as stopped."""
        change = update(nodes).where(nodes.c.id == node_id)
        until = lease_time(now)
        over = {"heartbeat": until, "lease_until": until, "lease_second": 0.0}
        self._connection.execute(change.values(state="stopped", **over))
        self._connection.execute(delete(bindings).where(bindings.c.node == node_id))

    def bury(
        self, judged: Sequence[str], now: datetime, *, rerun: bool, leases: Mapping[str, float]
    ) -> Buried:
        """Enter nodes as dead and decide what becomes of the runs that they held.

        A node that has renewed its lease since it was judged by the one in *leases* is alive.

        A run goes back to ``PENDING`` if its task is delivered at least once and *rerun* is on,
        else it is ``LOST``; after three deaths under it, it is ``FAILED``. One that was to be
        cancelled is. The deaths count against the tasks, all that are found together as one.
        """
        node_ids = sorted(set(judged) - self._alive(judged, leases))
        theirs = (IS_RUNNING, runs.c.node.in_(node_ids))
        concerned = self._connection.execute(select(runs.c.task_id).where(*theirs)).scalars()
        locks_of(self._connection).hold(set(concerned))
        self._connection.execute(update(nodes).where(nodes.c.id.in_(node_ids)).values(state="dead"))
        self._connection.execute(delete(bindings).where(bindings.c.node.in_(node_ids)))
        query = (
            select(runs, tasks.c.options)
            .outerjoin(tasks, tasks.c.id == runs.c.task_id)
            .where(*theirs)
        )
        left: list[Run] = []
        for row in self._connection.execute(query).mappings().all():
            columns = dict(row)
            options = columns.pop("options") or {}
            cancelled, run = columns["cancel_requested"], run_of(columns)
            once = options.get("delivery") == Delivery.AT_MOST_ONCE
            text = f"the process of node {run.node} died"
            left.append(
                _ended(run, text) if cancelled else after_crash(run, text, once=once, rerun=rerun)
            )
        transaction = SqlTransaction(self._connection)
        stands = transaction.release(left, now)
        return Buried(
            tuple(run for run in stands if run),
            tuple(each for each in transaction.news if isinstance(each, Quarantined)),
        )

    def _alive(self, judged: Sequence[str], leases: Mapping[str, float]) -> set[str]:
        """Return which nodes renewed their lease since they were judged, or are being decided.

        One is in the middle of a transaction that relies on its being alive, or another node
        buries it at this moment.
        """
        rows = select(nodes.c.id, nodes.c.lease_second).where(nodes.c.id.in_(judged))
        known = set(self._connection.execute(rows).scalars())
        found = self._connection.execute(rows.with_for_update(skip_locked=True))
        stand = {
            row.id for row in found if leases.get(row.id, row.lease_second) == row.lease_second
        }
        return known - stand


def _ended(run: Run, text: str) -> Run:
    return replace(
        run,
        state=RunState.CANCELLED,
        reason=run.reason or Reason.REQUESTED,
        crashes=run.crashes + 1,
        error=text,
    )
