"""What should have gone on by now: due and not decided, waiting and not started, left behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import BigInteger, and_, exists, literal, or_, select

from core.invariants import ENDING
from manager.storage.dialects import lease_time
from manager.storage.scrutiny import MOST, Breach
from manager.storage.tables import IS_RUNNING, IS_WAITING, bindings, nodes, runs, tasks
from manager.storage.types import MICROSECOND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

BOUND: Final = timedelta(seconds=60)
"""So long after its time everything has gone on, where a node lives that can."""
_WHO: Final = (runs.c.id, runs.c.task_id)


def arrears(connection: Connection, now: datetime) -> Iterator[Breach]:
    """Yield what stands still; nothing where no node has lived for a minute, to let it go on."""
    query = select(nodes.c.id, nodes.c.timed).where(_lives(now))
    living = {row.id: row.timed for row in connection.execute(query)}
    if not living:
        return
    yield from _left_behind(connection, now)
    yield from _unstarted(connection, sorted(living), now)
    yield from _undecided(connection, sorted(node for node, timed in living.items() if timed), now)


def _lives(now: datetime) -> ColumnElement[bool]:
    fresh = nodes.c.lease_until > lease_time(now)
    return and_(nodes.c.state == "alive", fresh, nodes.c.started_at < now - BOUND)


def _left_behind(connection: Connection, now: datetime) -> Iterator[Breach]:
    """Runs of nodes that died or left are taken over."""
    gone = or_(
        nodes.c.id.is_(None),
        nodes.c.lease_until < lease_time(now, literal(-BOUND // MICROSECOND, BigInteger)),
    )
    query = (
        select(*_WHO, runs.c.node, nodes.c.lease_until)
        .outerjoin(nodes, nodes.c.id == runs.c.node)
        .where(IS_RUNNING, runs.c.started_at < now - BOUND, gone)
        .limit(MOST)
    )
    for run_id, task_id, node, until in connection.execute(query):
        found = f"still held by {node}, whose lease ended {until or 'before it was forgotten'}"
        yield Breach(ENDING, task_id, run_id, "taken over from the dead", found)


def _unstarted(connection: Connection, living: list[str], now: datetime) -> Iterator[Breach]:
    """Runs that wait are started, where a node that has their function runs nothing else."""
    own, beside = runs.alias("own"), runs.alias("beside")
    is_busy = exists().where(own.c.task_id == runs.c.task_id, own.c.state == "running")
    crowd = exists().where(
        beside.c.node == bindings.c.node, beside.c.lane == runs.c.lane, beside.c.state == "running"
    )
    free = exists().where(bindings.c.task_id == runs.c.task_id, bindings.c.node.in_(living), ~crowd)
    query = (
        select(*_WHO, runs.c.state, runs.c.not_before)
        .join(tasks, tasks.c.id == runs.c.task_id)
        .where(IS_WAITING, runs.c.not_before < now - BOUND, ~is_busy, free)
        .where(tasks.c.quarantined.is_(False))
        .limit(MOST)
    )
    for run_id, task_id, state, due in connection.execute(query):
        expected = "started by a node that lives, has its function and runs nothing else"
        yield Breach(ENDING, task_id, run_id, expected, f"{state}, might start since {due}")


def _undecided(connection: Connection, timed: list[str], now: datetime) -> Iterator[Breach]:
    """Occurrences that are due are decided, where a node has their function."""
    bound = exists().where(bindings.c.task_id == tasks.c.id, bindings.c.node.in_(timed))
    query = select(tasks.c.id, tasks.c.next_run).where(
        tasks.c.next_run < now - BOUND,
        tasks.c.enabled.is_(True),
        tasks.c.paused.is_(False),
        tasks.c.quarantined.is_(False),
        tasks.c.removed.is_(False),
        bound,
    )
    for task_id, due in connection.execute(query.limit(MOST)):
        yield Breach(ENDING, task_id, None, f"a row for {due}", "none, and nodes that live")
