"""Why a run that is not over does not go on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.run import RunState
from manager.foresight.runwords import quarantine_words, shown, span

if TYPE_CHECKING:
    from manager.foresight.planned import Outlook, Planned
    from manager.schemas.reading import BreakerRead, RunRead
    from manager.storage.reading import Reading

SILENT: Final = timedelta(seconds=10)
"""A node that lives is heard of every three seconds."""
_KEYS: Final = {"thread": "scheduler_thread_pool", "process": "process_workers"}


def why_waiting(reading: Reading, outlook: Outlook, planned: Planned, run: RunRead) -> list[str]:
    """Return what an open run waits for, the nearest cause alone."""
    zone = ZoneInfo(planned.task.timezone)
    if run.state is RunState.RUNNING:
        began = run.started_at or run.created_at
        found = [f"attempt {run.attempt} runs since {span(outlook.now - began)} on {run.node}"]
        limit = planned.task.timeout
        if limit is not None:
            found.append(f"its time limit is {limit:g} s")
        return found + _silence(reading, outlook, run)
    if not outlook.heard:
        return ["no container is running; the next start goes on with it"]
    if planned.id in outlook.unbound:
        return ["no container that runs has the task's function"]
    withheld = _withheld(reading, outlook, planned)
    if withheld:
        return withheld
    if run.not_before > outlook.now:
        what = "its next attempt" if run.state is RunState.RETRYING else "it"
        wait = span(run.not_before - outlook.now)
        return [f"{what} may start at {shown(run.not_before, zone)}, in {wait}"]
    return _held_up(reading, outlook, planned, run)


def _silence(reading: Reading, outlook: Outlook, run: RunRead) -> list[str]:
    """Return that the node of *run* was not heard of lately, if so: it may be dead."""
    node = next((each for each in reading.nodes() if each.id == run.node), None)
    if node is None or outlook.now - node.heartbeat <= SILENT:
        return []
    ago = span(outlook.now - node.heartbeat)
    who = f"process {node.pid} on {node.host} was last heard of {ago} ago and may have died"
    return [f"{who}; another node, or the next start, decides what becomes of the run"]


def _withheld(reading: Reading, outlook: Outlook, planned: Planned) -> list[str]:
    task = planned.task
    if task.quarantined:
        return [f"the task is quarantined: {quarantine_words(task)}"]
    zone = ZoneInfo(task.timezone)
    return [_kept_back(each, outlook, zone) for each in reading.evidence.breakers(*task.subjects)]


def _kept_back(breaker: BreakerRead, outlook: Outlook, zone: ZoneInfo) -> str:
    kind, _, name = breaker.subject.partition(":")
    whose = f"the breaker of {kind} {name} is open: {breaker.failures} attempts failed in a row"
    if breaker.trial_at > outlook.now:
        return f"{whose}; one run may try at {shown(breaker.trial_at, zone)}"
    return f"{whose}; one run tries first"


def _held_up(reading: Reading, outlook: Outlook, planned: Planned, run: RunRead) -> list[str]:
    others = [
        each
        for each in reading.evidence.open_runs(planned.id)
        if each.id != run.id and each.state is RunState.RUNNING
    ]
    overlap = planned.task.options.get("overlap", "skip")
    limit = None if overlap == "allow" else overlap if isinstance(overlap, int) else 1
    if limit is not None and len(others) >= limit:
        names = ", ".join(each.id for each in others[:3])
        return [f"it waits for an earlier run of the task: {names} (overlap is {overlap!r})"]
    lane = planned.task.lane
    busy, places = reading.evidence.running(lane), outlook.places.get(lane, 0)
    if busy >= places:
        name = _KEYS.get(lane)
        key = "" if name is None else f" (manager.{name})"
        return [f"all {places} places of '{lane}' are busy{key}; it starts when one is free"]
    return [f"{busy} of {places} places of '{lane}' are busy; it starts within a moment"]
