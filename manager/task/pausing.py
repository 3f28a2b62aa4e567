"""The end of a pause, or of a quarantine, while no container runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from core.errors import TriggerError
from core.records import Firing
from core.run import Cause, Reason, Run, RunState
from manager.scheduling import build_trigger
from manager.storage.repeating import settled

if TYPE_CHECKING:
    from datetime import datetime

    from core.run import RunIds
    from core.trigger import TriggerFactories
    from manager.schemas.reading import TaskRead
    from manager.storage import SqlLedger


def end_pause(
    ledger: SqlLedger, task: TaskRead, now: datetime, ids: RunIds, plugged: TriggerFactories
) -> None:
    """Record what fell due in the pause of *task* as one skipped run, and decide no more of it.

    An engine does that when it hears of a resume. Where none runs, the next one to start must
    not take the pause for down time.
    """
    stored = ledger.stored([task.id])[task.id]
    try:
        trigger = build_trigger(task.schedule(stored.anchor), plugged)
    except TriggerError:  # a plugin's kind, and no plugin is loaded here
        return
    last, count = trigger.last_until(now, stored.cursor)
    if last is None or not task.enabled:
        return
    more = {"lane": task.lane, "priority": task.priority}
    run = Run.requested(ids.new(now), task.id, Cause.SCHEDULE, now, **more)
    skipped = replace(
        run,
        fire_key=last.isoformat(),
        scheduled_for=last,
        state=RunState.SKIPPED,
        reason=Reason.QUARANTINED if task.quarantined else Reason.PAUSED,
        occurrences=count,
        finished_at=now,
    )
    upcoming = trigger.next_after(now)
    firing = Firing(
        task_id=task.id, since=stored.cursor, cursor=now, next_run=upcoming, runs=(skipped,)
    )
    settled(ledger, lambda tx: tx.fire([firing]))
