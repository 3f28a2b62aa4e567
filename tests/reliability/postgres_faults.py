"""Nothing is lost, and nothing runs twice unnoticed, while PostgreSQL and its network fail.

One container fires a hundred and more runs a second into a PostgreSQL that it reaches through a
proxy. The server is stopped at once, without a checkpoint, and started again; the network swallows
what is said, delays it, breaks connections in the middle of a message, and loses a COMMIT or its
answer. The container must stay alive, fire again within five seconds of each return, and at the
end the journal of the tasks, the ledger and the schedules must agree.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core.clock import SystemClock
from tests.postgres import Server
from tests.reliability import journal, workload
from tests.reliability.aftermath import drain, judge, settled
from tests.reliability.checking import Report, Scale
from tests.reliability.journal import Event
from tests.reliability.nodes import PATIENCE, Nodes
from tests.reliability.proxy import Mode, Proxy
from tests.reliability.rows import PostgresStore
from tests.reliability.warm import LOG, Order
from tests.reliability.workload import QUICK_RETRY, Kind
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOWS: Final = {Scale.SHORT: 10, Scale.LONG: 100}
"""So many restarts, and as many failures of the network."""
CALM: Final = {Scale.SHORT: (0.2, 0.5), Scale.LONG: (0.5, 2)}
"""Seconds between two of them."""
AGAIN_WITHIN: Final = 5.0
"""Seconds from the return of the database to the next start of a task."""
FIRINGS_ASKED: Final = 100
KINDS: Final = {
    "again": Kind(count=30),
    "once": Kind(count=15, at_most_once=True),
    "again-loop": Kind(count=50, func="waiting", seconds=0.01),
    "once-loop": Kind(count=20, func="waiting", seconds=0.01, at_most_once=True),
    "again-flaky": Kind(
        count=10, func="flaky", options=(("max_retries", 5), ("retry", QUICK_RETRY))
    ),
}
STUMBLED: Final = "the engine stumbled"


class Behind(PostgresStore):
    """A database that containers reach through a proxy, and the checker directly."""

    def __init__(self, server: Server, proxy: Proxy, database: str) -> None:
        super().__init__(server.url(database))
        self._through = server.url(database, port=proxy.port)

    def section(self) -> dict[str, Any]:
        """Return the section ``database`` of a container's settings."""
        return {"url": self._through}


def check(scale: Scale, folder: Path) -> Report:
    """Restart the server and break the network, as often as *scale* says."""
    with Server({}) as server, Proxy(server.port) as proxy:
        store = Behind(server, proxy, server.database())
        tasks = workload.project(folder, store, KINDS, scheduler_thread_pool=40)
        with Nodes() as nodes:
            container = nodes.start(Order(folder=str(folder))).ready()
            trial = Trial(server, proxy, folder / workload.FILE, calm=CALM[scale])
            trial.strike(BLOWS[scale])
            alive = not container.is_gone
            until = settled(store, tasks)
            container.end()
            drain(nodes, store, Order(folder=str(folder)))
        findings = judge(store, folder, tasks, until)
    failures = findings.failures()
    failures += [] if alive else ["the container ended"]
    failures += trial.failures
    said = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    if STUMBLED in said:
        failures.append(next(line for line in said.splitlines() if STUMBLED in line))
    rate = trial.firings_a_second()
    if rate < FIRINGS_ASKED:
        failures.append(f"only {rate:.0f} firings a second: too few to mean much")
    figures = {
        "restarts": BLOWS[scale],
        "failures of the network": BLOWS[scale],
        "COMMITs met by the proxy": proxy.caught,
        "firings a second while all was well": round(rate),
        **findings.counts,
        "s until it fired again at most": round(max(trial.returns), 2),
        "s late at most": round(max(findings.delays, default=0) / 1e6, 1),
    }
    return Report(figures, failures)


@dataclass(slots=True)
class Trial:
    """What happens to one container, drawn from one seed.

    Attributes:
        file: The journal of its tasks.
        calm: Seconds between two blows, at least and at most.
        returns: Seconds from each return of the database to the next start of a task.
    """

    server: Server
    proxy: Proxy
    file: Path
    calm: tuple[float, float]
    seed: int = 4
    returns: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _calm: list[tuple[int, int]] = field(default_factory=list)
    _clock: SystemClock = field(default_factory=SystemClock)

    def strike(self, times: int) -> None:
        """Let *times* restarts and as many failures of the network happen."""
        draw = random.Random(self.seed)  # noqa: S311 - no secret
        eventually(lambda: self.file.exists() and self.file.stat().st_size > 0, PATIENCE)
        ways = list(self._ways(draw).items())
        blows: list[tuple[str, Callable[[], None]]] = [("restart", self.server.restart)] * times
        blows += [ways[number % len(ways)] for number in range(times)]
        draw.shuffle(blows)
        for name, blow in blows:
            begun = journal.wall()
            _wait(draw.uniform(*self.calm))  # all is well
            self._calm.append((begun, journal.wall()))
            blow()
            self._goes_on(name)

    def firings_a_second(self) -> float:
        """Return how many tasks were started a second while nothing was broken."""
        entries, _ = journal.read(self.file)
        walls = sorted(each.wall for each in entries if each.event is Event.STARTED)
        seconds = sum(end - begin for begin, end in self._calm) / 1e6
        fired = sum(begin <= each < end for each in walls for begin, end in self._calm)
        return fired / seconds

    def _goes_on(self, blow: str) -> None:
        """Measure how long it takes until a task starts, now that all is well again."""
        returned, size = self._clock.monotonic(), self.file.stat().st_size
        starts = f"{Event.STARTED} ".encode()

        def fires() -> bool:
            with self.file.open("rb") as file:
                file.seek(size)
                return any(line.startswith(starts) for line in file)

        eventually(fires, PATIENCE)
        took = self._clock.monotonic() - returned
        self.returns.append(took)
        if took > AGAIN_WITHIN:
            self.failures.append(f"after '{blow}' it fired again after {took:.1f} s only")

    def _ways(self, draw: random.Random) -> dict[str, Callable[[], None]]:
        proxy = self.proxy

        def lasting(mode: Mode, longest: float, **more: Any) -> None:  # noqa: ANN401 - figures
            proxy.set(mode, **more)
            _wait(draw.uniform(0.3, longest))
            proxy.set(Mode.PASS)

        def dead_end() -> None:
            """The connections of before lead nowhere when the network is back."""
            proxy.strand()
            lasting(Mode.HOLE, 2)

        def half_open() -> None:
            """What the server said meanwhile never comes."""
            lasting(Mode.HALF, 2)
            proxy.forget()

        def at_commit(mode: Mode) -> None:
            caught = proxy.caught
            proxy.set(mode)
            eventually(lambda: proxy.caught > caught, PATIENCE)
            proxy.set(Mode.PASS)

        return {
            "hole": lambda: lasting(Mode.HOLE, 3),
            "answer lost": lambda: at_commit(Mode.ANSWER_LOST),
            "reset": lambda: lasting(Mode.RESET, 2),
            "dead end": dead_end,
            "commit lost": lambda: at_commit(Mode.COMMIT_LOST),
            "half": half_open,
            "cut": lambda: lasting(Mode.CUT, 2, bytes_left=draw.randrange(1, 5_000)),
            "delay": lambda: lasting(Mode.DELAY, 2, delay=draw.uniform(0.02, 0.3)),
        }


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)
