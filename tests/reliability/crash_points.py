"""Wherever in a run's life its process is killed, the next start brings everything to its end.

One container does all that runs go through, from the first start to a shutdown that cuts runs off.
``strace`` kills it at its n-th write, sync, truncation or removal of a file, for every n; the
process dies before the call is made. Then a container starts on what is left, runs to the end, and
journal, ledger, schedules and the list of accepted runs must agree. A second life is the same, with
SQLite's log written into the file every few pages.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.reliability import journal, life, workload
from tests.reliability.checker import Checker, Expected
from tests.reliability.checking import Report, Scale
from tests.reliability.nodes import PATIENCE, Nodes
from tests.reliability.rows import SqliteStore, rows_of
from tests.reliability.warm import Order
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.reliability.nodes import Container

CALLS: Final = ("pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "rename")
SAMPLE: Final = 24
"""Points of the short form, spread over all calls of both lives."""
PAGES: Final = 8
ONCE: Final = frozenset({"once", "stays-once"})
WORKERS: Final = 2
_EXPECTED: Final = {
    name: Expected(
        every=round(life.BEAT * 1_000_000) if name == "beat" else None, at_most_once=name in ONCE
    )
    for name in ("beat", "again", "once", "flaky", "slow", "unwanted", "stays", "stays-once")
}


@dataclass(frozen=True, slots=True)
class Point:
    """Where a life ends: at the *number*-th *call*; *pages* is how often SQLite writes through."""

    call: str
    number: int
    pages: int


def check(scale: Scale, folder: Path) -> Report:
    """Count the calls of two whole lives, then end lives at these calls."""
    program = tracer()
    if program is None:
        return Report({}, ["strace is not there; 'apt-get install strace' as root brings it"])
    with Nodes() as nodes:
        lives = Lives(nodes, program, folder)
        counts = {pages: lives.counted(pages) for pages in (0, PAGES)}
        points = [
            Point(call, number, pages)
            for pages, found in counts.items()
            for call in CALLS
            for number in range(1, found[call] + 1)
        ]
        if not any(found["fdatasync"] for found in counts.values()):
            return Report(
                {}, ["strace saw no call: is this process allowed to trace its children?"]
            )
        chosen = points if scale is Scale.LONG else spread(points, SAMPLE)
        with ThreadPoolExecutor(WORKERS) as pool:
            ends = list(pool.map(lives.end_at, chosen))
    failures = [f"{end.point}: {failure}" for end in ends for failure in end.failures]
    cut = [end for end in ends if end.was_killed]
    if len(cut) < len(ends) * 0.75:  # the last calls are not made in every life
        failures.append(f"only {len(cut)} of {len(ends)} lives were cut short")
    told = {f"calls of {call} in a life": counts[0][call] for call in CALLS if counts[0][call]}
    told["more where SQLite writes through"] = counts[PAGES].total() - counts[0].total()
    return Report({"points": len(ends), "of them reached": len(cut), **told}, failures)


def spread(points: list[Point], most: int) -> list[Point]:
    """Return up to *most* of *points*: of each call about as many, from its first to its last."""
    of_call: dict[tuple[str, int], list[Point]] = {}
    for point in points:
        of_call.setdefault((point.call, point.pages), []).append(point)
    share = max(1, most // max(1, len(of_call)))
    chosen: list[Point] = []
    for group in of_call.values():
        count = min(share, len(group))
        step = (len(group) - 1) / max(1, count - 1)
        chosen += [group[round(place * step)] for place in range(count)]
    rest = [point for point in points if point not in chosen]
    more = min(most - len(chosen), len(rest))
    return chosen + [rest[place * len(rest) // more] for place in range(more)]


def tracer() -> str | None:
    """Return the path of strace; where it is missing and may be installed, it is."""
    found = shutil.which("strace")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "strace"]):
            subprocess.run(command, capture_output=True, check=False, timeout=300)
        found = shutil.which("strace")
    return found


@dataclass(frozen=True, slots=True)
class End:
    """What came of a life that ended at *point*."""

    point: Point
    was_killed: bool
    failures: list[str]


@dataclass(frozen=True, slots=True)
class Lives:
    """Lives containers of their own, one after another or at the same time.

    Args:
        nodes: Starts them.
        program: The path of strace.
        folder: Each gets a folder of its own below it, which is removed when it was in order.
    """

    nodes: Nodes
    program: str
    folder: Path

    def counted(self, pages: int) -> Counter[str]:
        """Return how often a whole life makes each call."""
        place = self._place(f"counted-{pages}")
        seen = place / "calls.txt"
        asked = ("--output", str(seen), "--trace", ",".join(f"?{call}" for call in CALLS))
        with self._traced(place, pages, asked) as container:
            eventually(lambda: container.is_gone, PATIENCE)
        return Counter(re.findall(r"^(\w+)\(", seen.read_text(encoding="utf-8"), re.MULTILINE))

    def end_at(self, point: Point) -> End:
        """Live until *point*, let another container go on, and check what became of it all."""
        place = self._place(f"{point.call}-{point.number}-{point.pages}")
        kill = f"{point.call}:signal=KILL:when={point.number}"
        asked = ("--output", os.devnull, "--trace", point.call, "--inject", kill)
        with self._traced(place, point.pages, asked) as container:
            eventually(lambda: container.is_gone, PATIENCE)
        was_killed = not (place / life.WHOLE).exists()
        failures: list[str] = []
        try:
            order = Order(folder=str(place), script="tests.reliability.life:after")
            second = self.nodes.start(order)
            eventually(lambda: second.is_gone, PATIENCE)
            failures = checked(place)
        except AssertionError as error:
            failures = [f"the next container does not come to an end: {error}"]
        if not failures:
            shutil.rmtree(place)
        return End(point, was_killed, failures)

    @contextmanager
    def _traced(self, place: Path, pages: int, asked: tuple[str, ...]) -> Iterator[Container]:
        """Give a container that lives under strace; only its main thread is traced."""
        environ = {life.CHECKPOINTS: str(pages)} if pages else {}
        script = "tests.reliability.life:whole"
        told = partial(Order, lease=1.5, heartbeat=0.1, script=script, held=True)
        order = told(folder=str(place), environ=environ)
        container = self.nodes.start(order)
        eventually(lambda: container.is_held, PATIENCE)
        said = place / "strace.txt"
        command = [self.program, *asked, "--attach", str(container.pid)]
        with said.open("wb") as errors:
            strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors)
        try:
            eventually(lambda: b"attached" in said.read_bytes() or strace.poll() is not None)
            if strace.poll() is not None:
                raise AssertionError(f"strace cannot trace: {said.read_text(encoding='utf-8')}")
            container.send(signal.SIGUSR1)
            yield container
            strace.wait(PATIENCE)
        finally:
            container.send(signal.SIGKILL)
            if strace.poll() is None:
                strace.kill()
            strace.wait()

    def _place(self, name: str) -> Path:
        place = self.folder / name
        workload.plugin_project(place, SqliteStore(place / "ledger.db"), life.PLUGIN)
        return place


def checked(place: Path) -> list[str]:
    """Return what is wrong with what two containers left in *place*."""
    log = (place / "containers.log").read_text(encoding="utf-8", errors="replace")
    rows = rows_of(SqliteStore(place / "ledger.db"))
    entries, damaged = journal.read(place / workload.FILE)
    failures = Checker(entries, damaged, rows, _EXPECTED).check().failures()
    accepted = place / life.ACCEPTED
    known = {run.id for run in rows.runs}
    ids = accepted.read_text(encoding="utf-8").split() if accepted.exists() else []
    failures += [f"run {each} was accepted, and no row tells" for each in ids if each not in known]
    if "Traceback" in log:
        failures.append(f"a container stumbled: {log[log.index('Traceback') :][-600:]}")
    return failures
