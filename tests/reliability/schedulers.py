"""Any number of processes on one database start each occurrence once, zombies among them.

Every process times every task. One after another stands still for longer than its lease and goes
on: what it still writes then must change nothing, and must be seen to have been tried.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from tests.reliability import journal, workload
from tests.reliability.aftermath import drain, dropped_outcomes, judge, settled
from tests.reliability.checking import Report, Scale
from tests.reliability.journal import Event
from tests.reliability.nodes import Nodes
from tests.reliability.rows import SqliteStore
from tests.reliability.warm import Order
from tests.reliability.workload import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reliability.nodes import Container

LEASE: Final = 2.5
HEARTBEAT: Final = 0.4
SHARE: Final = 3.0
"""The busiest process starts at most so many times as many runs as the idlest."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many processes, and what they are put through.

    Attributes:
        containers: Processes.
        tasks: Each due once a second.
        occurrences: So many in all, at least.
        zombies: So many stand still at the same time.
        stale: So many outcomes must have come too late, or too little was tried.
    """

    containers: int
    tasks: int
    occurrences: int
    zombies: int
    stale: int


CROWDS: Final = {
    Scale.SHORT: Crowd(containers=4, tasks=320, occurrences=10_000, zombies=1, stale=5),
    Scale.LONG: Crowd(containers=10, tasks=200, occurrences=120_000, zombies=3, stale=50),
}


def check(scale: Scale, folder: Path) -> Report:
    """Let a crowd work, some of it standing still in turn, then judge."""
    crowd = CROWDS[scale]
    store = SqliteStore(folder / "ledger.db")
    share = crowd.tasks // 8
    slow, slow_once = Kind(count=share, seconds=0.15), Kind(count=share, seconds=0.15)
    kinds = {
        "again": Kind(count=3 * share),
        "once": Kind(count=3 * share, at_most_once=True),
        "again-slow": slow,
        "once-slow": replace(slow_once, at_most_once=True),
    }
    tasks = workload.project(folder, store, kinds)
    order = Order(folder=str(folder), lease=LEASE, heartbeat=HEARTBEAT)
    with Nodes() as nodes:
        crew = [nodes.start(order) for _ in range(crowd.containers)]
        for container in crew:
            container.ready()
        paused = stood_still(crew, crowd)
        until = settled(store, tasks)
        for container in crew:
            container.kill()
        drain(nodes, store, order)
    findings = judge(store, folder, tasks, until)
    failures, counts, stale = findings.failures(), findings.counts, dropped_outcomes(folder)
    if counts["occurrences"] < crowd.occurrences:
        failures.append(f"only {counts['occurrences']} of {crowd.occurrences} occurrences were due")
    if stale < crowd.stale:
        failures.append(f"only {stale} outcomes came too late: too little was tried")
    ratio = work_share(folder, {container.pid for container in crew})
    if ratio > SHARE:
        failures.append(f"the busiest process did {ratio:.1f} times the work of the idlest")
    figures = {
        "processes": crowd.containers,
        **counts,
        "double firings": findings.kinds["double firing"],
        "zombies": paused,
        "stale outcomes fenced off": stale,
        "times the work of the idlest by the busiest": round(ratio, 2),
        "s late at most": round(max(findings.delays, default=0) / 1e6, 1),
    }
    return Report(figures, failures)


def stood_still(crew: list[Container], crowd: Crowd) -> int:
    """Let containers stand still in turn until all was due that is asked for; return how many."""
    clock, never = SystemClock(), threading.Event()
    draw = random.Random(crowd.occurrences)  # noqa: S311 - no secret
    end = clock.monotonic() + crowd.occurrences / crowd.tasks + 3
    still: list[tuple[Container, float]] = []
    count = 0
    while clock.monotonic() < end or still:
        now = clock.monotonic()
        for container, until in still:
            if until <= now:
                container.go_on()
        still = [(container, until) for container, until in still if until > now]
        if len(still) < crowd.zombies and now < end:
            victim = crew[count % len(crew)]
            count += 1
            victim.pause()
            still.append((victim, now + LEASE * draw.uniform(1.1, 1.5)))
        never.wait(draw.uniform(0.05, 0.5))
    return count


def work_share(folder: Path, pids: set[int]) -> float:
    """Return how many times the work of the idlest process the busiest has done."""
    entries, _ = journal.read(folder / workload.FILE)
    counts = Counter(
        each.pid for each in entries if each.event is Event.STARTED and each.pid in pids
    )
    return max(counts.values()) / min(counts.values()) if counts.keys() == pids else float("inf")
