"""What becomes of an occurrence that has no row: it is to come, waits, or left no trace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.run import TaskState
from core.trigger import decide
from manager.foresight.absence import edit_said, why_unrecorded
from manager.foresight.runwords import quarantine_words, shown, span, verdict_of
from manager.schemas.foretelling import Fate

if TYPE_CHECKING:
    from datetime import datetime

    from manager.foresight.case import Case
    from manager.schemas.foretelling import Explanation

_MICROSECOND: Final = timedelta(microseconds=1)
_IDLE: Final = {
    TaskState.PAUSED: "the task is paused",
    TaskState.QUARANTINED: "the task is quarantined",
    TaskState.DISABLED: "the task is disabled",
    TaskState.UNBOUND: "no container that runs has the task's function",
    TaskState.FINISHED: "the task is finished: its schedule has started max_runs runs",
}


def to_come(case: Case, due: datetime) -> Explanation:
    """Return whether an occurrence in the future will run."""
    when = f"at {shown(due, case.zone)}, in {span(due - case.outlook.now)}"
    state = case.outlook.idle(case.planned)
    if state is not None:
        return case.said(Fate(state.value), f"it will not run {when}: {_IDLE[state]}", *_idle(case))
    left = case.planned.left
    begin = max(case.planned.cursor, case.outlook.now)
    if left is not None and case.trigger is not None:
        before = case.trigger.last_until(due - _MICROSECOND, begin)[1]
        if before >= left:
            text = f"max_runs leaves {left} runs, and {before} occurrences come before it"
            return case.said(Fate.FINISHED, f"it will not run {when}", text)
    because = [] if case.outlook.heard else ["no container is running; one must run then"]
    return case.said(Fate.DUE, f"it will run {when}", *because)


def passed(case: Case, due: datetime) -> Explanation:
    """Return what is known of an occurrence that passed without a row."""
    when = shown(due, case.zone)
    state = case.outlook.idle(case.planned)
    if due > case.planned.cursor:
        if state is not None:
            text = f"it did not run at {when}: {_IDLE[state]}"
            return case.said(Fate(state.value), text, *_idle(case))
        verdict = f"it was due at {when} and is not decided yet"
        if case.outlook.heard:
            return case.said(Fate.UNDECIDED, verdict, "a container runs; it decides it now")
        text = "no container has run since; the next start decides it"
        return case.said(Fate.UNDECIDED, verdict, text, *_made_up(case, due))
    because = edit_said(case.outlook, case.planned, case.evidence, case.asked)
    because = because or why_unrecorded(case.planned, case.evidence, due)
    return case.said(Fate.UNRECORDED, f"no run is recorded for {when}", *because)


def _made_up(case: Case, due: datetime) -> list[str]:
    planned = case.planned
    if case.trigger is None:
        return []
    now = case.outlook.now
    made = decide(case.trigger, planned.cursor, now, planned.catch_up, planned.grace)
    fate = "would make it up" if due in made.fire else "would drop it as missed"
    return [f"a start now {fate} (catch_up is '{planned.catch_up}')"]


def _idle(case: Case) -> list[str]:
    """Return who paused or disabled the task, and what follows."""
    state = case.outlook.idle(case.planned)
    found = []
    if state is TaskState.PAUSED:
        found = [_paused_by(case)]
        found.append("what falls due is recorded as skipped when it is resumed")
    elif state is TaskState.QUARANTINED:
        found = [quarantine_words(case.planned.task)]
        found.append("what falls due is recorded as skipped when it is resumed")
    elif state is TaskState.DISABLED and case.planned.task.enabled:
        found = ["background_jobs_enabled is false where the container runs"]
    elif state is TaskState.DISABLED:
        edited = "enabled" in case.planned.task.overrides
        found = ["an edit says so" if edited else "its definition says enabled: False"]
    return [each for each in found if each]


def at_present(case: Case) -> Explanation:
    """Return what the task does now, and when it runs next."""
    state = case.outlook.idle(case.planned)
    latest = case.reading.runs(case.planned.id, limit=1)
    last = [
        f"its last run, due at {shown(each.scheduled_for, case.zone)}: {verdict_of(each)}"
        for each in latest
    ]
    if state is not None:
        text = f"it is not running, and will not: {_IDLE[state]}"
        return case.said(Fate(state.value), text, *_idle(case), *last, runs=latest)
    if case.trigger is None:
        return case.said(Fate.UNRECORDED, "it is not running", *last, runs=latest)
    behind = case.trigger.last_until(case.outlook.now, case.planned.cursor)[0]
    due = case.trigger.next_after(case.outlook.now)
    if behind is not None and not case.outlook.heard:
        text = f"it was due at {shown(behind, case.zone)}, and no container is running"
        return case.said(Fate.UNDECIDED, text, *_made_up(case, behind), *last, runs=latest)
    if due is None:
        return case.said(Fate.FINISHED, "it is finished: no occurrence is left", *last, runs=latest)
    verdict = f"it is not due now; it will run at {shown(due, case.zone)}, in "
    verdict += span(due - case.outlook.now)
    if not case.outlook.heard:
        last.insert(0, "no container is running; one must run then")
    return case.said(Fate.DUE, verdict, *last, runs=latest)


def _paused_by(case: Case) -> str:
    for each in reversed(case.evidence.changes(case.planned.id)):
        if each.action == "pause":
            return f"{each.actor} paused it at {shown(each.at, case.zone)}"
    return ""
