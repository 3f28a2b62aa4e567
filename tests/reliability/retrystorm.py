"""A dependency that is down is not stormed: retries stay within the budget and are spread.

Runs of one plugin fail at once, and go on failing for five minutes; in the middle their process
is killed. In no minute do more retries start than the budget allows, no five seconds have more
than thrice their share, no attempt is charged twice, and every run comes to its end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.budget import SLOT, begin_of, slot_of
from core.run import RunState
from manager import current_run
from manager.testing import Lab
from tests.reliability.checking import Report, Scale

if TYPE_CHECKING:
    from pathlib import Path

RUNS: Final = {Scale.SHORT: 150, Scale.LONG: 5_000}
SHARE: Final = 0.2
FLOOR: Final = 120
RETRIES: Final = 3
DOWN: Final = timedelta(minutes=5)
MINUTE: Final = timedelta(minutes=1)
SECOND: Final = timedelta(seconds=1)
CONFIG: Final = {
    "database": {"synchronous": "normal"},
    "manager": {
        "retry_budget": SHARE,
        "retry_floor": FLOOR,
        "scheduler_thread_pool": 1_000,
        "task_queue_size": 10_000,
        "max_tasks": 10,
    },
}


class Dependency:
    """A service that is down at first; notes when it was called, and for which attempt."""

    def __init__(self) -> None:
        self.calls: list[tuple[datetime, str, int]] = []
        self.lab: Lab | None = None
        self.up_at: datetime | None = None

    def call(self) -> None:
        run = current_run()
        if run is None or self.lab is None or self.up_at is None:
            raise RuntimeError("called outside of a run")
        now = self.lab.clock.now()
        self.calls.append((now, run.run_id, run.attempt))
        if now < self.up_at:
            raise ConnectionError("the dependency is down")


def check(scale: Scale, folder: Path) -> Report:
    """Let the runs fail, kill the process after half of the time, and count every call."""
    service, count = Dependency(), RUNS[scale]
    with Lab(ledger=folder / "ledger.db", config=CONFIG) as lab:
        service.lab, service.up_at = lab, lab.clock.now() + DOWN
        lab.define("ask", service.call, max_retries=RETRIES, overlap="allow")
        for _ in range(count):
            lab.tasks.run_task("ask")
        lab.advance(DOWN / 2)
        lab.crash()
        lab.restart(SECOND)
        for _ in range(24 * 60):
            if all(run.state.is_final for run in lab.runs("ask")):
                break
            lab.advance(MINUTE)
        ends = Counter(run.state for run in lab.runs("ask"))
    return _judged(service.calls, ends, count)


def _judged(calls: list[tuple[datetime, str, int]], ends: Counter[RunState], count: int) -> Report:
    failures = []
    open_runs = count - ends[RunState.COMPLETED] - ends[RunState.FAILED]
    if open_runs:
        failures.append(f"{open_runs} of {count} runs came to no end: {dict(ends)}")
    twice = [
        each for each, times in Counter((run, no) for _, run, no in calls).items() if times > 1
    ]
    if twice:
        failures.append(f"{len(twice)} attempts were made twice, the first: {twice[0]}")
    if any(number > RETRIES + 1 for _, _, number in calls):
        failures.append(f"a run had more than {RETRIES + 1} attempts")
    first = sorted(at for at, _, number in calls if number == 1)
    again = sorted(at for at, _, number in calls if number > 1)
    fullest, beyond = 0, 0
    for place, at in enumerate(again):
        since = at - MINUTE + timedelta(microseconds=1)
        retries = place + 1 - bisect_left(again, since)
        begun = bisect_left(first, at + timedelta(microseconds=1)) - bisect_left(first, since)
        fullest = max(fullest, retries)
        beyond = max(beyond, retries - FLOOR - int(SHARE * begun))
    if beyond > 0:
        failures.append(f"in one minute {beyond} retries more than the budget started")
    if len(first) != count:
        failures.append(f"{len(first)} first attempts of {count} runs")
    slots = Counter(slot_of(at) for at in again)
    crowded = max((_times_its_share(slot, slots, first) for slot in slots), default=0.0)
    if crowded > 3:
        failures.append(f"five seconds had {crowded:.1f} times their share of the budget")
    figures = {
        "runs": count,
        "retries": len(again),
        "most_retries_in_a_minute": fullest,
        "most_in_five_seconds_by_share": round(crowded, 2),
        "completed": ends[RunState.COMPLETED],
        "failed": ends[RunState.FAILED],
    }
    return Report(figures, failures)


def _times_its_share(slot: int, slots: Counter[int], first: list[datetime]) -> float:
    """Return how many times its even share of the budget a slot has, in whole retries."""
    end = begin_of(slot + 1)
    begun = bisect_left(first, end) - bisect_left(first, end - MINUTE)
    share = (FLOOR + int(SHARE * begun)) * (SLOT / MINUTE)
    return max(0, slots[slot] - 1) / share
