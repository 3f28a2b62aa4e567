"""What became of a run, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.policy import PUNCTUAL
from core.run import Cause, Reason, RunState

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from core.run import Run
    from manager.schemas.reading import RunRead, TaskRead

_REASONS: Final = {
    (RunState.SKIPPED, Reason.OVERLAP): "it was skipped: an earlier run of the task was not over",
    (RunState.SKIPPED, Reason.PAUSED): "it was skipped: the task was paused",
    (RunState.SKIPPED, Reason.QUARANTINED): "it was skipped: the task was quarantined",
    (RunState.SKIPPED, Reason.BREAKER): "it was skipped: the breaker of the task was open",
    (RunState.PENDING, Reason.BREAKER): "it waits for the breaker of its task",
    (
        RunState.RETRYING,
        Reason.BREAKER,
    ): "an attempt failed, and it waits for the breaker of its task",
    (RunState.RETRYING, Reason.BUDGET): (
        "an attempt failed, and its next one waits: the retry budget of its plugin is used up"
    ),
    (RunState.MISSED, Reason.LATE): "it was missed: no container fired it, and catch-up dropped it",
    (RunState.MISSED, Reason.PAST): "it was missed: the date had passed when it was registered",
    (RunState.FAILED, Reason.EXCEPTION): "it ran and failed: its last attempt raised an exception",
    (RunState.FAILED, Reason.TIMEOUT): "it ran and failed: its last attempt took too long",
    (RunState.FAILED, Reason.CRASH): "it ran and failed: its process died again and again",
    (RunState.FAILED, Reason.REJECTED): "it failed: no thread and no event loop took it",
    (RunState.CANCELLED, Reason.REQUESTED): "it was cancelled: somebody asked for its end",
    (RunState.CANCELLED, Reason.REPLACED): "it was cancelled: it made room for the next occurrence",
    (RunState.CANCELLED, Reason.REMOVED): "it was cancelled: the task was taken out",
    (RunState.CANCELLED, Reason.INTERRUPTED): "it was cancelled: the container was shut down",
    (RunState.LOST, Reason.INTERRUPTED): (
        "it was lost: the container was shut down while it ran, and it must not be started twice"
    ),
    (RunState.LOST, Reason.CRASH): (
        "it was lost: its process died while it ran, and it must not be started twice"
    ),
}
_STATES: Final = {
    RunState.PENDING: "it waits to be started",
    RunState.RUNNING: "it is running",
    RunState.RETRYING: "an attempt failed, and it waits for its next one",
    RunState.COMPLETED: "it ran and completed",
    RunState.FAILED: "it ran and failed",
    RunState.CANCELLED: "it was cancelled",
    RunState.LOST: "it was lost: its process died while it ran",
    RunState.SKIPPED: "it was skipped",
    RunState.MISSED: "it was missed",
}
_CAUSES: Final = {
    Cause.MANUAL: "somebody asked for it by hand",
    Cause.START: "a container started (run_on_start)",
    Cause.BACKFILL: "somebody asked for a range of the past (backfill)",
}


def verdict_of(run: RunRead) -> str:
    """Return what became of *run*, in a sentence without its full stop."""
    if run.reason is not None and (run.state, run.reason) in _REASONS:
        return _REASONS[run.state, run.reason]
    return _STATES[run.state]


def because_of(run: RunRead, zone: ZoneInfo) -> list[str]:
    """Return why *run* exists, why it was late, how its attempts went."""
    found = []
    if run.cause not in {Cause.SCHEDULE, Cause.CATCH_UP}:
        why = _CAUSES.get(run.cause, f"its cause is '{run.cause}'")
        found.append(f"run {run.id} is not one of the schedule: {why}")
    if run.occurrences > 1:
        last = shown(run.scheduled_for, zone)
        found.append(f"one row stands for {run.occurrences} occurrences up to {last}")
    found += _started(run, zone)
    found += [
        f"attempt {each.number} ended at {shown(each.finished_at, zone)}: {each.outcome}"
        + (f", {_line(each.error)}" if each.error else "")
        for each in run.attempts
        if each.outcome != RunState.COMPLETED
    ]
    if run.crashes:
        found.append(f"its process died under it {_times(run.crashes)}")
    if run.error and not run.attempts:
        found.append(f"its error: {_line(run.error)}")
    if run.finished_at is not None and run.started_at is not None:
        took = (run.finished_at - run.started_at).total_seconds()
        found.append(
            f"it ended at {shown(run.finished_at, zone)}; its last attempt took {took:.1f} s"
        )
    return found


def _started(run: RunRead, zone: ZoneInfo) -> list[str]:
    """Return when its first attempt started, how late that was, and what held it up."""
    begun = run.attempts[0].started_at if run.attempts else run.started_at
    if begun is None:
        return []
    late = begun - run.scheduled_for
    start = f"it started at {shown(begun, zone)}"
    if late <= PUNCTUAL:
        return [f"{start}, on time"]
    noticed = run.created_at - run.scheduled_for
    found = [f"{start}, {span(late)} late"]
    if run.cause is Cause.CATCH_UP:
        found.append(
            f"it was made up {span(noticed)} after it was due (catch-up): "
            "until then no container fired it"
        )
    elif noticed > PUNCTUAL:
        found.append(f"it was noticed {span(noticed)} after it was due")
    waited = begun - run.created_at
    if waited > PUNCTUAL:
        found.append(f"it waited {span(waited)} for a free place, or for an earlier run to end")
    return found


def quarantine_words(task: TaskRead) -> str:
    """Return why a task is quarantined, and what ends it."""
    return (
        f"its process died {_times(task.crashes)} in a row with no completed run between; "
        f"'taskrack resume {task.id}' lets it go on"
    )


def met_by(run: Run, zone: ZoneInfo) -> str:
    """Return which run was in the way."""
    state = (
        "is still under way"
        if run.finished_at is None
        else f"ended at {shown(run.finished_at, zone)}"
    )
    return f"run {run.id}, due at {shown(run.scheduled_for, zone)}, was in the way; it {state}"


def shown(instant: datetime, zone: ZoneInfo) -> str:
    """Return *instant* as local time with the zone's letters; thousandths of seconds where any."""
    local = instant.astimezone(zone)
    thousandths = local.microsecond // 1000
    fraction = f".{thousandths:03}".rstrip("0") if thousandths else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"


def span(length: timedelta) -> str:
    """Return a length of time in words such as ``2 h 5 min`` or ``12.5 s``."""
    seconds = length.total_seconds()
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (rest if not days else 0, "s"))
    return " ".join(f"{number} {unit}" for number, unit in units if number)


def _line(text: str) -> str:
    return " ".join(text.split())


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
