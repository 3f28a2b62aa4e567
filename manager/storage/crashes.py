"""Crashes in a row of tasks, counted in the transaction that writes what became of the runs."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, func, null, or_, select, update

from core.crashing import CRASH_LIMIT, Quarantined, began, condemned
from manager.storage.locks import locks_of
from manager.storage.prepared import Prepared
from manager.storage.tables import IS_RUNNING, runs, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from core.run import Run

_IS_HELD: Final = select(runs.c.id).where(
    runs.c.id == bindparam("run"), runs.c.token == bindparam("held"), IS_RUNNING
)
_COUNT: Final = (
    update(tasks)
    .where(
        tasks.c.id == bindparam("task"),
        or_(tasks.c.crashed_at.is_(None), tasks.c.crashed_at <= bindparam("began")),
    )
    .values(crashes=tasks.c.crashes + 1, crashed_at=bindparam("at"))
    .returning(tasks.c.crashes)
)
_QUARANTINE: Final = (
    update(tasks)
    .where(tasks.c.id == bindparam("task"), tasks.c.quarantined.is_(False))
    .values(
        quarantined=True,
        next_run=null(),
        revision=select(func.max(tasks.c.revision) + 1).scalar_subquery(),
    )
)
WITHHELD: Final = Prepared(select(tasks.c.id).where(tasks.c.quarantined))
"""The tasks of which nothing starts."""


def judged(
    connection: Connection, dead: Sequence[Run], now: datetime
) -> tuple[dict[str, Run], list[Quarantined]]:
    """Count the crashes of *dead* against their tasks, and quarantine those with one too many.

    Runs that somebody else owns by now count for nothing.

    Returns:
        The runs that end otherwise than they alone decided, by id; the tasks that were
        quarantined.
    """
    held = [run for run in dead if _is_held(connection, run)]
    changed: dict[str, Run] = {}
    quarantined: list[Quarantined] = []
    for task_id, group in groupby(sorted(held, key=_order), key=attrgetter("task_id")):
        together = list(group)
        values = {"task": task_id, "began": began(together), "at": now}
        crashes = connection.execute(_COUNT, values).scalar_one_or_none()
        if crashes is None or crashes < CRASH_LIMIT:
            continue
        locks_of(connection).revise()
        if connection.execute(_QUARANTINE, {"task": task_id}).rowcount == 0:
            continue
        ended = condemned(together, crashes)
        if ended is not None:
            changed[ended.id] = ended
        quarantined.append(Quarantined(task_id, ended or together[-1], crashes))
    return changed, quarantined


def _order(run: Run) -> tuple[str, str]:
    return run.task_id, run.id


def _is_held(connection: Connection, run: Run) -> bool:
    values = {"run": run.id, "held": run.token}
    return connection.execute(_IS_HELD, values).first() is not None
