"""Whatever crashes, stops or sets the clock: nothing is lost, and what ran twice may and says so.

In simulated worlds of several nodes, each from a seed that replays exactly; every kind of fault
has to strike, and each of twenty planted bugs to be seen.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.reliability.checking import Report, Scale
from tests.simulation.faults import Fault
from tests.simulation.planted import BUGS, planted
from tests.simulation.playing import played

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.simulation.planted import Bug
    from tests.simulation.playing import Played

SEEDS: Final = {Scale.SHORT: 50, Scale.LONG: 1_000}
DAYS: Final = {Scale.SHORT: 7, Scale.LONG: 30}
TWICE: Final = 20
"""One seed in so many is played a second time, in another process."""
PROCESSES: Final = 2


def check(scale: Scale, folder: Path) -> Report:
    """Play the seeds, some of them twice; then see whether each planted bug shows."""
    _ = folder
    days, struck, calls, runs, failures = DAYS[scale], Counter[Fault](), 0, 0, []
    digests: dict[int, str] = {}
    for world in _all(range(1, SEEDS[scale] + 1), days, scale):
        struck += world.struck
        calls, runs = calls + world.calls, runs + world.runs
        digests[world.seed] = world.digest
        if world.complaints:
            failures.append(f"{world.complaints[0]}; replay: {world.replay}")
    never = [fault.value for fault in Fault if not struck[fault]]
    if never:
        failures.append(f"faults that never struck: {', '.join(never)}")
    again = [seed for seed in digests if seed % TWICE == 0]
    failures += [
        f"seed {seed} took another course the second time"
        for seed in again
        if replayed(seed, days) != digests[seed]
    ]
    caught = seen()
    failures += [
        f"the planted bug '{name}' was not seen" for name, how in caught.items() if not how
    ]
    figures = {
        "worlds": len(digests),
        "days each": days,
        "runs": runs,
        "calls": calls,
        "faults": struck.total(),
        "kinds of fault": len(Fault) - len(never),
        "planted bugs seen": sum(map(bool, caught.values())),
    }
    return Report(figures, failures)


def seen() -> dict[str, str]:
    """Return, by planted bug, what was complained of in the first world in which it showed."""
    return {bug.name: complaint_about(bug) for bug in BUGS}


def complaint_about(bug: Bug) -> str:
    """Return what shows *bug* in one of its worlds; empty where none does."""
    for seed in bug.seeds:
        with planted(bug):
            world = played(seed, bug.days)
        if world.complaints:
            return world.complaints[0]
    return ""


def replayed(seed: int, days: int) -> str:
    """Return the hash of a seed that another process plays, with other hashes of text."""
    command = [sys.executable, "-m", "tests.simulation", str(seed), "--days", str(days)]
    fresh = {**os.environ, "PYTHONHASHSEED": str(seed + 1)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=fresh)
    return done.stdout.partition(": ")[2].partition(",")[0]


def _all(seeds: Iterable[int], days: int, scale: Scale) -> Iterable[Played]:
    """Play *seeds*; in a test run, which has its own processes, one after the other."""
    if scale is Scale.SHORT:
        yield from (played(seed, days) for seed in seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        yield from pool.map(partial(played, days=days), seeds, chunksize=5)
