"""Nothing is lost, and nothing runs twice unnoticed, while processes are killed and stand still.

Three containers share one database, under a hundred and more firings a second. One of them is
killed with ``kill -9`` and replaced at once, again and again at random moments; now and then one
stands still for longer than its lease and then goes on. Afterwards the journal of the tasks, the
ledger and the schedules must agree.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from tests.postgres import Server, fresh_database
from tests.reliability import journal, workload
from tests.reliability.aftermath import drain, dropped_outcomes, judge, settled
from tests.reliability.checking import Figure, Report, Scale
from tests.reliability.nodes import PATIENCE, Nodes
from tests.reliability.rows import PostgresStore, SqliteStore
from tests.reliability.warm import Order
from tests.reliability.workload import QUICK_RETRY, Kind
from tests.tools import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reliability.checker import Findings
    from tests.reliability.nodes import Container
    from tests.reliability.rows import Store

LEASE: Final = 2.5
HEARTBEAT: Final = 0.4
CONTAINERS: Final = 3
BETWEEN: Final = (0.02, 0.25)
"""Seconds from one kill to the next, where containers start as fast."""
HASTE: Final = 0.2
"""The share of kills that come while two others are still starting."""
KINDS: Final = {
    "again": Kind(count=30),
    "once": Kind(count=35, at_most_once=True),
    "again-loop": Kind(count=10, func="waiting", seconds=0.004),
    "once-loop": Kind(count=10, func="waiting", seconds=0.004, at_most_once=True),
    "again-long": Kind(count=5, seconds=0.03),
    "once-long": Kind(count=10, seconds=0.1, at_most_once=True),
    "again-flaky": Kind(
        count=10, func="flaky", options=(("max_retries", 5), ("retry", QUICK_RETRY))
    ),
}


@dataclass(frozen=True, slots=True)
class Storm:
    """How much is done to the containers.

    Attributes:
        kills: So many.
        pauses: So many, each longer than the lease.
        firings: So many a second must go on meanwhile, of 110 that are due. The machine of a test
            run may be too busy for all of them; what is late is made up before the end.
        seed: Of the moments and the victims.
    """

    kills: int
    pauses: int
    firings: int = 20
    seed: int = 4


STORMS: Final = {Scale.SHORT: Storm(30, 5), Scale.LONG: Storm(1_000, 100, firings=100)}


def check(scale: Scale, folder: Path) -> Report:
    """Kill containers on SQLite, then on PostgreSQL."""
    figures: dict[str, Figure] = {}
    failures: list[str] = []
    for name, kill in (("SQLite", on_sqlite), ("PostgreSQL", on_postgresql)):
        place = folder / name
        place.mkdir()
        report = kill(STORMS[scale], place)
        figures |= {f"{name}: {key}": each for key, each in report.figures.items()}
        failures += [f"{name}: {each}" for each in report.failures]
    return Report(figures, failures)


def on_sqlite(storm: Storm, folder: Path) -> Report:
    """Kill containers on a SQLite file."""
    return stormed(storm, SqliteStore(folder / "ledger.db"), folder)


def on_postgresql(storm: Storm, folder: Path) -> Report:
    """Kill containers on a PostgreSQL server of their own."""
    with Server() as server, fresh_database(server) as url:
        return stormed(storm, PostgresStore(url), folder)


def stormed(storm: Storm, store: Store, folder: Path, fault: str = "") -> Report:
    """Kill containers on *store*; *folder* is empty but for it.

    Args:
        storm: How much.
        store: The database.
        folder: For the files.
        fault: The text of a plugin that breaks the container on purpose.
    """
    tasks = workload.project(folder, store, KINDS)
    (folder / "load" / "fault").mkdir()
    (folder / "load" / "fault" / "taskplugins.py").write_text(fault, encoding="utf-8")
    with Nodes() as nodes:
        weather = Weather(storm, nodes, folder)
        weather.break_loose()
        until = settled(store, tasks, weather.look_after)
        for container in weather.containers:
            container.kill()
        drain(nodes, store, weather.order)
    findings = judge(store, folder, tasks, until)
    return _report(storm, weather, findings, folder)


@dataclass(slots=True)
class Weather:
    """What happens to the containers, drawn from one seed."""

    storm: Storm
    nodes: Nodes
    folder: Path
    containers: list[Container] = field(default_factory=list)
    span: tuple[int, int] = (0, 0)
    _paused: tuple[Container, float] | None = None
    _clock: SystemClock = field(default_factory=SystemClock)

    @property
    def order(self) -> Order:
        """What each container is."""
        return Order(folder=str(self.folder), lease=LEASE, heartbeat=HEARTBEAT, resumes=True)

    def break_loose(self) -> None:
        """Start the containers, then kill and pause them, as often as the storm says."""
        draw = random.Random(self.storm.seed)  # noqa: S311 - no secret
        clock, never = self._clock, threading.Event()
        self.containers = [self._started() for _ in range(CONTAINERS)]
        for container in self.containers:
            container.ready()
        file = self.folder / workload.FILE
        eventually(lambda: file.exists() and file.stat().st_size > 0, PATIENCE)
        begun = journal.wall()
        blows = ["kill"] * self.storm.kills + ["pause"] * self.storm.pauses
        draw.shuffle(blows)
        for blow in blows:
            while blow == "pause" and self._paused is not None:  # one at a time
                never.wait(0.02)
                self._wake()
            end = clock.monotonic() + draw.uniform(*BETWEEN)
            while clock.monotonic() < end:
                never.wait(0.01)
                self._wake()
            if blow == "kill":
                self._kill(draw)
            else:
                victim = draw.choice(eventually(self._ready, PATIENCE))
                victim.pause()
                self._paused = victim, clock.monotonic() + LEASE * draw.uniform(1.1, 1.6)
        while self._paused is not None:
            never.wait(0.02)
            self._wake()
        self.span = begun, journal.wall()

    def look_after(self) -> None:
        """Let go on who stood still for long enough, and replace who ended unasked."""
        self._wake()
        for gone in [each for each in self.containers if each.is_gone]:
            self.containers.remove(gone)  # it found the database locked when it started
            self.containers.append(self._started())

    def _kill(self, draw: random.Random) -> None:
        """Kill one, be it ready or just starting; a fresh one takes its place."""
        enough = 1 if draw.random() < HASTE else 2  # else none would come to do any work
        eventually(lambda: len(self._ready()) >= enough, PATIENCE)
        victim = draw.choice([each for each in self.containers if not each.is_paused])
        self.containers.remove(victim)
        victim.kill()
        self.containers.append(self._started())

    def _ready(self) -> list[Container]:
        """Return those that work, after looking after all: who stands still may hold them up."""
        self.look_after()
        return [each for each in self.containers if each.is_ready and not each.is_paused]

    def _wake(self) -> None:
        if self._paused is not None and self._paused[1] <= self._clock.monotonic():
            self._paused[0].go_on()
            self._paused = None

    def _started(self) -> Container:
        return self.nodes.start(self.order)


def _report(storm: Storm, weather: Weather, findings: Findings, folder: Path) -> Report:
    counts, failures = findings.counts, findings.failures()
    begun, ended = weather.span
    entries, _ = journal.read(folder / workload.FILE)
    fired = {each.run for each in entries if begun <= each.wall < ended}
    seconds = (ended - begun) / 1e6
    if len(fired) < storm.firings * seconds:
        failures.append(f"only {len(fired) / seconds:.0f} firings a second: too few to mean much")
    figures = {
        "kills": storm.kills,
        "pauses longer than the lease": storm.pauses,
        "firings a second": round(len(fired) / seconds),
        **counts,
        "outcomes dropped": dropped_outcomes(folder),
        "seconds of storm": round(seconds),
        "s late at most": round(max(findings.delays, default=0) / 1e6, 1),
    }
    return Report(figures, failures)
