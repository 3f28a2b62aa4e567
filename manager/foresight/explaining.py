"""Why a task ran at an instant, did not, or will."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.errors import UnknownTaskError
from core.registry import nearest
from core.run import Cause, Reason, RunState
from manager.foresight.absence import (
    edit_said,
    first_within,
    twice_said,
    why_not_due,
)
from manager.foresight.asking import Asked, asked_of
from manager.foresight.case import Case
from manager.foresight.fates import at_present, passed, to_come
from manager.foresight.runwords import because_of, met_by, shown, span, verdict_of
from manager.foresight.waiting import why_waiting
from manager.scheduling import affected
from manager.schemas.foretelling import Fate

if TYPE_CHECKING:
    from datetime import datetime

    from core.run import Run
    from manager.foresight.planned import Outlook
    from manager.schemas.foretelling import Explanation
    from manager.storage.reading import Reading

_MICROSECOND: Final = timedelta(microseconds=1)
_TIMED: Final = frozenset({Cause.SCHEDULE, Cause.CATCH_UP})
_STANDING: Final = _TIMED | {Cause.BACKFILL}
"""Runs with these causes stand for an occurrence of the schedule."""


class Explainer:
    """Explains what became, or becomes, of one task at one instant.

    Args:
        reading: The ledger.
        outlook: The task, and what is alive.
        task_id: Which task.
        at: An instant, or local time of the task's zone; now where ``None``.

    Raises:
        UnknownTaskError: there is no such task.
        ValueError: *at* is no time.
    """

    def __init__(
        self, reading: Reading, outlook: Outlook, task_id: str, at: datetime | str | None
    ) -> None:
        planned = outlook.tasks.get(task_id)
        if planned is None:
            raise UnknownTaskError(task_id, nearest(task_id, [each.id for each in reading.tasks()]))
        self._is_now = at is None
        asked = asked_of(at, ZoneInfo(planned.task.timezone), outlook.now)
        trigger = outlook.trigger(planned) if planned.is_known(outlook.plugged) else None
        self._case = Case(reading, outlook, planned, asked, trigger)

    def explain(self) -> Explanation:
        """Return the explanation."""
        if self._is_now:
            opened = self._case.evidence.open_runs(self._case.planned.id)
            return self._of_runs(opened) if opened else at_present(self._case)
        self._choose_pass()
        asked = self._case.asked
        left_out = self._is_left_out()
        trigger = self._case.trigger
        runs = [] if left_out else self._due_within(asked)
        due = None if left_out or trigger is None else first_within(trigger, asked)
        if runs and (due is None or any(each.cause in _STANDING for each in runs)):
            return self._of_runs(runs)
        if trigger is None:
            kind = self._case.planned.task.trigger
            text = f"its trigger {kind!r} belongs to a plugin, which is not loaded here"
            return self._case.said(Fate.UNRECORDED, "no run is recorded for that time", text)
        self._case.also += [f"run {each.id} of that time was asked for otherwise" for each in runs]
        return self._not_due() if due is None else self._of_occurrence(due)

    def _of_occurrence(self, due: datetime) -> Explanation:
        """Return what becomes of an occurrence that has no row of its own."""
        rows = self._covering(due)
        if rows:
            return self._of_runs(rows, due)
        fate = to_come if due > self._case.outlook.now else passed
        return fate(self._case, due)

    def _choose_pass(self) -> None:
        """Take the pass of a repeated local time that has something to tell; the first if both."""
        asked, change = self._case.asked, self._case.asked.change
        if self._case.trigger is None or change is None or change.is_gap or asked.local is None:
            return
        self._case.also = twice_said(asked, self._case.zone, self._case.trigger)
        second = Asked(asked.local - change.after, asked.length, asked.local, change)
        if not self._has_something(asked) and self._has_something(second):
            self._case.asked = second

    def _has_something(self, asked: Asked) -> bool:
        if self._due_within(asked):
            return True
        return (
            self._case.trigger is not None and first_within(self._case.trigger, asked) is not None
        )

    def _due_within(self, asked: Asked) -> list[Run]:
        task_id = self._case.planned.id
        return self._case.evidence.due_within(task_id, asked.at, asked.until)

    def _is_left_out(self) -> bool:
        """Tell whether the local time was not shown, and is not due at the end of the gap."""
        asked, change = self._case.asked, self._case.asked.change
        if change is None or not change.is_gap or asked.local is None:
            return False
        around = change.at - _MICROSECOND, change.at
        for each in affected(self._case.planned.schedule, *around):
            if each.due and any(
                asked.local <= time < asked.local + asked.length for time in each.times
            ):
                when = (
                    f"{change.zone} sets its clock forward at {shown(change.at, self._case.zone)}"
                )
                what = f"{asked.local:%H:%M} is not shown, and due at the end of the gap"
                self._case.also = [f"{when}: {what}"]
                return False
        return True

    def _of_runs(self, runs: list[Run], due: datetime | None = None) -> Explanation:
        """Return what became of the run that was due, and of others of that time."""
        read = [each for each in map(self._case.reading.run, (run.id for run in runs)) if each]
        main = next((each for each in read if each.cause in _TIMED), read[0])
        because = because_of(main, self._case.zone)
        if main.state is RunState.SKIPPED and main.reason is Reason.OVERLAP:
            met = self._case.evidence.meeting(main.task_id, main.id, main.created_at)
            because += [met_by(each, self._case.zone) for each in met[:3]]
            policy = self._case.planned.task.options.get("overlap", "skip")
            because.append(f"the task's overlap is {policy!r}")
        if main.reason is Reason.LATE:
            because += self._catch_up_words()
        if not main.state.is_final:
            because += why_waiting(self._case.reading, self._case.outlook, self._case.planned, main)
        others = Counter(each.state.value for each in read if each is not main)
        if others:
            told = ", ".join(f"{count} {state}" for state, count in others.items())
            because.append(f"{sum(others.values())} more of that time: {told}")
        if due is not None:
            because.insert(0, f"it was due at {shown(due, self._case.zone)}, among others")
        return self._case.said(main.state, verdict_of(main), *because, runs=read)

    def _covering(self, due: datetime) -> list[Run]:
        """Return the row that stands for *due* among other occurrences, if there is one."""
        if self._case.trigger is None:
            return []
        for row in self._case.evidence.covering(self._case.planned.id, due):
            count = self._case.trigger.last_until(row.scheduled_for, due - _MICROSECOND)[1]
            if count <= row.occurrences:
                return [row]
        return []

    def _not_due(self) -> Explanation:
        because = why_not_due(self._case.outlook, self._case.planned, self._case.asked)
        because += edit_said(
            self._case.outlook, self._case.planned, self._case.evidence, self._case.asked
        )
        when = shown(self._case.asked.at, self._case.zone)
        if self._case.asked.local is not None and self._is_left_out():
            when = f"{self._case.asked.local:%Y-%m-%d %H:%M:%S}"
        verb = "is" if self._case.asked.at > self._case.outlook.now else "was"
        return self._case.said(
            Fate.NOT_DUE, f"{when} {verb} no occurrence of its schedule", *because
        )

    def _catch_up_words(self) -> list[str]:
        said = [f"the task's catch_up is '{self._case.planned.catch_up}'"]
        if self._case.planned.grace is not None:
            said.append(f"its misfire_grace_time is {span(self._case.planned.grace)}")
        return said
