"""After ``kill -9`` with 10,000 tasks the first run starts within 2 s of the next process.

A process of another machine takes over the runs of one that died within the lease and 2 s more, a
process of the same machine at once. The first start is measured by the wall clock of the run and of
the command, on the way of a real command with all its imports; on a machine that does other work
besides, the processor's time counts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.reliability import journal, workload
from tests.reliability.checking import Report, Scale
from tests.reliability.journal import Event, wall
from tests.reliability.nodes import PATIENCE, ROOT, Nodes
from tests.reliability.rows import SqliteStore, Store
from tests.reliability.warm import Order
from tests.reliability.workload import Kind
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TASKS: Final = 10_000
STARTS: Final = {Scale.SHORT: 2, Scale.LONG: 11}
WITHIN: Final = {Scale.SHORT: 5.0, Scale.LONG: 2.0}
"""Seconds; the machine of a test run does much else, and its processor is shared."""
LEASES: Final = {Scale.SHORT: 3.0, Scale.LONG: 15.0}
SLACK: Final = {Scale.SHORT: 5.0, Scale.LONG: 2.0}
"""Seconds after the lease; a test run shares its machine with much else."""
TURNS: Final = {Scale.SHORT: 1, Scale.LONG: 5}
AT_ONCE: Final = 2.0
CONTAINER: Final = """
import threading
from manager import Manager

with Manager("config.json"):
    threading.Event().wait()
"""


def check(scale: Scale, folder: Path) -> Report:
    """Measure both."""
    figures: dict[str, int | float | str] = {"tasks stored": TASKS}
    failures: list[str] = []
    walls, spent = first_firings(folder / "many", STARTS[scale])
    best = min(statistics.median(walls), statistics.median(spent))
    figures["s to the first firing, median"] = round(statistics.median(walls), 2)
    figures["s to the first firing, longest"] = round(max(walls), 2)
    figures["s of processor time for it, median"] = round(statistics.median(spent), 2)
    if best > WITHIN[scale]:
        failures.append(f"the first firing took {best:.2f} s, more than {WITHIN[scale]:g} s")
    lease = LEASES[scale]
    for place, host, within in (
        ("another machine", "elsewhere", lease + SLACK[scale]),
        ("this machine", "", AT_ONCE + SLACK[scale]),
    ):
        taken = [
            taken_over(folder / f"{host or 'here'}-{turn}", lease, host)
            for turn in range(TURNS[scale])
        ]
        figures[f"s until {place} takes over, longest"] = round(max(taken), 2)
        if max(taken) > within:
            failures.append(f"{place} took over after {max(taken):.2f} s, not within {within:g} s")
        if host and min(taken) < lease - 1:
            failures.append(f"{place} took over after {min(taken):.2f} s, before the lease is over")
    figures["s of the lease"] = lease
    return Report(figures, failures)


def first_firings(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Kill a container with many tasks and start it again, *count* times.

    Returns:
        Seconds from the start of the command to the first line of a task, and the processor's
        time that it took.
    """
    folder.mkdir()
    kinds = {
        "often": Kind(count=100),
        "hourly": Kind(count=(TASKS - 100) // 2, every=3600),
        "daily": Kind(count=(TASKS - 100) // 2, every=86_400),
    }
    workload.project(folder, SqliteStore(folder / "ledger.db"), kinds, phases=0)
    (folder / "container.py").write_text(CONTAINER, encoding="utf-8")
    _first_firing(folder)  # what is registered for the first time is not what is measured
    taken = [_first_firing(folder) for _ in range(count)]
    return [seconds for seconds, _ in taken], [spent for _, spent in taken]


def _first_firing(folder: Path) -> tuple[float, float]:
    file = folder / workload.FILE
    file.unlink(missing_ok=True)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "container.py"]
    begun = wall()
    with (folder / "containers.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    try:
        eventually(lambda: file.exists() and file.stat().st_size > 0, PATIENCE)
        spent = _processor_seconds(process.pid)
    finally:
        process.kill()
        process.wait()
    entries, _ = journal.read(file)
    return (entries[0].wall - begun) / 1e6, spent


def _processor_seconds(pid: int) -> float:
    """Return what a process has had of the processor by now, in seconds."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - no file of ours
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def taken_over(folder: Path, lease: float, host: str) -> float:
    """Kill a container in the middle of runs; return after how long all of them began again.

    Args:
        folder: Not there yet.
        lease: Seconds.
        host: The machine that the other container says it is on; this one where empty.
    """
    folder.mkdir()
    store = SqliteStore(folder / "ledger.db")
    once = (("max_runs", 1),)
    workload.project(folder, store, {"long": Kind(count=8, seconds=lease + 60, options=once)})
    order = Order(folder=str(folder), lease=lease, heartbeat=lease / 5)
    with Nodes() as nodes:
        first = nodes.start(order).ready()
        eventually(lambda: len(_starts(folder)) == 8, PATIENCE)
        eventually(lambda: _has_renewed(store, first.pid), PATIENCE)
        nodes.start(replace(order, host=host)).ready()
        begun = wall()
        first.kill()
        eventually(lambda: len(_starts(folder)) == 16, PATIENCE)
    return (max(_starts(folder).values()) - begun) / 1e6


def _starts(folder: Path) -> Mapping[tuple[str, int], int]:
    """Return when each attempt began, in microseconds."""
    entries, _ = journal.read(folder / workload.FILE)
    return {
        (entry.run, entry.attempt): entry.wall for entry in entries if entry.event is Event.STARTED
    }


def _has_renewed(store: Store, pid: int) -> bool:
    """Tell whether a container has renewed its lease."""
    query = f"SELECT heartbeat > started_at FROM nodes WHERE pid = {pid}"  # noqa: S608 - a number
    return any(row[0] for row in store.fetch(query))
