"""Tasks as they are listed: what has not changed since the last look is not made again.

A container may hold ten thousand tasks, and pages and commands ask for all of them. Every look
reads the ledger, but only a few narrow columns of it; what definitions say is read when its mark
has changed, and a task of which nothing changed is the object that was given out before.
"""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import null, select, type_coerce

from core.run import RunState, TaskState
from manager.schemas.reading import ReadOnly, TaskRead
from manager.storage.tables import tasks
from manager.storage.types import Instant, Json, from_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

_SHOWN: Final = tuple(TaskRead.model_fields)
_FIELDS: Final = set(_SHOWN)
_JSON: Final = ("tags", "trigger_args", "overrides", "options")
_MARK: Final = ("fingerprint", "revision", "source")
_LIVE: Final = (
    *("last_status", "last_run", "next_run", "paused", "completed", "failed"),
    *("quarantined", "crashes"),
)
_NARROW: Final = ("id", *_MARK, *_LIVE)
_WIDE: Final = (*_SHOWN, "fingerprint", "revision")
_narrow_of_wide: Final = itemgetter(*(_WIDE.index(name) for name in _NARROW))
_FEW: Final = 500
_STATES: Final[dict[str | None, RunState | None]] = {
    None: None,
    **{state.value: state for state in RunState},
}


@dataclass(frozen=True, slots=True)
class Liveness:
    """What is alive around the ledger.

    Attributes:
        unbound: Tasks whose function no living node has; empty where no node is alive.
        timed: Whether occurrences fire.
    """

    unbound: frozenset[str]
    timed: bool


def _plain(name: str) -> ColumnElement[Any]:
    if name == "status":
        return null().label(name)  # its place; it is derived
    column = tasks.c[name]
    kind = column.type
    return type_coerce(column, kind.impl) if isinstance(kind, Instant | Json) else column


Row = tuple[Any, ...]
"""The narrow columns of a task, plain as the database has them."""
Around = tuple[TaskState | None, bool, bool]
"""What else decides a task's status: what it is busy with, whether unbound, whether timed."""
_EACH: Final = select(*map(_plain, _NARROW)).where(tasks.c.removed.is_(False))
_WHOLE: Final = select(*map(_plain, _WIDE)).where(tasks.c.removed.is_(False))


class Listing:
    """Reads tasks; remembers each that it gave out, and what it was made of."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Row, Around, TaskRead]] = {}

    def read(
        self,
        connection: Connection,
        busy: Mapping[str, TaskState],
        around: Liveness,
        task_id: str | None = None,
    ) -> list[TaskRead]:
        """Return every task, or only *task_id*, in the order of their ids.

        Args:
            connection: Sees one state of the ledger.
            busy: What tasks with a run under way are doing.
            around: What is alive.
            task_id: The one that is asked for.
        """
        with _uncollected():
            if task_id is None and not self._kept:
                wide = connection.execute(_WHOLE).all()
                rows = [_narrow_of_wide(row) for row in wide]
                facts = _facts(wide)
            else:
                query = _EACH if task_id is None else _EACH.where(tasks.c.id == task_id)
                rows = [tuple(row) for row in connection.execute(query)]
                facts = self._changed(connection, rows)
            rows.sort(key=itemgetter(0))
            shown = self._shown(rows, facts, busy, around)
            if task_id is None:
                self._kept = shown
            return [task for _, _, task in shown.values()]

    def _changed(self, connection: Connection, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
        """Return what the definitions say of those of *rows* whose mark is another than before."""
        changed = [
            row[0]
            for row in rows
            if (kept := self._kept.get(row[0])) is None or kept[0][1:4] != row[1:4]
        ]
        if not changed:
            return {}
        query = _WHOLE if len(changed) > _FEW else _WHOLE.where(tasks.c.id.in_(changed))
        return _facts(connection.execute(query).all())

    def _shown(
        self,
        rows: Sequence[Row],
        facts: Mapping[str, dict[str, Any]],
        busy: Mapping[str, TaskState],
        around: Liveness,
    ) -> dict[str, tuple[Row, Around, TaskRead]]:
        """Return *rows* as tasks: those given out before where nothing changed, or new ones."""
        unbound, timed = around.unbound, around.timed
        instants = _Once(lambda micros: None if micros is None else from_micros(micros))
        shown = {}
        for row in rows:
            task_id = row[0]
            beside = (busy.get(task_id), task_id in unbound, timed)
            kept = self._kept.get(task_id)
            if kept is None or kept[0] != row or kept[1] != beside:
                task = facts.get(task_id) or self._kept[task_id][2].__dict__.copy()
                task["last_status"] = _STATES[row[4]]
                task["last_run"] = instants[row[5]]
                task["next_run"] = instants[row[6]] if timed else None
                task["paused"], task["completed"], task["failed"] = row[7:10]
                task["quarantined"], task["crashes"] = row[10:]
                task["status"] = _status(task, beside)
                kept = (row, beside, TaskRead.vouched(task, _FIELDS))
            shown[task_id] = kept
        return shown


def _facts(rows: Sequence[Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Return what the definitions of whole *rows* say, by task."""
    parsed = _Once(lambda text: json.loads(text, object_hook=ReadOnly))
    facts = {}
    for row in rows:
        values = dict(zip(_SHOWN, row, strict=False))  # the mark follows what is shown
        for name in _JSON:
            values[name] = parsed[values[name]]
        values["tags"] = tuple(values["tags"])
        facts[values["id"]] = values
    return facts


def _status(task: Mapping[str, Any], beside: Around) -> TaskState:
    busy, unbound, timed = beside
    if busy is TaskState.RETRYING and task["quarantined"]:
        busy = None  # its next attempt waits for a resume as everything does
    if busy is not None:
        return busy
    if unbound:
        return TaskState.UNBOUND
    if task["quarantined"]:
        return TaskState.QUARANTINED
    if not task["enabled"] or not timed:
        return TaskState.DISABLED
    if task["paused"]:
        return TaskState.PAUSED
    return TaskState.SCHEDULED if task["next_run"] is not None else TaskState.FINISHED


@contextmanager
def _uncollected() -> Iterator[None]:
    """Put the garbage collector off: ten thousand tasks hold no cycle, and a look costs as much."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Once(dict[Any, Any]):
    """Makes a value when its key is first asked for."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: object) -> Any:  # noqa: ANN401 - whatever is made
        value = self[key] = self._make(key)
        return value
