"""From due tasks to the rows that one transaction writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from core.policy import Overlap
from core.records import Firing
from core.run import Cause, Reason, Run, RunState
from core.trigger import Decision, decide
from manager.engine.book import LiveTask

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from core.definition import TaskDefinition
    from core.records import StoredTask
    from core.run import RunIds
    from core.trigger import Schedule, Trigger
    from manager.engine.book import Book

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_TIMED: Final = frozenset({Cause.SCHEDULE, Cause.CATCH_UP})


def in_effect(definition: TaskDefinition, overrides: Mapping[str, Any]) -> TaskDefinition:
    """Return *definition* with what an operator set over it."""
    values = {name: override["value"] for name, override in overrides.items()}
    if values.get("timeout") is not None:
        values["timeout"] = timedelta(seconds=values["timeout"])
    return replace(definition, **values) if values else definition


def _has_passed(task: LiveTask) -> bool:
    return task.definition.trigger == "date" and task.next_run is None


class Upcoming:
    """First occurrences after instants: tasks that are bound together share many."""

    def __init__(self) -> None:
        self._found: dict[tuple[Schedule, datetime], datetime | None] = {}

    def after(self, schedule: Schedule, trigger: Trigger, instant: datetime) -> datetime | None:
        """Return the first occurrence of *schedule*, whose trigger is given, after *instant*."""
        key = schedule, instant
        if key not in self._found:
            self._found[key] = trigger.next_after(instant)
        return self._found[key]


class Planner:
    """Decides what becomes of occurrences; touches no database and no timer."""

    def __init__(self, book: Book, ids: RunIds, node_id: str, *, timed: bool) -> None:
        self._book = book
        self._ids = ids
        self._node_id = node_id
        self._timed = timed

    def first_run(
        self, definition: TaskDefinition, now: datetime, known: Upcoming | None = None
    ) -> datetime | None:
        """Return when *definition* is due first if *now* is its first registration.

        Args:
            definition: The task.
            now: When it is registered.
            known: What was found for other tasks, to be asked and filled.
        """
        if not definition.enabled:
            return None
        schedule = definition.schedule(now)
        return (known or Upcoming()).after(schedule, self._book.trigger(schedule), now)

    def live(
        self, definition: TaskDefinition, stored: StoredTask, known: Upcoming | None = None
    ) -> LiveTask:
        """Return the live task of *definition*, due from its stored cursor on.

        Args:
            definition: As a plugin or a call wrote it.
            stored: What the ledger knows of it.
            known: What was found for other tasks, to be asked and filled.
        """
        definition = in_effect(definition, stored.overrides)
        schedule = definition.schedule(stored.anchor)
        trigger = self._book.trigger(schedule)
        task = LiveTask(
            definition=definition,
            anchor=stored.anchor,
            cursor=stored.cursor,
            next_run=None,
            paused=stored.paused,
            schedule=schedule,
            trigger=trigger,
            revision=stored.revision,
            fired=stored.fired,
            quarantined=stored.quarantined,
        )
        if self._timed and task.is_timed:
            task.next_run = (known or Upcoming()).after(schedule, trigger, stored.cursor)
        return task

    def settle(
        self, task: LiveTask, stored: StoredTask, now: datetime, *, resumed: Reason | None
    ) -> Firing | None:
        """Return what must be written for a task that was just bound or changed, if anything.

        A date that had passed at its first registration becomes one ``MISSED`` run, the
        occurrences of a pause that ends become one ``SKIPPED`` run with their count.

        Args:
            task: As it is to be held.
            stored: As the ledger has it.
            now: Everything up to here is decided where it goes on.
            resumed: Why its occurrences waited until now, if they did.
        """
        if not self._timed:
            return None  # the nodes that fire occurrences decide what is due
        run: Run | None = None
        cursor = task.cursor
        if resumed is not None:
            last, count = task.trigger.last_until(now, cursor)
            cursor = max(now, cursor)  # the clock may have been set back in the pause
            task.next_run = task.trigger.next_after(cursor) if task.is_timed else None
            if last is not None and task.definition.enabled:
                run = self._dropped(task, last, count, RunState.SKIPPED, resumed, now)
        elif _has_passed(task) and stored.cursor <= stored.anchor:  # it is not decided yet
            moment, _ = task.trigger.last_until(stored.anchor, _BEGINNING)
            if moment is not None:
                cursor = max(now, cursor + timedelta.resolution)
                run = self._dropped(task, moment, 1, RunState.MISSED, Reason.PAST, now)
        if run is None and cursor == task.cursor and task.next_run == stored.next_run:
            return None
        return self._firing(task, cursor, task.next_run, () if run is None else (run,))

    def plan(
        self,
        due: list[LiveTask],
        now: datetime,
        slots: dict[str, int],
        leaked: Counter[str],
    ) -> list[Firing]:
        """Return the firings of *due* tasks; as many runs start at once as *slots* allow.

        Args:
            due: Tasks with an occurrence up to *now*.
            now: Everything up to here is decided.
            slots: Free places by lane; what is used is taken off.
            leaked: Calls by task that outlived their time limit: they take room.
        """
        memo: dict[tuple[Any, ...], Decision] = {}
        firings: list[Firing] = []
        for task in due:
            said = task.definition
            catch_up, grace = said.catch_up, said.misfire_grace_time
            key = (task.trigger, task.cursor, catch_up, grace)
            decision = memo.get(key)
            if decision is None:
                decision = decide(task.trigger, task.cursor, now, catch_up, grace, task.next_run)
                memo[key] = decision
            if task.left is not None:
                decision = replace(decision, fire=decision.fire[: task.left])
            if said.overlap.mode is Overlap.SKIP and leaked[said.id]:
                firings.append(self._overlapping(task, decision, now))
            else:
                firings.append(self._decided(task, decision, now, slots, leaked[said.id]))
        return firings

    def _overlapping(self, task: LiveTask, decision: Decision, now: datetime) -> Firing:
        """Return a firing that skips every occurrence: an earlier call cannot be stopped."""
        skipped = (1, RunState.SKIPPED, Reason.OVERLAP, now)
        runs = [self._dropped(task, instant, *skipped) for instant in decision.fire]
        return self._firing(
            task, now, decision.next_run, (*self._missed(task, decision, now), *runs)
        )

    def _missed(self, task: LiveTask, decision: Decision, now: datetime) -> tuple[Run, ...]:
        if not decision.missed or decision.missed_until is None:
            return ()
        dropped = (decision.missed_until, decision.missed, RunState.MISSED, Reason.LATE)
        return (self._dropped(task, *dropped, now),)

    def _decided(
        self,
        task: LiveTask,
        decision: Decision,
        now: datetime,
        slots: dict[str, int],
        leaked: int,
    ) -> Firing:
        overlap = task.definition.overlap
        queues = overlap.mode is Overlap.QUEUE
        room = overlap.room
        if room is not None and not queues:  # what is made up may wait for each other
            room = None if len(decision.fire) > 1 else room - leaked
        bounded = room is not None and not queues
        runs = list(self._missed(task, decision, now))
        lane = task.definition.lane
        cause = Cause.CATCH_UP if decision.late else Cause.SCHEDULE
        for instant in decision.fire:
            direct = (bounded or overlap.limit is None) and slots.get(lane, 0) > 0
            if direct:
                slots[lane] -= 1
            runs.append(self.new_run(task.definition, instant, cause, now, started=direct))
        upcoming, replaces = decision.next_run, overlap.mode is Overlap.REPLACE
        return self._firing(task, now, upcoming, tuple(runs), room=room, replace=replaces)

    def new_run(
        self,
        definition: TaskDefinition,
        instant: datetime,
        cause: Cause,
        now: datetime,
        *,
        started: bool = False,
    ) -> Run:
        """Return a run of *definition* for *instant*, already started if so asked."""
        run_id, lane, priority = self._ids.new(now), definition.lane, definition.priority
        if cause not in _TIMED:
            return Run.requested(run_id, definition.id, cause, now, lane=lane, priority=priority)
        return Run(
            id=run_id,
            task_id=definition.id,
            fire_key=instant.isoformat(),
            scheduled_for=instant,
            cause=cause,
            state=RunState.RUNNING if started else RunState.PENDING,
            lane=lane,
            priority=priority,
            attempt=int(started),
            token=int(started),
            node=self._node_id if started else None,
            not_before=now,
            created_at=now,
            started_at=now if started else None,
        )

    def _dropped(
        self,
        task: LiveTask,
        instant: datetime,
        count: int,
        state: RunState,
        reason: Reason,
        now: datetime,
    ) -> Run:
        run = self.new_run(task.definition, instant, Cause.SCHEDULE, now)
        return replace(run, state=state, reason=reason, occurrences=count, finished_at=now)

    @staticmethod
    def _firing(
        task: LiveTask,
        cursor: datetime,
        next_run: datetime | None,
        runs: tuple[Run, ...],
        *,
        room: int | None = None,
        replace: bool = False,
    ) -> Firing:
        return Firing(
            task_id=task.definition.id,
            since=task.cursor,
            cursor=cursor,
            next_run=next_run,
            runs=runs,
            room=room,
            replace=replace,
            left=task.left,
        )
