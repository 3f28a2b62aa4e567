"""APScheduler as the timing core: one entry in memory per distinct schedule, and nothing more."""

from __future__ import annotations

import logging
from datetime import UTC
from typing import TYPE_CHECKING, Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from core.trigger import Schedule, Trigger


class ApsTimetable:
    """Calls back when a schedule is due; holds no task and runs none.

    APScheduler wakes for the earliest entry and calls in its own thread. Its stores, executors
    and misfire rules are not used: what is due is decided from the ledger.
    """

    def __init__(self) -> None:
        self._scheduler: BackgroundScheduler | None = None
        self._entries: dict[Schedule, Any] = {}
        self._due: Callable[[Schedule], None] | None = None
        self._early: dict[Schedule, Trigger] = {}

    def start(self, due: Callable[[Schedule], None]) -> None:
        """Begin to call *due* in a thread of its own, for each schedule that falls due."""
        self._due = due
        quiet = logging.getLogger("taskrack.timing")
        quiet.setLevel(logging.WARNING)
        self._scheduler = BackgroundScheduler(
            timezone=UTC, logger=quiet, executors={"default": _Inline()}
        )
        for schedule, trigger in self._early.items():
            self._add(self._scheduler, schedule, trigger)
        self._early.clear()
        self._scheduler.start()

    def watch(self, schedule: Schedule, trigger: Trigger) -> None:
        """Call back at the occurrences of *schedule*; watching it again is harmless."""
        if schedule in self._entries:
            return
        if self._scheduler is None:
            self._early[schedule] = trigger
        else:
            self._add(self._scheduler, schedule, trigger)

    def unwatch(self, schedule: Schedule) -> None:
        """Stop calling back for *schedule*."""
        self._early.pop(schedule, None)
        entry = self._entries.pop(schedule, None)
        if entry is not None:
            try:
                entry.remove()
            except JobLookupError:
                return  # its last occurrence has passed

    def stop(self) -> None:
        """Stop calling back at all; a later start begins anew."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        self._entries.clear()
        self._early.clear()

    def _add(self, scheduler: BackgroundScheduler, schedule: Schedule, trigger: Trigger) -> None:
        self._entries[schedule] = scheduler.add_job(
            self._due,
            _Wrapped(trigger),
            args=(schedule,),
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1_000_000,
        )


class _Wrapped(BaseTrigger):  # type: ignore[misc] # the library has no types
    """Lets APScheduler jump over what passed: it asks for the next occurrence only."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        """Return the first occurrence after both."""
        return self._trigger.next_after(max(previous_fire_time or now, now).astimezone(UTC))


class _Inline(BaseExecutor):  # type: ignore[misc] # the library has no types
    """Calls in the timer's own thread: the callee only takes a note."""

    def _do_submit_job(self, job: Any, _run_times: list[datetime]) -> None:  # noqa: ANN401 - untyped
        job.func(*job.args)
        self._run_job_success(job.id, [])
