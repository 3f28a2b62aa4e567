"""Which node can run which tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, insert, select, update

from manager.storage.prepared import Prepared, driver_of
from manager.storage.tables import bindings, tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

_BIND: Final = Prepared(insert(bindings), bindings.c.keys(), "ON CONFLICT DO NOTHING")
_OFFERED: Final = select(bindings.c.task_id).where(bindings.c.node == bindparam("mine"))
_ELSEWHERE: Final = (
    select(tasks.c.id)
    .where(tasks.c.id.in_(_OFFERED), tasks.c.node.is_distinct_from(bindparam("mine")))
    .with_for_update(key_share=True, skip_locked=True)
)
_HOMES: Final = update(tasks).where(tasks.c.id.in_(_ELSEWHERE)).values(node=bindparam("mine"))


def offer(connection: Connection, task_ids: Sequence[str], node: str) -> None:
    """Enter *node* as one that can run tasks."""
    if task_ids:
        own = [{"node": node, "task_id": task_id} for task_id in task_ids]
        _BIND.run_each(driver_of(connection), own)


def settle(connection: Connection, node: str) -> None:
    """Enter *node* as the one that offered its tasks last.

    A hint only, by which listings find at once who lives: it waits for nobody who decides about
    a task at this moment.
    """
    connection.execute(_HOMES, {"mine": node})
