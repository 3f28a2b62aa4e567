"""Tasks as they are listed: what a definition wrote is read once, what changes each time.

A container may hold ten thousand tasks, and pages and commands ask for all of them. What their
definitions say is kept until its mark in the ledger changes, so that a second look reads only a
few narrow columns.
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
from manager.schemas.reading import TaskRead
from manager.storage.tables import tasks
from manager.storage.types import Instant, Json, from_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

_SHOWN: Final = tuple(TaskRead.model_fields)
_JSON: Final = ("tags", "trigger_args", "overrides", "options")
_MARK: Final = ("fingerprint", "revision", "source")
_LIVE: Final = ("last_status", "last_run", "next_run", "paused", "completed", "failed")
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


Facts = tuple[tuple[Any, ...], dict[str, Any]]
"""The mark of a task's definition in the ledger, and what is shown of it."""
_EACH: Final = select(*map(_plain, ("id", *_MARK, *_LIVE))).where(tasks.c.removed.is_(False))
_FACTS: Final = select(*map(_plain, (*_SHOWN, *_MARK[:2])))


class Listing:
    """Reads tasks; remembers what their definitions say."""

    def __init__(self) -> None:
        self._facts: dict[str, Facts] = {}

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
        query = _EACH if task_id is None else _EACH.where(tasks.c.id == task_id)
        with _uncollected():
            rows = sorted(connection.execute(query).all(), key=itemgetter(0))
            known = self._known(connection, rows)
            if task_id is None:
                self._facts = known
            return TaskRead.vouched(_built(rows, known, busy, around))

    def _known(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> dict[str, Facts]:
        """Return the facts of *rows*, those whose mark changed read anew."""
        known: dict[str, Facts] = {}
        stale: list[str] = []
        for row in rows:
            facts = self._facts.get(row[0])
            if facts is None or facts[0] != tuple(row[1:4]):
                stale.append(row[0])
            else:
                known[row[0]] = facts
        if stale:
            query = _FACTS if len(stale) > _FEW else _FACTS.where(tasks.c.id.in_(stale))
            parsed = _Once(json.loads)
            for row in connection.execute(query):
                values = dict(zip(_SHOWN, row, strict=False))  # the mark follows what is shown
                for name in _JSON:
                    values[name] = parsed[values[name]]
                values["tags"] = tuple(values["tags"])
                mark = (row[-2], row[-1], values["source"])
                known[values["id"]] = (mark, values)
        return known


def _built(
    rows: Sequence[Sequence[Any]],
    known: Mapping[str, Facts],
    busy: Mapping[str, TaskState],
    around: Liveness,
) -> Iterator[dict[str, Any]]:
    instants = _Once(lambda micros: None if micros is None else from_micros(micros))
    for row in rows:
        task_id, _, _, _, last_status, last_run, next_run, paused, completed, failed = row
        task = known[task_id][1].copy()
        task["trigger_args"] = task["trigger_args"].copy()
        task["overrides"] = task["overrides"].copy()
        task["options"] = task["options"].copy()
        task["last_status"] = _STATES[last_status]
        task["last_run"] = instants[last_run]
        task["next_run"] = instants[next_run] if around.timed else None
        task["paused"] = paused
        task["completed"] = completed
        task["failed"] = failed
        task["status"] = busy.get(task_id) or _idle(task, around)
        yield task


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


def _idle(task: Mapping[str, Any], around: Liveness) -> TaskState:
    if task["id"] in around.unbound:
        return TaskState.UNBOUND
    if not task["enabled"] or not around.timed:
        return TaskState.DISABLED
    if task["paused"]:
        return TaskState.PAUSED
    return TaskState.SCHEDULED if task["next_run"] is not None else TaskState.FINISHED
