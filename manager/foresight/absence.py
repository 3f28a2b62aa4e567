"""Why an instant is not one of a schedule's, or left no trace in the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.errors import TriggerError
from core.trigger import NO_LIMITS, Schedule
from manager.foresight.runwords import shown
from manager.scheduling import affected, build_trigger

if TYPE_CHECKING:
    from core.trigger import Trigger
    from manager.foresight.asking import Asked
    from manager.foresight.planned import Outlook, Planned
    from manager.storage.evidence import Change, Evidence

_MICROSECOND: Final = timedelta(microseconds=1)
_NEAR: Final = timedelta(days=1)
_WHEN: Final = ("trigger", "trigger_args", "timezone", "enabled")
_COUNTED: Final = {"interval": "an interval", "calendar": "a calendar"}
_EXCLUDED: Final = {
    "dates": "on a date that is excluded",
    "holidays": "on a public holiday, which is excluded",
    "windows": "into a window that is excluded",
}


def first_within(trigger: Trigger, asked: Asked) -> datetime | None:
    """Return the first occurrence in the stretch that is asked about."""
    found = trigger.next_after(asked.at - _MICROSECOND)
    return found if found is not None and found < asked.until else None


def why_not_due(outlook: Outlook, planned: Planned, asked: Asked) -> list[str]:
    """Return why the schedule does not name what is asked about, as far as more can be said."""
    schedule = planned.schedule
    limits = schedule.limits
    zone = ZoneInfo(planned.task.timezone)
    bare = build_trigger(replace(schedule, limits=NO_LIMITS), outlook.plugged)
    named = first_within(bare, asked)
    found = _clock_said(planned, asked, zone)
    counted = _COUNTED.get(planned.task.trigger)
    if counted and asked.until <= (limits.start or planned.anchor):
        found.append(f"{counted} counts from {shown(limits.start or planned.anchor, zone)}")
    if named is None:
        return found
    if limits.start is not None and named < limits.start:
        found.append(f"it is before the task's start, {shown(limits.start, zone)}")
    elif limits.end is not None and named > limits.end:
        found.append(f"it is after the task's end, {shown(limits.end, zone)}")
    elif limits.exclude and (kind := _excluding(outlook, schedule, asked)):
        found.append(f"it falls {_EXCLUDED[kind]} from the schedule")
    elif limits.jitter:
        put_off = outlook.trigger(planned).next_after(named - _MICROSECOND)
        if put_off is not None:
            found.append(f"its jitter puts that occurrence off to {shown(put_off, zone)}")
    return found


def _excluding(outlook: Outlook, schedule: Schedule, asked: Asked) -> str | None:
    """Return which kind of exclusion covers what is asked about."""
    exclude = json.loads(schedule.limits.exclude)
    for kind in _EXCLUDED:
        if exclude.get(kind):
            only = replace(NO_LIMITS, exclude=json.dumps({kind: exclude[kind]}))
            trigger = build_trigger(replace(schedule, limits=only), outlook.plugged)
            if first_within(trigger, asked) is None:
                return kind
    return None


def _clock_said(planned: Planned, asked: Asked, zone: ZoneInfo) -> list[str]:
    """Return what the clock of the zone did around that time."""
    change = asked.change
    if change is not None and change.is_gap and asked.local is not None:
        when = f"{change.zone} set its clock forward at {shown(change.at, zone)}"
        return [f"{when}: {asked.local:%H:%M} was not shown that day"]
    for each in affected(planned.schedule, asked.at - _NEAR, asked.at + _NEAR):
        local = asked.at + each.change.after
        second = not each.change.is_gap and each.change.at <= asked.at
        if second and any(local <= time < local + asked.length for time in each.times):
            when = f"{each.change.zone} set its clock back at {shown(each.change.at, zone)}"
            rule = f"only the first one counts (dst is '{planned.dst}')"
            return [f"{when}: this is the second pass, and {rule}"]
    return []


def twice_said(asked: Asked, zone: ZoneInfo, trigger: Trigger) -> list[str]:
    """Return that a local time is shown twice, and what is due in the other pass."""
    change = asked.change
    if change is None or change.is_gap or asked.local is None:
        return []
    passes = [asked.local - change.before, asked.local - change.after]
    first, second = (
        "due" if trigger.next_after(each - _MICROSECOND) in _stretch(each, asked) else "not due"
        for each in passes
    )
    each = f"{first} at {shown(passes[0], zone)}, {second} at {shown(passes[1], zone)}"
    return [f"{asked.local:%H:%M} is shown twice that day: {each}"]


class _Stretch:
    """Instants in a stretch of time."""

    def __init__(self, low: datetime, high: datetime) -> None:
        self._low, self._high = low, high

    def __contains__(self, instant: object) -> bool:
        return isinstance(instant, datetime) and self._low <= instant < self._high


def _stretch(start: datetime, asked: Asked) -> _Stretch:
    return _Stretch(start, start + asked.length)


def edited_since(planned: Planned, evidence: Evidence, instant: datetime) -> list[Change]:
    """Return the changes of the schedule that operators made after *instant*, oldest first."""
    return [
        each
        for each in evidence.changes(planned.id)
        if each.at > instant and any(name in each.before or name in each.after for name in _WHEN)
    ]


def schedule_before(planned: Planned, change: Change) -> Schedule:
    """Return the schedule as it stood before *change*."""
    said = {name: change.before[name] for name in _WHEN if name in change.before}
    return planned.task.model_copy(update=said).schedule(planned.anchor)


def edit_said(outlook: Outlook, planned: Planned, evidence: Evidence, asked: Asked) -> list[str]:
    """Return that the schedule was another one then, and whether that was due."""
    changes = edited_since(planned, evidence, asked.at)
    if not changes:
        return []
    zone, first = ZoneInfo(planned.task.timezone), changes[0]
    text = (
        f"the schedule was changed since, at {shown(first.at, zone)} by {first.actor} "
        f"({first.action})"
    )
    try:
        before = build_trigger(schedule_before(planned, first), outlook.plugged)
    except (TriggerError, KeyError):
        return [text]
    was_due = first_within(before, asked) is not None
    return [f"{text}; as it stood before, it was {'due' if was_due else 'not due'} then"]


def why_unrecorded(planned: Planned, evidence: Evidence, instant: datetime) -> list[str]:
    """Return why an occurrence that has passed may have no row in the ledger."""
    zone = ZoneInfo(planned.task.timezone)
    if instant <= planned.anchor:
        return [f"the task was first registered later, at {shown(planned.anchor, zone)}"]
    since = evidence.since(planned.id)
    if since is None or since > instant:
        oldest = "it has none" if since is None else f"its oldest is of {shown(since, zone)}"
        why = "history is deleted after a time, and a schedule that changed counts from then on"
        return [f"the ledger keeps no run of the task from then, {oldest}: {why}"]
    if planned.left == 0:
        most = planned.task.options.get("max_runs")
        return [f"its schedule had started {planned.fired} of max_runs {most} runs"]
    return ["the definition's schedule was another one then, or the task was disabled or taken out"]
