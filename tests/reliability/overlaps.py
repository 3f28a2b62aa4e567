"""A task's overlap limit holds across processes: no more of its runs are under way than it says.

Several containers share one database. Their tasks are due more often than a run takes, with every
overlap policy. The journal tells when each call began and ended: at no instant are more calls of
a task under way than its policy allows, whichever process makes them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tests.reliability import journal, workload
from tests.reliability.aftermath import drain, judge, settled
from tests.reliability.checking import Report, Scale
from tests.reliability.journal import Event
from tests.reliability.nodes import PATIENCE, Nodes
from tests.reliability.rows import SqliteStore, Store
from tests.reliability.warm import Order
from tests.reliability.workload import Kind
from tests.tools import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reliability.journal import Entry

CONTAINERS: Final = {Scale.SHORT: 3, Scale.LONG: 8}
SECONDS: Final = {Scale.SHORT: 5, Scale.LONG: 120}
POLICIES: Final = {
    "skip": ("skip", 1),
    "queue": ("queue", 1),
    "queue-two": ({"queue": 2}, 1),
    "replace": ("replace", 1),
    "allow-two": ({"allow": 2}, 2),
    "allow-three": ({"allow": 3}, 3),
}
"""Each with the most calls that may be under way at once."""
EACH: Final = 2
TAKES: Final = 0.8
"""Seconds of a run."""


def check(scale: Scale, folder: Path) -> Report:
    """Let runs meet on SQLite."""
    return met(SqliteStore(folder / "ledger.db"), folder, CONTAINERS[scale], SECONDS[scale])


def met(store: Store, folder: Path, containers: int, seconds: float) -> Report:
    """Let runs meet on *store* for some *seconds*; *folder* is empty but for it."""
    kinds = {
        name: Kind(
            count=EACH, func="waiting", seconds=TAKES, every=0.5, may_drop=True,
            options=(("overlap", overlap), ("catch_up", "latest")),
        )
        for name, (overlap, _most) in POLICIES.items()
    }  # fmt: skip
    tasks = workload.project(folder, store, kinds, phases=7)
    with Nodes() as nodes:
        running = [nodes.start(Order(folder=str(folder))) for _ in range(containers)]
        for container in running:
            container.ready()
        end = journal.wall() + seconds * 1_000_000
        eventually(lambda: journal.wall() > end, seconds + PATIENCE)
        until, pids = settled(store, tasks), {container.pid for container in running}
        for container in running:
            container.end()
        drain(nodes, store, Order(folder=str(folder)))
    entries, _damaged = journal.read(folder / workload.FILE)
    findings = judge(store, folder, tasks, until)
    busy = len({entry.pid for entry in entries} & pids)
    failures = findings.failures() + beyond(entries)
    if busy < containers:
        failures.append(f"only {busy} processes of {containers} ran anything")
    figures = {
        f"processes on {store.name}": containers,
        "policies": len(POLICIES),
        "occurrences": findings.counts["occurrences"],
        "calls": findings.counts["calls"],
        "skipped": findings.counts["skipped or missed"],
        "processes that ran": busy,
    }
    return Report(figures, failures)


def beyond(entries: list[Entry]) -> list[str]:
    """Return a sentence for each task that had more calls under way than its policy allows."""
    most_of: dict[str, int] = defaultdict(int)
    open_calls: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for entry in sorted(entries, key=lambda each: each.monotonic):
        call = (entry.run, entry.attempt)
        if entry.event is Event.STARTED:
            open_calls[entry.task].add(call)
        else:
            open_calls[entry.task].discard(call)
        most_of[entry.task] = max(most_of[entry.task], len(open_calls[entry.task]))
    failures = []
    for task, most in most_of.items():
        allowed = POLICIES[task.rpartition("-")[0]][1]
        if most > allowed:
            failures.append(f"{task}: {most} calls were under way at once, {allowed} are allowed")
    return failures
