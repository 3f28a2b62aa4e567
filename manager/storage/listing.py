"""Tasks as they are listed: read in plain columns, and turned into values with little work.

A container may hold ten thousand tasks, and pages and commands ask for all of them. Equal texts
and instants are therefore turned into values once.
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

_SHOWN: Final = tuple(TaskRead.model_fields)
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
    with _uncollected():
        return TaskRead.vouched(_built(rows, busy, around))


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
) -> Iterator[dict[str, Any]]:
    parsed, words = _Once(json.loads), _Once(lambda text: tuple(json.loads(text)))
    instants = _Once(lambda micros: None if micros is None else from_micros(micros))
    for row in sorted(rows, key=itemgetter(0)):
        task = dict(zip(_SHOWN, row, strict=False))  # the query names as many
        task["tags"] = words[task["tags"]]
        task["trigger_args"] = parsed[task["trigger_args"]]
        task["options"] = parsed[task["options"]]
        task["overrides"] = parsed[task["overrides"]]
        task["last_run"] = instants[task["last_run"]]
        task["next_run"] = instants[task["next_run"]] if around.timed else None
        task["last_status"] = _STATES[task["last_status"]]
        task["status"] = busy.get(task["id"]) or _idle(task, around)
        yield task


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
