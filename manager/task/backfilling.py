"""Runs for a range of the past, on demand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from configurations.masking import shown
from core.errors import DefinitionError, Problem
from core.run import Cause, Run
from manager.scheduling import build_trigger
from manager.schemas.reading import BackfillRead
from manager.storage.repeating import settled

if TYPE_CHECKING:
    from core.clock import Clock
    from core.ports import LedgerTransaction
    from core.run import RunIds
    from core.trigger import TriggerFactories
    from manager.schemas.reading import TaskRead
    from manager.storage import SqlLedger

MOST: Final = 10_000
"""So many runs one call may add."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No range begins before it: a search from the first century on would hold its caller."""
_MICROSECOND: Final = timedelta(microseconds=1)


class Backfill:
    """Adds the runs that a task's schedule names in a range and that never started.

    Args:
        ledger: An open ledger.
        clock: Tells what has passed.
        ids: Makes ids of runs.
        plugged: Kinds of trigger that plugins offer.
    """

    def __init__(
        self, ledger: SqlLedger, clock: Clock, ids: RunIds, plugged: TriggerFactories
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._plugged = plugged

    def plan(self, task: TaskRead, start: datetime, end: datetime) -> BackfillRead:
        """Return what a backfill of *task* from *start* to *end*, both included, would run.

        Raises:
            DefinitionError: the range cannot be meant, or holds too many occurrences.
        """
        stored = self._ledger.stored([task.id])[task.id]
        problems = _problems(start, end, self._clock.now())
        if problems:
            raise DefinitionError("backfill", problems)
        trigger = build_trigger(task.schedule(stored.anchor), self._plugged)
        decided = min(end, stored.cursor)  # what comes after it the schedule itself will fire
        since = start - _MICROSECOND
        count = trigger.last_until(decided, since)[1]
        if count > MOST:
            text = f"expected at most {MOST} occurrences in one range, got {count}; make it shorter"
            raise DefinitionError("backfill", [Problem("end", text)])
        ran = self._ledger.reading.ran(task.id, start, decided)
        wanted = [moment for moment in trigger.between(since, decided) if moment not in ran]
        return BackfillRead(
            task_id=task.id, start=start, end=end, runs=tuple(wanted), left=count - len(wanted)
        )

    def add(self, task: TaskRead, plan: BackfillRead, queue_size: int) -> BackfillRead:
        """Store the runs of *plan*; they start after everything of the task that is due.

        A run that another call stored meanwhile is not stored twice.

        Raises:
            QueueFull: more than *queue_size* requested runs would wait; none is stored.
        """
        now = self._clock.now()
        runs = [self._run(task, moment, now) for moment in plan.runs]

        def work(transaction: LedgerTransaction) -> tuple[datetime, ...]:
            return tuple(run.scheduled_for for run in transaction.request(runs, queue_size))

        added = settled(self._ledger, work)
        left = plan.left + len(runs) - len(added)
        return plan.model_copy(update={"runs": added, "left": left})

    def _run(self, task: TaskRead, moment: datetime, now: datetime) -> Run:
        run = Run.requested(
            self._ids.new(now),
            task.id,
            Cause.BACKFILL,
            now,
            lane=task.lane,
            priority=task.priority - 1,
        )
        key = f"{Cause.BACKFILL.value} {moment.isoformat()}"
        return replace(run, fire_key=key, scheduled_for=moment)


def _problems(start: datetime, end: datetime, now: datetime) -> list[Problem]:
    naive = [name for name, at in (("start", start), ("end", end)) if at.tzinfo is None]
    text = "expected an instant with an offset, got one without"
    if naive:
        return [Problem(name, text) for name in naive]
    if start < EARLIEST:
        text = f"expected an instant from {EARLIEST:%Y-%m-%d} on, got {shown(str(start))}"
        return [Problem("start", text)]
    if end < start:
        return [Problem("end", f"expected an instant after the start, got {shown(str(end))}")]
    if end > now:
        text = f"expected an instant that has passed, got {shown(str(end))}"
        return [Problem("end", f"{text}; what is to come the schedule runs itself")]
    return []
