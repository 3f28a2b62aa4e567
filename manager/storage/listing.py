"""Tasks as they are listed: read in plain columns, turned into values column by column.

A container may hold ten thousand tasks, and pages and commands ask for all of them. Values are
therefore made a column at a time, and equal JSON texts are parsed once.
"""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, type_coerce

from core.run import RunState, TaskState
from manager.schemas.reading import TaskRead
from manager.storage.tables import tasks
from manager.storage.types import Instant, Json, from_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement

_SHOWN: Final = tuple(name for name in TaskRead.model_fields if name != "status")
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
    column = tasks.c[name]
    kind = column.type
    return type_coerce(column, kind.impl) if isinstance(kind, Instant | Json) else column


LISTED: Final = select(*map(_plain, _SHOWN)).where(tasks.c.removed.is_(False))
"""The query whose rows ``task_reads`` takes; sorting them there is cheaper than by the index."""


def task_reads(
    rows: Sequence[Sequence[Any]], busy: Mapping[str, TaskState], around: Liveness
) -> list[TaskRead]:
    """Return what is shown of tasks.

    Args:
        rows: What ``LISTED`` gave.
        busy: What tasks with a run under way are doing.
        around: What is alive.
    """
    if not rows:
        return []
    with _uncollected():
        return _built(rows, busy, around)


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


def _built(
    rows: Sequence[Sequence[Any]], busy: Mapping[str, TaskState], around: Liveness
) -> list[TaskRead]:
    ordered_rows = sorted(rows, key=itemgetter(0))
    columns: dict[str, Sequence[Any]] = dict(
        zip(_SHOWN, zip(*ordered_rows, strict=True), strict=True),
    )
    for name, convert in _CONVERSIONS.items():
        columns[name] = convert(columns[name])
    columns["status"] = [
        busy.get(task_id) or _idle(task_id, enabled, paused, next_run, around)
        for task_id, enabled, paused, next_run in zip(
            columns["id"], columns["enabled"], columns["paused"], columns["next_run"], strict=True
        )
    ]
    if not around.timed:
        columns["next_run"] = [None] * len(rows)
    names = tuple(TaskRead.model_fields)
    ordered = (columns[name] for name in names)
    return TaskRead.vouched(
        dict(zip(names, values, strict=True)) for values in zip(*ordered, strict=True)
    )


def _parsed(texts: Sequence[str]) -> list[Any]:
    values = {text: json.loads(text) for text in set(texts)}
    return [values[text] for text in texts]


def _words(texts: Sequence[str]) -> list[Any]:
    values = {text: tuple(json.loads(text)) for text in set(texts)}
    return [values[text] for text in texts]


def _instants(micros: Sequence[int | None]) -> list[Any]:
    values = {each: None if each is None else from_micros(each) for each in set(micros)}
    return [values[each] for each in micros]


_CONVERSIONS: Final[Mapping[str, Callable[[Sequence[Any]], list[Any]]]] = {
    "tags": _words,
    "trigger_args": _parsed,
    "options": _parsed,
    "overrides": _parsed,
    "next_run": _instants,
    "last_run": _instants,
    "last_status": lambda values: [_STATES[each] for each in values],
}


def _idle(
    task_id: str, enabled: object, paused: object, next_run: object, around: Liveness
) -> TaskState:
    if task_id in around.unbound:
        return TaskState.UNBOUND
    if not enabled or not around.timed:
        return TaskState.DISABLED
    if paused:
        return TaskState.PAUSED
    return TaskState.SCHEDULED if next_run is not None else TaskState.FINISHED
