"""The tasks that this process can run, by id."""

from __future__ import annotations

import difflib
import threading
from typing import TYPE_CHECKING, Any

from core.errors import DuplicateTaskError, TaskLimitError, UnknownTaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from zoneinfo import ZoneInfo

    from core.definition import TaskDefinition


class Registry:
    """Holds definitions under unique ids and enforces ``max_tasks``; safe to use from threads.

    Attributes:
        limit: Most tasks.
        triggers: Kinds of trigger that plugins offer, by name.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.triggers: dict[str, Callable[[Mapping[str, Any], ZoneInfo], object]] = {}
        self._lock = threading.Lock()
        self._definitions: dict[str, TaskDefinition] = {}
        self._calls: dict[str, TaskDefinition] = {}

    def add(self, definition: TaskDefinition, *, replace_existing: bool = False) -> TaskDefinition:
        """Register *definition* and return what now holds under its id.

        The same id with the same function is the same task: what a plugin's module wrote is the
        base, and the options that a call wrote out lie over it, in whichever order they come.

        Raises:
            DuplicateTaskError: another function has the id and *replace_existing* is off.
            TaskLimitError: it would be one task too many.
        """
        with self._lock:
            known = self._definitions.get(definition.id)
            if known is None and len(self._definitions) >= self.limit:
                raise TaskLimitError(definition.id, self.limit)
            if known is not None and not replace_existing:
                definition = self._united(known, definition)
            elif definition.called:
                self._calls[definition.id] = definition
            self._definitions[definition.id] = definition
            return definition

    def _united(self, known: TaskDefinition, again: TaskDefinition) -> TaskDefinition:
        """Return what holds when *again* comes for the id of *known*; what calls wrote is kept."""
        if known.func != again.func:
            raise DuplicateTaskError(again.id, known.source, again.source)
        before = self._calls.get(again.id)
        if again.called:
            self._calls[again.id] = again if before is None else before.amended(again)
            return known.amended(again)
        return again if before is None else again.amended(before)

    def replace(self, definition: TaskDefinition) -> None:
        """Put *definition* in the place of the one with its id, if there is one."""
        with self._lock:
            if definition.id in self._definitions:
                self._definitions[definition.id] = definition

    def remove(self, task_id: str) -> None:
        """Forget *task_id*; unknown ids are none of its concern."""
        with self._lock:
            self._definitions.pop(task_id, None)
            self._calls.pop(task_id, None)

    def get(self, task_id: str) -> TaskDefinition | None:
        """Return the definition of *task_id*, or ``None``."""
        return self._definitions.get(task_id)

    def require(self, task_id: str) -> TaskDefinition:
        """Return the definition of *task_id*.

        Raises:
            UnknownTaskError: there is none; the nearest id is named.
        """
        definition = self.get(task_id)
        if definition is None:
            raise UnknownTaskError(task_id, nearest(task_id, self.ids()))
        return definition

    def ids(self) -> list[str]:
        """Return every id, in the order of registration."""
        with self._lock:
            return list(self._definitions)

    def all(self) -> list[TaskDefinition]:
        """Return every definition, in the order of registration."""
        with self._lock:
            return list(self._definitions.values())


def nearest(word: str, known: list[str]) -> str | None:
    """Return the one of *known* that *word* was probably meant to be."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return close[0] if close else None
