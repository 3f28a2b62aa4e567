"""Verbs on tasks and runs through the ledger alone: for a container of any process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import (
    DefinitionError,
    Problem,
    StateError,
    UnknownRunError,
    UnknownTaskError,
)
from core.registry import nearest
from core.run import Cause, Run, RunIds
from manager.scheduling import checked_arguments
from manager.storage.repeating import settled
from manager.task.backfilling import Backfill
from manager.task.pausing import end_pause

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.clock import Clock
    from core.trigger import TriggerFactories
    from manager.schemas.reading import BackfillRead, RunRead, TaskRead
    from manager.schemas.updating import TaskUpdate
    from manager.storage import SqlLedger
    from manager.storage.catalogue import Catalogue


class Control:
    """Changes what the ledger says; nodes hear of it within a second.

    Args:
        ledger: An open ledger.
        clock: Stamps what is written.
        actor: Who acts, for the audit.
        queue_size: Most runs that somebody asked for and that wait.
        followed: Whether an engine of this process follows.
        plugged: Kinds of trigger that plugins offer.
    """

    def __init__(
        self,
        ledger: SqlLedger,
        clock: Clock,
        actor: str,
        queue_size: int,
        *,
        followed: bool = False,
        plugged: TriggerFactories | None = None,
    ) -> None:
        self._plugged = plugged or {}
        self._followed = followed
        self._ledger = ledger
        self._clock = clock
        self._actor = actor
        self._queue_size = queue_size
        self._ids = RunIds()

    @property
    def is_heard(self) -> bool:
        """Whether a container runs that will follow orders."""
        return self._ledger.reading.is_heard(self._clock.now())

    def task(self, task_id: str) -> TaskRead:
        """Return a task.

        Raises:
            UnknownTaskError: there is none; the nearest id is named.
        """
        found = self._ledger.reading.tasks(task_id)
        if not found:
            known = [task.id for task in self._ledger.reading.tasks()]
            raise UnknownTaskError(task_id, nearest(task_id, known))
        return found[0]

    def run(self, run_id: str) -> RunRead:
        """Return a run with its attempts.

        Raises:
            UnknownRunError: there is none.
        """
        found = self._ledger.reading.run(run_id)
        if found is None:
            raise UnknownRunError(run_id)
        return found

    def pause(self, task_id: str, *, paused: bool) -> TaskRead:
        """Pause a task or let it go on; a pause outlives restarts.

        A task that goes on leaves its quarantine too, and the breakers that keep it back close.
        """
        before, now = self.task(task_id), self._clock.now()
        opened = () if paused else self._ledger.reading.evidence.breakers(*before.subjects)
        held = {"paused": before.paused}
        if not paused:
            held |= {"quarantined": before.quarantined, "breaker": bool(opened)}
        changed = {name: each for name, each in held.items() if each is not paused}

        def work(catalogue: Catalogue) -> None:
            catalogue.pause(task_id, paused=paused)
            if opened:
                catalogue.close_breakers([each.subject for each in opened], now)
            action = "pause" if paused else "resume"
            state = (changed, dict.fromkeys(changed, paused))
            catalogue.record(now, self._actor, action, task_id, *state)

        if changed:
            is_held = before.paused or before.quarantined
            if is_held and not (paused or self._followed or self.is_heard):
                end_pause(self._ledger, before, now, self._ids, self._plugged)
            self._ledger.amend(work)
        return self.task(task_id)

    def update(self, task_id: str, change: TaskUpdate) -> TaskRead:
        """Set options of a task over its definition; the edit outlives restarts.

        Raises:
            UnknownTaskError: there is none.
            DefinitionError: the new values do not make a task.
        """
        before = self.task(task_id)
        asked = change.model_dump(exclude_unset=True)
        values = {
            name: each for name, each in asked.items() if each is not None or name == "timeout"
        }
        _check_schedule(before, values, self._plugged)
        overrides = dict(before.overrides)
        for name, value in values.items():
            own = overrides[name]["definition"] if name in overrides else getattr(before, name)
            overrides[name] = {"value": value, "definition": own}
        now = self._clock.now()

        def work(catalogue: Catalogue) -> None:
            catalogue.override(task_id, values, overrides, now)
            old = {name: getattr(before, name) for name in values}
            catalogue.record(now, self._actor, "update", task_id, old, values)

        if values:
            self._ledger.amend(work)
        return self.task(task_id)

    def reset(self, task_id: str) -> TaskRead:
        """End every edit of a task: its definition holds again."""
        before = self.task(task_id)
        own = {name: override["definition"] for name, override in before.overrides.items()}
        now = self._clock.now()

        def work(catalogue: Catalogue) -> None:
            catalogue.override(task_id, own, {}, now)
            old = {name: override["value"] for name, override in before.overrides.items()}
            catalogue.record(now, self._actor, "reset", task_id, old, own)

        if own:
            self._ledger.amend(work)
        return self.task(task_id)

    def remove(self, task_id: str) -> None:
        """Take a task out; its history stays."""
        self.task(task_id)
        now = self._clock.now()

        def work(catalogue: Catalogue) -> None:
            catalogue.remove(task_id, now)
            catalogue.record(now, self._actor, "remove", task_id, None, None)

        self._ledger.amend(work)

    def run_now(self, task_id: str) -> RunRead:
        """Store a run that is due now; a node that has the task starts it within a second.

        Raises:
            UnknownTaskError: there is none.
            StateError: the task is quarantined.
            QueueFull: as many requested runs wait as may.
        """
        task = self._startable(task_id)
        now = self._clock.now()
        run_id = self._ids.new(now)
        more = {"lane": task.lane, "priority": task.priority}
        run = Run.requested(run_id, task_id, Cause.MANUAL, now, **more)
        settled(self._ledger, lambda tx: tx.request([run], self._queue_size))
        return self.run(run_id)

    def backfill(
        self, task_id: str, start: datetime, end: datetime, *, dry_run: bool = False
    ) -> BackfillRead:
        """Add a run for every occurrence from *start* to *end* that never ran; both included.

        Raises:
            UnknownTaskError: there is none.
            DefinitionError: the range cannot be meant, or holds too many occurrences.
            StateError: the task is quarantined.
            QueueFull: more requested runs would wait than may; none is added.
        """
        task = self.task(task_id) if dry_run else self._startable(task_id)
        backfill = Backfill(self._ledger, self._clock, self._ids, self._plugged)
        plan = backfill.plan(task, start, end)
        if dry_run or not plan.runs:
            return plan
        added, now = backfill.add(task, plan, self._queue_size), self._clock.now()

        def note(catalogue: Catalogue) -> None:
            said = {"start": start.isoformat(), "end": end.isoformat(), "runs": len(added.runs)}
            catalogue.record(now, self._actor, "backfill", task_id, None, said)

        self._ledger.amend(note)
        return added

    def cancel(self, run_id: str) -> RunRead:
        """Cancel a waiting run; ask a running one to end.

        Raises:
            UnknownRunError: there is none.
        """
        if self._ledger.cancel(run_id, self._clock.now()) is None:
            raise UnknownRunError(run_id)
        return self.run(run_id)

    def _startable(self, task_id: str) -> TaskRead:
        task = self.task(task_id)
        if task.quarantined:
            text = f"task {task_id!r} is quarantined: it crashed {task.crashes} times in a row"
            raise StateError(
                f"{text}. Once it is mended, 'taskrack resume {task_id}' lets it go on"
            )
        return task


def _check_schedule(task: TaskRead, values: Mapping[str, Any], plugged: TriggerFactories) -> None:
    if "trigger_args" in values:
        trigger = values.get("trigger", task.trigger)
        checked_arguments(trigger, values["trigger_args"], task.timezone, plugged)
    elif "trigger" in values and values["trigger"] != task.trigger:
        text = "a new trigger needs its arguments: give trigger_args too"
        raise DefinitionError(f"task {task.id!r}", [Problem("trigger", text)])
