"""Why a task ran at an instant, did not, or will."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.errors import UnknownTaskError
from core.registry import nearest
from core.run import Reason, RunState, TaskState
from core.trigger import decide
from manager.foresight.absence import (
    edit_said,
    first_within,
    twice_said,
    why_not_due,
    why_unrecorded,
)
from manager.foresight.asking import Asked, asked_of
from manager.foresight.planned import schedule_words
from manager.foresight.runwords import because_of, met_by, shown, span, verdict_of
from manager.foresight.waiting import why_waiting
from manager.scheduling import affected
from manager.schemas.foretelling import Explanation

if TYPE_CHECKING:
    from core.run import Run
    from manager.foresight.planned import Outlook
    from manager.schemas.reading import RunRead
    from manager.storage.evidence import Change
    from manager.storage.reading import Reading

_MICROSECOND: Final = timedelta(microseconds=1)
_REACH: Final = timedelta(days=366 * 5)
_EARLIEST: Final = datetime(2, 1, 1, tzinfo=UTC)
_IDLE: Final = {
    TaskState.PAUSED: "the task is paused",
    TaskState.DISABLED: "the task is disabled",
    TaskState.UNBOUND: "no container that runs has the task's function",
    TaskState.FINISHED: "the task is finished: its schedule has started max_runs runs",
}


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
        self._reading = reading
        self._evidence = reading.evidence
        self._outlook = outlook
        self._planned = planned
        self._zone = ZoneInfo(planned.task.timezone)
        self._is_now = at is None
        self._asked = asked_of(at, self._zone, outlook.now)
        self._trigger = outlook.trigger(planned) if planned.is_known(outlook.plugged) else None
        self._also: list[str] = []

    def explain(self) -> Explanation:
        """Return the explanation."""
        if self._is_now:
            return self._now()
        self._choose_pass()
        asked = self._asked
        left_out = self._is_left_out()
        runs = (
            [] if left_out else self._evidence.due_within(self._planned.id, asked.at, asked.until)
        )
        if runs:
            return self._of_runs(runs)
        if self._trigger is None:
            kind = self._planned.task.trigger
            text = f"its trigger {kind!r} belongs to a plugin, which is not loaded here"
            return self._said("unrecorded", "no run is recorded for that time", text)
        due = None if left_out else first_within(self._trigger, asked)
        return self._not_due() if due is None else self._of_occurrence(due)

    def _of_occurrence(self, due: datetime) -> Explanation:
        """Return what becomes of an occurrence that has no row of its own."""
        rows = self._covering(due)
        if rows:
            return self._of_runs(rows, due)
        return self._to_come(due) if due > self._outlook.now else self._passed(due)

    def _choose_pass(self) -> None:
        """Take the pass of a repeated local time that has something to tell; the first if both."""
        asked, change = self._asked, self._asked.change
        if self._trigger is None or change is None or change.is_gap or asked.local is None:
            return
        self._also = twice_said(asked, self._zone, self._trigger)
        second = Asked(asked.local - change.after, asked.length, asked.local, change)
        if not self._has_something(asked) and self._has_something(second):
            self._asked = second

    def _has_something(self, asked: Asked) -> bool:
        if self._evidence.due_within(self._planned.id, asked.at, asked.until):
            return True
        return self._trigger is not None and first_within(self._trigger, asked) is not None

    def _is_left_out(self) -> bool:
        """Tell whether the local time was not shown, and is not due at the end of the gap."""
        asked, change = self._asked, self._asked.change
        if change is None or not change.is_gap or asked.local is None:
            return False
        around = change.at - _MICROSECOND, change.at
        for each in affected(self._planned.schedule, *around):
            if each.due and any(
                asked.local <= time < asked.local + asked.length for time in each.times
            ):
                when = f"{change.zone} sets its clock forward at {shown(change.at, self._zone)}"
                what = f"{asked.local:%H:%M} is not shown, and due at the end of the gap"
                self._also = [f"{when}: {what}"]
                return False
        return True

    def _of_runs(self, runs: list[Run], due: datetime | None = None) -> Explanation:
        """Return what became of the run that was due, and of others of that time."""
        read = [each for each in map(self._reading.run, (run.id for run in runs)) if each]
        main = next((each for each in read if each.cause in {"schedule", "catch-up"}), read[0])
        because = because_of(main, self._zone)
        if main.state is RunState.SKIPPED and main.reason is Reason.OVERLAP:
            others = self._evidence.meeting(main.task_id, main.id, main.created_at)
            because += [met_by(other, self._zone) for other in others[:3]]
            policy = self._planned.task.options.get("overlap", "skip")
            because.append(f"the task's overlap is {policy!r}")
        if main.reason is Reason.LATE:
            because += self._catch_up_words()
        if not main.state.is_final:
            because += why_waiting(self._reading, self._outlook, self._planned, main)
        if due is not None:
            because.insert(0, f"it was due at {shown(due, self._zone)}, among others")
        return self._said(main.state.value, verdict_of(main), *because, runs=read)

    def _covering(self, due: datetime) -> list[Run]:
        """Return the row that stands for *due* among other occurrences, if there is one."""
        if self._trigger is None:
            return []
        for row in self._evidence.covering(self._planned.id, due):
            count = self._trigger.last_until(row.scheduled_for, due - _MICROSECOND)[1]
            if count <= row.occurrences:
                return [row]
        return []

    def _not_due(self) -> Explanation:
        because = why_not_due(self._outlook, self._planned, self._asked)
        because += edit_said(self._outlook, self._planned, self._evidence, self._asked)
        when = shown(self._asked.at, self._zone)
        if self._asked.local is not None and self._is_left_out():
            when = f"{self._asked.local:%Y-%m-%d %H:%M:%S}"
        verb = "is" if self._asked.at > self._outlook.now else "was"
        return self._said("not-due", f"{when} {verb} no occurrence of its schedule", *because)

    def _to_come(self, due: datetime) -> Explanation:
        when = f"at {shown(due, self._zone)}, in {span(due - self._outlook.now)}"
        state = self._outlook.idle(self._planned)
        if state is not None:
            return self._said(state.value, f"it will not run {when}: {_IDLE[state]}", *self._idle())
        left = self._planned.left
        begin = max(self._planned.cursor, self._outlook.now)
        if left is not None and self._trigger is not None:
            before = self._trigger.last_until(due - _MICROSECOND, begin)[1]
            if before >= left:
                text = f"max_runs leaves {left} runs, and {before} occurrences come before it"
                return self._said("finished", f"it will not run {when}", text)
        because = [] if self._outlook.heard else ["no container is running; one must run then"]
        return self._said("due", f"it will run {when}", *because)

    def _passed(self, due: datetime) -> Explanation:
        """Return what is known of an occurrence that passed without a row."""
        when = shown(due, self._zone)
        state = self._outlook.idle(self._planned)
        if due > self._planned.cursor:
            if state is not None:
                text = f"it did not run at {when}: {_IDLE[state]}"
                return self._said(state.value, text, *self._idle())
            verdict = f"it was due at {when} and is not decided yet"
            if self._outlook.heard:
                return self._said("undecided", verdict, "a container runs; it decides it now")
            text = "no container has run since; the next start decides it"
            return self._said("undecided", verdict, text, *self._made_up(due))
        because = edit_said(self._outlook, self._planned, self._evidence, self._asked)
        because = because or why_unrecorded(self._planned, self._evidence, due)
        return self._said("unrecorded", f"no run is recorded for {when}", *because)

    def _made_up(self, due: datetime) -> list[str]:
        planned = self._planned
        if self._trigger is None:
            return []
        now = self._outlook.now
        made = decide(self._trigger, planned.cursor, now, planned.catch_up, planned.grace)
        fate = "would make it up" if due in made.fire else "would drop it as missed"
        return [f"a start now {fate} (catch_up is '{planned.catch_up}')"]

    def _catch_up_words(self) -> list[str]:
        said = [f"the task's catch_up is '{self._planned.catch_up}'"]
        if self._planned.grace is not None:
            said.append(f"its misfire_grace_time is {span(self._planned.grace)}")
        return said

    def _idle(self) -> list[str]:
        """Return who paused or disabled the task, and what follows."""
        state = self._outlook.idle(self._planned)
        found = []
        if state is TaskState.PAUSED:
            found = [_done(self._evidence.changes(self._planned.id), "pause", self._zone)]
            found.append("what falls due is recorded as skipped when it is resumed")
        elif state is TaskState.DISABLED and self._planned.task.enabled:
            found = ["background_jobs_enabled is false where the container runs"]
        elif state is TaskState.DISABLED:
            edited = "enabled" in self._planned.task.overrides
            found = ["an edit says so" if edited else "its definition says enabled: False"]
        return [each for each in found if each]

    def _now(self) -> Explanation:
        """Return what the task does now, and when it runs next."""
        opened = self._evidence.open_runs(self._planned.id)
        if opened:
            return self._of_runs(opened)
        state = self._outlook.idle(self._planned)
        latest = self._reading.runs(self._planned.id, limit=1)
        last = [
            f"its last run, due at {shown(each.scheduled_for, self._zone)}: {verdict_of(each)}"
            for each in latest
        ]
        if state is not None:
            text = f"it is not running, and will not: {_IDLE[state]}"
            return self._said(state.value, text, *self._idle(), *last, runs=latest)
        if self._trigger is None:
            return self._said("unrecorded", "it is not running", *last, runs=latest)
        behind = self._trigger.last_until(self._outlook.now, self._planned.cursor)[0]
        due = self._trigger.next_after(self._outlook.now)
        if behind is not None and not self._outlook.heard:
            text = f"it was due at {shown(behind, self._zone)}, and no container is running"
            return self._said("undecided", text, *self._made_up(behind), *last, runs=latest)
        if due is None:
            return self._said(
                "finished", "it is finished: no occurrence is left", *last, runs=latest
            )
        verdict = f"it is not due now; it will run at {shown(due, self._zone)}, in "
        verdict += span(due - self._outlook.now)
        if not self._outlook.heard:
            last.insert(0, "no container is running; one must run then")
        return self._said("due", verdict, *last, runs=latest)

    def _said(
        self, outcome: str, verdict: str, *because: str, runs: list[RunRead] | None = None
    ) -> Explanation:
        at, trigger = self._asked.at, self._trigger
        before = after = None
        if trigger is not None:
            reach = at - _REACH if at - _EARLIEST > _REACH else _EARLIEST
            before = trigger.last_until(at - _MICROSECOND, reach)[0]
            after = trigger.next_after(self._asked.until - _MICROSECOND)
        return Explanation(
            task_id=self._planned.id,
            at=at,
            local=at.astimezone(self._zone).isoformat(),
            outcome=outcome,
            verdict=verdict,
            because=(*self._also, *because),
            schedule=schedule_words(self._planned),
            previous=before,
            next=after,
            runs=tuple(runs or ()),
        )


def _done(changes: list[Change], action: str, zone: ZoneInfo) -> str:
    for each in reversed(changes):
        if each.action == action:
            return f"{each.actor} paused it at {shown(each.at, zone)}"
    return ""
