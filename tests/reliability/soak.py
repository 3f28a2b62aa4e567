"""A container that runs for long stays as it is: memory, threads, files, database and delays.

50 runs a second, some of them coroutines, some failing and tried again, while history older than
a few seconds is deleted again and again. After a warm-up the slopes of what the process holds must
be flat, and the last tenth of the firings as punctual as the first.
"""

from __future__ import annotations

import os
import signal
import statistics
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from manager.container import plugins_of
from manager.task.taskmanager import TaskManager
from tests.reliability import journal, workload
from tests.reliability.aftermath import drain, settled
from tests.reliability.checking import Report, Scale
from tests.reliability.journal import Event
from tests.reliability.nodes import PATIENCE, Nodes
from tests.reliability.rows import SqliteStore
from tests.reliability.warm import Order
from tests.reliability.workload import QUICK_RETRY, Kind
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from configurations import Xcorecfg
    from manager.task.assembly import Assembly
    from tests.reliability.checker import Expected
    from tests.reliability.journal import Entry
    from tests.reliability.nodes import Container

KEEP: Final = "TASKRACK_TEST_KEPT"
SECONDS: Final = {Scale.SHORT: 20, Scale.LONG: 600}
WARM_UP: Final = {Scale.SHORT: 8, Scale.LONG: 90}
KEPT: Final = {Scale.SHORT: 4, Scale.LONG: 30}
"""Seconds of history that are kept."""
EVERY: Final = {Scale.SHORT: 0.5, Scale.LONG: 2}
"""Seconds between two looks at the process."""
KINDS: Final = {
    "plain": Kind(count=25, seconds=0.005),
    "loop": Kind(count=15, func="waiting", seconds=0.02),
    "flaky": Kind(count=8, func="flaky", options=(("max_retries", 3), ("retry", QUICK_RETRY))),
    "idle": Kind(count=2),
}
SETTLING: Final = 2_000_000
MIB: Final = 1 << 20


BOUNDS: Final = {
    Scale.SHORT: {"resident MiB": 8, "threads": 2, "open files": 4, "database MiB": 3},
    Scale.LONG: {"resident MiB": 3, "threads": 1, "open files": 2, "database MiB": 1},
}
"""By so much the line through all looks after the warm-up may rise from its begin to its end."""
DELAY: Final = {Scale.SHORT: 3.0, Scale.LONG: 1.2}
SPARE_MS: Final = {Scale.SHORT: 1_000.0, Scale.LONG: 20.0}
"""The last tenth's 99th percentile may be so many times the first's, or so much above it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a process holds at one moment."""

    second: float
    held: dict[str, float]


def check(scale: Scale, folder: Path) -> Report:
    """Let one container run, and look at it from outside."""
    store = SqliteStore(folder / "ledger.db")
    tasks = workload.project(folder, store, KINDS)
    kept = {KEEP: str(KEPT[scale])}
    order = Order(folder=str(folder), environ=kept, script="tests.reliability.soak:pruned")
    with Nodes() as nodes:
        container = nodes.start(order)
        eventually((folder / workload.FILE).exists, PATIENCE)
        looks = looked(container, store.file, scale)
        until = settled(store, tasks)
        container.end()
        drain(nodes, store, Order(folder=str(folder)))
        anchors = {row[0]: row[1] for row in store.fetch("SELECT id, anchor FROM tasks")}
    entries, damaged = journal.read(folder / workload.FILE)
    failures = [f"a line of the journal is damaged: {line!r}" for line in damaged]
    failures += uncalled(entries, tasks, anchors, until)
    figures: dict[str, int | float | str] = {
        "seconds": SECONDS[scale],
        "runs": len({entry.run for entry in entries}),
    }
    warm = [look for look in looks if look.second >= WARM_UP[scale]]
    for name, most in BOUNDS[scale].items():
        rise = risen([look.second for look in warm], [look.held[name] for look in warm])
        figures[f"{name} at the end"] = round(warm[-1].held[name], 1)
        figures[f"{name} risen"] = round(rise, 2)
        if rise > most:
            failures.append(f"{name} rose by {rise:.2f} in {SECONDS[scale]} s, more than {most}")
    first, last = delays(entries)
    figures["ms late, p99 of the first tenth"] = round(first, 1)
    figures["ms late, p99 of the last tenth"] = round(last, 1)
    if last > max(first * DELAY[scale], first + SPARE_MS[scale]):
        failures.append(f"the last tenth started {last:.1f} ms late (p99), the first {first:.1f}")
    return Report(figures, failures)


def pruned(config: Xcorecfg, assembly: Assembly) -> None:
    """Be a container that deletes old history every second, until SIGTERM."""
    tasks = TaskManager(config, plugins=plugins_of, assembly=assembly)
    ended, clock = threading.Event(), SystemClock()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    kept = timedelta(seconds=float(os.environ[KEEP]))
    tasks.start()
    while not clock.wait(ended, timedelta(seconds=1)):
        tasks.ledger.prune(clock.now() - kept)
    tasks.shutdown()


def looked(container: Container, database: Path, scale: Scale) -> list[Look]:
    """Look at a process and its database until the time is up."""
    clock, never = SystemClock(), threading.Event()
    begun, looks = clock.monotonic(), []
    while (second := clock.monotonic() - begun) < SECONDS[scale]:
        assert not container.is_gone, "the container ended by itself"
        looks.append(Look(second, held(container.pid, database)))
        clock.wait(never, timedelta(seconds=EVERY[scale]))
    return looks


def held(pid: int, database: Path) -> dict[str, float]:
    """Return what a process and its database hold now."""
    process = Path(f"/proc/{pid}")
    words = (process / "status").read_text(encoding="utf-8").split()
    sizes = [Path(f"{database}{end}") for end in ("", "-wal")]
    return {
        "resident MiB": int(words[words.index("VmRSS:") + 1]) / 1024,
        "threads": int(words[words.index("Threads:") + 1]),
        "open files": len(list((process / "fd").iterdir())),
        "database MiB": sum(file.stat().st_size for file in sizes if file.exists()) / MIB,
    }


def risen(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much the straight line through *values* rises over all of *seconds*."""
    slope = statistics.linear_regression(seconds, values).slope
    return slope * (seconds[-1] - seconds[0])


def delays(entries: Sequence[Entry]) -> tuple[float, float]:
    """Return by how many milliseconds the first and the last tenth of the runs started late.

    It is the 99th percentile of the first attempts; the very first seconds, in which the container
    makes up what fell due before it was ready, are left out.
    """
    firsts: dict[str, tuple[int, int]] = {}
    for entry in entries:
        if entry.event is Event.STARTED:
            firsts.setdefault(entry.run, (entry.due, entry.wall - entry.due))
    begin = min(due for due, _ in firsts.values()) + SETTLING
    late = [delay / 1000 for due, delay in sorted(firsts.values()) if due >= begin]
    tenth = max(2, len(late) // 10)
    return percentile(late[:tenth]), percentile(late[-tenth:])


def percentile(values: Sequence[float]) -> float:
    """Return what 99 of a hundred *values* do not exceed."""
    return sorted(values)[(len(values) * 99 + 99) // 100 - 1]


def uncalled(
    entries: Sequence[Entry], tasks: Mapping[str, Expected], anchors: Mapping[str, int], until: int
) -> list[str]:
    """Tell of occurrences that were never called, or by more than one run."""
    runs: dict[tuple[str, int], set[str]] = defaultdict(set)
    for entry in entries:
        runs[entry.task, entry.due].add(entry.run)
    failures = [
        f"{task}: due {due}, called as {ids}" for (task, due), ids in runs.items() if len(ids) > 1
    ]
    for task, expected in tasks.items():
        assert expected.start is not None and expected.every is not None, "all are timed"  # noqa: PT018 - one state
        due = range(expected.start, until, expected.every)
        gone = [each for each in due if each > anchors[task] and (task, each) not in runs]
        if gone:
            failures.append(f"{task}: {len(gone)} occurrences were never called")
    return failures
