"""The tasks that this node times: what is due, and when the next one is."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.run import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.definition import TaskDefinition
    from core.ports import Timetable, TriggerFactory
    from core.trigger import Schedule, Trigger


_BUILT: Final = 4096
"""So many triggers are kept until they are used: tasks that are bound together share them."""
_SLACK: Final = 64
"""So many outdated entries the heap may hold beyond one for each task."""


@dataclass(slots=True)
class LiveTask:
    """A task as this node knows it.

    Attributes:
        definition: As in effect, overrides applied.
        anchor: First registration.
        cursor: Occurrences up to here have been decided.
        next_run: The next occurrence; ``None`` while it is not timed, or where none is left.
        paused: Whether occurrences wait for a resume.
        revision: Of the ledger's row that this was made from.
        fired: How many runs its schedule has started, where there is a most.
        quarantined: Whether nothing of it starts at all.
    """

    definition: TaskDefinition
    anchor: datetime
    cursor: datetime
    next_run: datetime | None
    paused: bool
    schedule: Schedule
    trigger: Trigger
    revision: int
    fired: int = 0
    quarantined: bool = False

    @property
    def id(self) -> str:
        """Its definition's id."""
        return self.definition.id

    @property
    def is_timed(self) -> bool:
        """Whether its occurrences fire."""
        return self.definition.enabled and self.held is None and self.left != 0

    @property
    def held(self) -> Reason | None:
        """Why its occurrences wait for a resume, if they do."""
        if self.quarantined:
            return Reason.QUARANTINED
        return Reason.PAUSED if self.paused else None

    @property
    def left(self) -> int | None:
        """How many runs its schedule may still start; ``None`` is any number."""
        most = self.definition.max_runs
        return None if most is None else max(0, most - self.fired)


class Book:
    """Live tasks by id, a heap of what is due next, and one timer per distinct schedule."""

    def __init__(self, timetable: Timetable, build: TriggerFactory) -> None:
        self._timetable = timetable
        self._build = build
        self._built: dict[Schedule, Trigger] = {}
        self._tasks: dict[str, LiveTask] = {}
        self._triggers: dict[Schedule, Trigger] = {}
        self._users: Counter[Schedule] = Counter()
        self._heap: list[tuple[datetime, str]] = []

    def trigger(self, schedule: Schedule) -> Trigger:
        """Return the trigger of *schedule*, the same one for all tasks that share it."""
        known = self._triggers.get(schedule, self._built.get(schedule))
        if known is None:
            if len(self._built) >= _BUILT:
                self._built.clear()
            known = self._built[schedule] = self._build(schedule)
        return known

    def get(self, task_id: str) -> LiveTask | None:
        """Return a live task, or ``None``."""
        return self._tasks.get(task_id)

    def all(self) -> list[LiveTask]:
        """Return every live task."""
        return list(self._tasks.values())

    def starting(self, definitions: Sequence[TaskDefinition]) -> list[str]:
        """Return the ids of those that also run when a container starts."""
        asked = (each.id for each in definitions if each.run_on_start)
        return [each for each in asked if each in self._tasks and self._tasks[each].is_timed]

    def put(self, task: LiveTask) -> None:
        """Hold *task*, in the place of what was held under its id, and time it."""
        before = self._tasks.get(task.definition.id)
        self._tasks[task.definition.id] = task
        self._users[task.schedule] += 1
        task.trigger = self._triggers.setdefault(task.schedule, task.trigger)
        self._built.pop(task.schedule, None)
        if before is not None:
            self._release(before.schedule)
        self.retime(task)

    def retime(self, task: LiveTask) -> None:
        """Take note that ``task.next_run`` changed."""
        if len(self._heap) > 2 * len(self._tasks) + _SLACK:
            tasks = self._tasks.values()
            self._heap = [(each.next_run, each.id) for each in tasks if each.next_run is not None]
            heapq.heapify(self._heap)
        if task.next_run is not None:
            heapq.heappush(self._heap, (task.next_run, task.definition.id))
            self._timetable.watch(task.schedule, task.trigger)

    def remove(self, task_id: str) -> None:
        """Let go of a task; its timer goes with the last task that shares it."""
        task = self._tasks.pop(task_id, None)
        if task is not None:
            self._release(task.schedule)

    def due(self, now: datetime) -> list[LiveTask]:
        """Return the tasks whose next run has come, each once; they leave the heap."""
        found: dict[str, LiveTask] = {}
        while self._heap and self._heap[0][0] <= now:
            instant, task_id = heapq.heappop(self._heap)
            task = self._tasks.get(task_id)
            if task is not None and task.next_run == instant:
                found[task_id] = task
        return list(found.values())

    def earliest(self) -> datetime | None:
        """Return when the next task is due; an instant in the past means now."""
        return self._heap[0][0] if self._heap else None

    def _release(self, schedule: Schedule) -> None:
        self._users[schedule] -= 1
        if self._users[schedule] == 0:
            del self._users[schedule], self._triggers[schedule]
            self._timetable.unwatch(schedule)
