"""What a forecast says beside its runs: what is left out, where clocks are set, herds."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core.run import TaskState
from core.trigger import decide
from manager.scheduling import affected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from manager.foresight.planned import Outlook, Planned
    from manager.scheduling import Affected

_STAGGER: Final = timedelta(minutes=5)
_NAMED: Final = 3
_WHY: Final = {
    TaskState.UNBOUND: "unbound: no container that runs has its function",
    TaskState.PAUSED: "paused",
    TaskState.QUARANTINED: "quarantined: it crashed again and again",
    TaskState.FINISHED: "finished: its schedule has started max_runs runs",
}


def left_out(outlook: Outlook, planned: Planned) -> str | None:
    """Return why a task has no run in the forecast that its schedule alone would give it."""
    state = outlook.idle(planned)
    if state is TaskState.DISABLED:
        said = (
            "disabled"
            if not planned.task.enabled
            else "not timed: background_jobs_enabled is false where the container runs"
        )
        return f"{planned.id} is {said}"
    if state is not None:
        return f"{planned.id} is {_WHY[state]}"
    if not planned.is_known(outlook.plugged):
        return (
            f"{planned.id} is left out: its trigger {planned.task.trigger!r} belongs to a plugin, "
            "which only a container that runs has loaded; ask TaskManager.forecast() there"
        )
    return None


def standing(outlook: Outlook, planned: Planned) -> list[str]:
    """Return what a task has to make up, and that it runs at starts too."""
    found: list[str] = []
    if outlook.now > planned.cursor and not outlook.heard:
        decision = decide(
            outlook.trigger(planned), planned.cursor, outlook.now, planned.catch_up, planned.grace
        )
        made, dropped = len(decision.fire), decision.missed
        if made or dropped:
            found.append(
                f"{planned.id} is behind by {_many(made + dropped, 'occurrence')}: with catch_up "
                f"'{planned.catch_up}', {made} of them would be made up now"
            )
    if outlook.trigger(planned).next_after(outlook.now) is None:
        found.append(f"{planned.id} is finished: no occurrence is left")
    if planned.task.options.get("run_on_start"):
        found.append(f"{planned.id} also runs at each start of a container (run_on_start)")
    return found


def clocks(planned: Planned, after: datetime, until: datetime) -> list[str]:
    """Return what becomes of the fixed local times of a task where its zone sets the clock."""
    return [_clock(planned, each) for each in affected(planned.schedule, after, until)]


def _clock(planned: Planned, found: Affected) -> str:
    change = found.change
    zone = ZoneInfo(change.zone)
    times = _listed([_wall(each) for each in found.times])
    due = _listed([at.astimezone(zone).isoformat() for at in found.due])
    if change.is_gap:
        said = f"is not shown; due at the end of the gap instead, at {due}"
        if not found.due:
            said = "is not shown, and skipped"
        turned = "forward"
    else:
        both = len(found.due) > len(found.times)
        passes = "both passes" if both else "the first pass only"
        said = f"is shown twice; due in {passes}, at {due}"
        turned = "back"
    return (
        f"{planned.id}: {change.zone} sets its clock {turned} on {change.low:%Y-%m-%d} between "
        f"{_wall(change.low)} and {_wall(change.high)}: {times} {said}"
    )


def herds(
    flat: Sequence[tuple[datetime, str]],
    due: Mapping[str, Sequence[datetime]],
    lanes: Mapping[str, str],
    places: int,
) -> list[str]:
    """Return a proposal to stagger where more runs start at one instant than there are threads.

    Args:
        flat: Instants with their tasks, ascending.
        due: When each task is due.
        lanes: Executor of each task.
        places: How many threads there are.
    """
    crowded: dict[datetime, list[str]] = {}
    for at, each in groupby(flat, itemgetter(0)):
        names = [task_id for _, task_id in each if lanes[task_id] == "thread"]
        if len(names) > places:
            crowded[at] = names
    if not crowded:
        return []
    at, herd = min(crowded.items(), key=lambda each: (-len(each[1]), each[0]))
    apart = [later - early for name in herd for early, later in pairwise(due[name])]
    seconds = max(1, int(min(_STAGGER, min(apart, default=_STAGGER) / 10).total_seconds()))
    said = (
        f"at {_many(len(crowded), 'instant')} more runs start at once than there are threads "
        f"(manager.scheduler_thread_pool is {places}), the most at {at.isoformat()}: {len(herd)}; "
        f"a jitter of {_many(seconds, 'second')} on those tasks would stagger them"
    )
    return [said]


def _listed(texts: Sequence[str]) -> str:
    if len(texts) <= _NAMED:
        return ", ".join(texts)
    return f"{', '.join(texts[:_NAMED])} and {len(texts) - _NAMED} more"


def _wall(local: datetime) -> str:
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
