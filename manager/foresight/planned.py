"""Tasks with where their schedules stand, and every instant at which they are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.policy import CatchUp, Dst
from core.run import TaskState
from core.trigger import decide
from manager.scheduling import KINDS, build_trigger, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from core.trigger import Schedule, Trigger, TriggerFactories
    from manager.schemas.reading import TaskRead
    from manager.storage.evidence import Standing
    from manager.storage.reading import Reading

COMBINED: Final = frozenset({"and", "or", "except"})


@dataclass(frozen=True, slots=True)
class Planned:
    """A task, and where its schedule stands.

    Attributes:
        task: As it is read.
        anchor: First registration.
        cursor: Occurrences up to here are decided.
        fired: How many runs its schedule has started, counted while it has a most.
    """

    task: TaskRead
    anchor: datetime
    cursor: datetime
    fired: int = 0

    @property
    def id(self) -> str:
        """The task's id."""
        return self.task.id

    @property
    def dst(self) -> Dst:
        """What its fixed local times do where the clock is set."""
        return Dst(self.task.options.get("dst", Dst.ONCE))

    @property
    def catch_up(self) -> CatchUp:
        """What is made up after down time."""
        return CatchUp(self.task.options.get("catch_up", CatchUp.LATEST))

    @property
    def grace(self) -> timedelta | None:
        """An occurrence noticed later than this is dropped."""
        seconds = self.task.options.get("misfire_grace_time")
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def left(self) -> int | None:
        """How many runs its schedule may still start; ``None`` is any number."""
        most = self.task.options.get("max_runs")
        return None if most is None else max(0, most - self.fired)

    @property
    def schedule(self) -> Schedule:
        """When it is due; equal to its definition's own schedule."""
        return self.task.schedule(self.anchor)

    def is_known(self, plugged: TriggerFactories) -> bool:
        """Tell whether its kinds of trigger are built in, or among those that plugins offer."""
        known = KINDS.keys() | plugged.keys()
        return all(kind in known for kind in _kinds(self.task.trigger, self.task.trigger_args))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a forecast and an explanation go by.

    Attributes:
        now: The instant at which it is asked.
        tasks: Every task, by id.
        plugged: Kinds of trigger that plugins offer, known where a container runs.
        unbound: Tasks whose function no living node has.
        timed: Whether occurrences fire.
        heard: Whether a container runs.
        places: How many runs there may be at once, by lane.
    """

    now: datetime
    tasks: Mapping[str, Planned]
    plugged: TriggerFactories = field(default_factory=dict)
    unbound: frozenset[str] = frozenset()
    timed: bool = True
    heard: bool = True
    places: Mapping[str, int] = field(default_factory=dict)

    def trigger(self, planned: Planned) -> Trigger:
        """Return the trigger of a task whose kind is known."""
        return build_trigger(planned.schedule, self.plugged)

    def idle(self, planned: Planned) -> TaskState | None:
        """Return why occurrences of a task do not become runs, or ``None`` where they do."""
        if planned.id in self.unbound:
            return TaskState.UNBOUND
        if not planned.task.enabled or not self.timed:
            return TaskState.DISABLED
        if planned.task.quarantined:
            return TaskState.QUARANTINED
        if planned.task.paused:
            return TaskState.PAUSED
        return TaskState.FINISHED if planned.left == 0 else None


def look_ahead(
    reading: Reading,
    now: datetime,
    *,
    plugged: TriggerFactories | None = None,
    places: Mapping[str, int] | None = None,
    task_id: str | None = None,
) -> Outlook:
    """Return the outlook that a ledger gives at *now*, on all tasks or on one."""
    standings = reading.evidence.standings(task_id)
    alive = reading.liveness()
    tasks = {
        task.id: planned_of(task, standings[task.id])
        for task in reading.tasks(task_id)
        if task.id in standings
    }
    return Outlook(
        now=now,
        tasks=tasks,
        plugged=plugged or {},
        unbound=alive.unbound,
        timed=alive.timed,
        heard=reading.is_heard(now),
        places=places or {},
    )


def schedule_words(planned: Planned) -> str:
    """Return the schedule of a task in words."""
    task = planned.task
    arguments = (task.trigger, task.trigger_args, task.timezone)
    return describe(*arguments, dst=planned.dst, options=task.options)


def planned_of(task: TaskRead, standing: Standing) -> Planned:
    """Return a task with where its schedule stands."""
    return Planned(task, standing.anchor, standing.cursor, standing.fired)


def instants(
    outlook: Outlook, planned: Planned, after: datetime, until: datetime
) -> list[datetime]:
    """Return when the engine will start runs of a task in ``(after, until]``, ascending.

    Where the schedule may start a certain number of runs only, those of them that are due before
    are taken off, and none is taken to be skipped.
    """
    if outlook.idle(planned) is not None or not planned.is_known(outlook.plugged):
        return []
    trigger = outlook.trigger(planned)
    left = planned.left
    if left is None:
        return list(trigger.between(after, until))
    begin = max(after, planned.cursor)
    now = max(planned.cursor, outlook.now)
    if outlook.now > planned.cursor:
        made_up = decide(trigger, planned.cursor, outlook.now, planned.catch_up, planned.grace)
        left -= min(left, len(made_up.fire))
    left -= min(left, trigger.last_until(begin, now)[1]) if begin > now else 0
    found: list[datetime] = []
    for moment in trigger.between(begin, until):
        if len(found) >= left:
            break
        found.append(moment)
    return found


def pairs(
    outlook: Outlook, planned: Iterable[Planned], after: datetime, until: datetime
) -> list[tuple[datetime, str]]:
    """Return every instant with the task that is due then, ascending, as plain pairs."""
    found = [(at, each.id) for each in planned for at in instants(outlook, each, after, until)]
    found.sort()
    return found


def _kinds(kind: str, arguments: Mapping[str, object]) -> Iterator[str]:
    yield kind
    parts = arguments.get("triggers")
    if kind in COMBINED and isinstance(parts, list):
        for part in parts:
            yield from _kinds(part["trigger"], part["trigger_args"])
