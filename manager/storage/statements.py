"""The statements that move runs, each guarded, so that a late writer changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    Boolean,
    Text,
    bindparam,
    case,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from core.run import Cause, RunState
from manager.storage.dialects import listed
from manager.storage.prepared import Prepared
from manager.storage.tables import IS_OPEN, IS_REQUESTED, IS_RUNNING, IS_WAITING, nodes, runs, tasks

if TYPE_CHECKING:
    from sqlalchemy.sql.elements import ColumnElement

_NAMED: Final = listed(bindparam("names", type_=Text))
_BACKFILL: Final[ColumnElement[str]] = literal_column(f"'{Cause.BACKFILL.value}'")
_OPEN: Final = select(func.count()).where(IS_OPEN, runs.c.task_id == bindparam("task"))
_OWN: Final = _OPEN.where(runs.c.cause != _BACKFILL).scalar_subquery()
_BACKFILLS: Final = _OPEN.where(runs.c.cause == _BACKFILL, IS_RUNNING).scalar_subquery()
_ADVANCE: Final = (
    update(tasks)
    .where(
        tasks.c.id == bindparam("task"),
        tasks.c.cursor == bindparam("since"),
        tasks.c.removed.is_(False),
        or_(tasks.c.quarantined.is_(False), ~bindparam("starts", type_=Boolean)),
    )
    .values(cursor=bindparam("until"), next_run=bindparam("upcoming"))
)
ADVANCE: Final = Prepared(_ADVANCE)
ADVANCE_COUNTING: Final = Prepared(_ADVANCE.returning(_OWN, _BACKFILLS))
"""The same, telling how many open runs the task has, and how many backfills that run."""
INSERT: Final = Prepared(insert(runs), runs.c.keys(), "ON CONFLICT (task_id, fire_key) DO NOTHING")
REQUESTED: Final = Prepared(select(func.count()).select_from(runs).where(IS_REQUESTED))
"""How many runs that somebody asked for wait to be started."""
STARTED: Final = Prepared(
    update(tasks).where(tasks.c.id.bool_op("IN")(_NAMED)).values(last_run=bindparam("at"))
)
FIRED: Final = Prepared(
    update(tasks)
    .where(tasks.c.id == bindparam("task"))
    .values(
        fired=tasks.c.fired + bindparam("begun"),
        next_run=case((bindparam("begun") >= bindparam("most"), null()), else_=tasks.c.next_run),
    )
)
"""With the last run that a schedule may start, the task has no next one."""
START: Final = (
    update(runs)
    .where(runs.c.id.bool_op("IN")(_NAMED), IS_WAITING)
    .values(
        state=RunState.RUNNING.value,
        reason=None,
        token=runs.c.token + 1,
        attempt=runs.c.attempt + 1,
        node=bindparam("owner"),
        started_at=bindparam("at"),
        error=None,
        traceback=None,
    )
    .returning(runs)
)
END: Final = Prepared(
    update(runs)
    .where(runs.c.id == bindparam("run"), runs.c.token == bindparam("held"), IS_RUNNING)
    .values(
        state=bindparam("after"),
        reason=bindparam("why"),
        result=bindparam("gave"),
        error=bindparam("said"),
        traceback=bindparam("trace"),
        not_before=bindparam("earliest"),
        finished_at=bindparam("at"),
    )
)
RELEASE: Final = (
    update(runs)
    .where(runs.c.id == bindparam("run"), runs.c.token == bindparam("held"), IS_RUNNING)
    .values(
        state=bindparam("after"),
        reason=bindparam("why"),
        error=bindparam("said"),
        crashes=bindparam("crashed"),
        interruptions=bindparam("broken"),
        node=None,
        not_before=bindparam("earliest"),
        finished_at=bindparam("at"),
    )
)
DROPPED: Final = Prepared(
    update(tasks)
    .where(tasks.c.id == bindparam("task"), tasks.c.last_status.is_(None))
    .values(last_status=bindparam("after"))
)
"""A task that never ran shows what became of its occurrence instead."""
COUNT: Final = Prepared(
    update(tasks)
    .where(tasks.c.id == bindparam("task"))
    .values(
        last_status=bindparam("after"),
        completed=tasks.c.completed
        + case((bindparam("after") == literal(RunState.COMPLETED.value), 1), else_=0),
        failed=tasks.c.failed
        + case((bindparam("after") == literal(RunState.FAILED.value), 1), else_=0),
        crashes=case(
            (bindparam("after") == literal(RunState.COMPLETED.value), 0), else_=tasks.c.crashes
        ),
    )
)

ALIVE: Final = Prepared(
    select(nodes.c.id)
    .where(nodes.c.id == bindparam("node"), nodes.c.state == literal_column("'alive'"))
    .with_for_update(read=True)
)
"""Whoever wants to bury the node waits until the transaction has ended."""
RUNNING_OF: Final = Prepared(
    select(runs.c.task_id, func.count())
    .where(IS_OPEN, IS_RUNNING, runs.c.task_id.bool_op("IN")(_NAMED))
    .group_by(runs.c.task_id)
)
_NEXT: Final = (
    select(runs.c.id, runs.c.task_id, runs.c.state, runs.c.cause, runs.c.lane)
    .where(
        IS_WAITING,
        runs.c.lane == bindparam("lane"),
        runs.c.not_before <= bindparam("now"),
    )
    .order_by(runs.c.priority.desc(), runs.c.not_before, runs.c.id)
    .limit(bindparam("most"))
)
NEXT: Final = Prepared(_NEXT)
NEXT_BUT: Final = Prepared(_NEXT.where(runs.c.task_id.bool_op("NOT IN")(_NAMED)))
