"""Instants of the ledger that move when the clock of a machine was set back."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, func, select, type_coerce, update

from core.run import RunState
from manager.storage.tables import runs, tasks
from manager.storage.types import MICROSECOND, Instant, to_micros

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.engine import Connection

    from core.records import Shift


def shift_intervals(connection: Connection, shifts: Sequence[Shift], now: datetime) -> None:
    """Move anchors and cursors of intervals; what another node moved first is left alone.

    An interval whose instants would coincide with those of before, which have their runs, moves
    by some microseconds less.
    """
    for each in shifts:
        delta = each.step + _aside(connection, each, now) * MICROSECOND
        mine = (tasks.c.id == each.task_id, tasks.c.anchor == each.anchor)
        moved = {name: _moved(name, delta) for name in ("anchor", "cursor", "next_run")}
        moved["unchanged_since"] = _judged_from(connection, each.task_id, delta)
        connection.execute(update(tasks).where(*mine).values(moved))


def shift_waiting(connection: Connection, node: str, step: timedelta, now: datetime) -> None:
    """Let what waits be due in as much time as before."""
    ahead = runs.c.not_before > now
    waits = (ahead, runs.c.state == RunState.PENDING.value)
    connection.execute(update(runs).where(*waits).values(not_before=now))
    retries = (ahead, runs.c.state == RunState.RETRYING.value, runs.c.node == node)
    by = step // MICROSECOND
    sooner = type_coerce(type_coerce(runs.c.not_before, BigInteger) + by, Instant)
    connection.execute(update(runs).where(*retries).values(not_before=sooner))


def _moved(name: str, delta: timedelta) -> object:
    return type_coerce(type_coerce(tasks.c[name], BigInteger) + delta // MICROSECOND, Instant)


def _judged_from(connection: Connection, task_id: str, delta: timedelta) -> datetime | None:
    """Return from when on the row can be held against runs: what was made before is not moved."""
    latest = select(func.max(runs.c.created_at)).where(runs.c.task_id == task_id)
    query = select(tasks.c.unchanged_since, tasks.c.cursor, latest.scalar_subquery())
    row = connection.execute(query.where(tasks.c.id == task_id)).one_or_none()
    if row is None:
        return None
    before, cursor, made = row
    since: datetime = max(each for each in (before, cursor + delta, made) if each is not None)
    return since


def _aside(connection: Connection, shift: Shift, now: datetime) -> int:
    """Return the fewest microseconds that keep the moved instants off those that have runs."""
    start, period = to_micros(shift.anchor + shift.step), shift.period // MICROSECOND
    phase = (type_coerce(runs.c.scheduled_for, BigInteger) - start) % period
    taken = (
        select(phase).distinct().where(runs.c.task_id == shift.task_id, runs.c.scheduled_for > now)
    )
    used = set(connection.execute(taken).scalars())
    return next(number for number in count() if number not in used)
