"""One process of the container, as a lab plays it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.records import Lease, Node
from manager.engine.engine import EngineState
from manager.engine.node import version
from manager.task.assembly import Assembly, build_settings
from manager.task.taskmanager import TaskManager
from manager.testing.bench import SharedLedger
from manager.testing.calls import VirtualThreads
from manager.testing.isolated import VirtualProcesses
from manager.testing.loops import VirtualLoop
from manager.testing.spans import soonest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from configurations import Xcorecfg
    from core.ports import Executor, Lifecycle
    from core.registry import Registry
    from core.trigger import Schedule, Trigger
    from manager.engine import Engine, EngineSettings
    from manager.storage import SqlLedger
    from manager.testing.bench import Bench

_NOW: Final = timedelta(0)
_NEVER: Final = timedelta(days=36_525)
_LEASE: Final = timedelta(seconds=15)


class LabNode:
    """One process of the container on a machine of its own.

    Args:
        bench: What it shares with other nodes.
        host: Name of the machine.
    """

    def __init__(self, bench: Bench, host: str) -> None:
        self.host = host
        self.id = host
        self.tasks = TaskManager(bench.config)
        self._bench = bench
        self._starts = 0
        self._engine: Engine | None = None
        self._calls: tuple[VirtualThreads, VirtualLoop, VirtualProcesses] | None = None
        self._wrecks: list[VirtualLoop] = []

    @property
    def is_alive(self) -> bool:
        """Whether its process exists."""
        return self.id in self._bench.living

    def start(self) -> None:
        """Start a new process on the machine: a container that knows only ledger and code."""
        self._starts += 1
        bench, boot = self._bench, f"{self.host}-{self._starts}-{secrets.token_hex(3)}"
        identity = Node(
            id=boot,
            host=self.host,
            pid=self._starts,
            boot_id=boot,
            process_start=boot,
            version=version(),
            timed=bench.config.background_jobs_enabled,
        )
        self.id = boot
        size = bench.config.manager.scheduler_thread_pool
        threads, loop = VirtualThreads(size, bench.clock, bench.duration), VirtualLoop(bench.clock)
        most = bench.config.manager.process_workers
        processes = VirtualProcesses(most, bench.clock, bench.duration, loop)
        self._calls = threads, loop, processes
        assembly = _Captured(
            clock=bench.clock,
            ledger=lambda _config: SharedLedger(bench),
            timetable=_NoTimers,
            executors=self._executors,
            settings=_settings,
            node=identity,
            draw=bench.draw,
            threaded=False,
            spool=_nowhere,
            logging=_left_alone,
        )
        sources = bench.sources
        host = None if sources is None else sources.host
        self.tasks = TaskManager(bench.config, plugins=host, assembly=assembly)
        for task_id in bench.definitions:
            self.define(task_id)
        bench.living.add(boot)
        self.tasks.start()
        (self._engine,) = assembly.built
        if sources is not None:
            sources.note()

    def define(self, task_id: str) -> None:
        """Add a task of the bench."""
        known = self._bench.definitions[task_id]
        self.tasks.add_task(known.func, known.trigger, task_id, **known.options)

    def stop(self, grace: float | None = None) -> None:
        """Shut the container down as an operator does; running tasks get the grace."""
        self.tasks.shutdown(grace)
        self._engine = None
        self._bench.living.discard(self.id)

    def crash(self) -> None:
        """Let the process die as ``kill -9`` does: from now on it writes and calls nothing."""
        if self._engine is None or self._calls is None:
            return
        clock = self._bench.clock
        lease = Lease(clock.now() + _LEASE, clock.boottime() + _LEASE.total_seconds())
        SharedLedger(self._bench).beat(self.id, clock.now(), lease)  # one was due until now
        self._engine.state = EngineState.STOPPED
        self._engine = None
        self._wrecks.append(self._calls[1])
        self._calls = None
        self._bench.living.discard(self.id)
        self.tasks.shutdown()

    def turn(self, *, forced: bool) -> bool:
        """Do what is to be done at this instant; tell whether there was anything.

        Args:
            forced: Take a turn even if nothing is known to be due, to hear of others.
        """
        engine, calls = self._engine, self._calls
        if engine is None or calls is None:
            return False
        acted = [each.play() for each in calls]  # what ends now has ended when the next is due
        if self._engine is not engine:
            return True  # a task let it crash
        rest = engine.rest()
        due = rest is not None and rest <= _NOW
        if forced:
            engine.look()
        if due or forced:
            engine.step()
        acted += [each.play() for each in calls]
        return due or any(acted)

    def rest(self) -> timedelta | None:
        """Return in how long there is something to do; ``None`` if never."""
        if self._engine is None or self._calls is None:
            return None
        return soonest(self._engine.rest(), *(each.rest() for each in self._calls))

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way."""
        return self._calls is not None and any(each.is_busy for each in self._calls)

    def close(self) -> None:
        """End everything, also what processes left that crashed."""
        if self._engine is not None:
            self.stop(0)
        for wreck in self._wrecks:
            wreck.stop()
        self._wrecks.clear()

    def _executors(self, _config: Xcorecfg, _registry: Registry) -> Sequence[Executor]:
        return () if self._calls is None else self._calls


def _left_alone(_config: Xcorecfg) -> None:
    """Set up no log: what is logged goes to where the test listens."""


def _nowhere(_config: Xcorecfg, _ledger: object) -> None:
    """Keep no outcome on disk: what a lab plays has no second life but its ledger."""


def _settings(config: Xcorecfg) -> EngineSettings:
    """Return the figures of the engine; when it looks at the ledger, the lab says."""
    return replace(build_settings(config), sweep=_NEVER, heartbeat=_NEVER, trust=_NEVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captured(Assembly):
    """Keeps the engine that it builds, for the lab to take its turns."""

    built: list[Engine] = field(default_factory=list)

    def engine(
        self,
        config: Xcorecfg,
        ledger: SqlLedger,
        registry: Registry,
        *,
        lifecycle: Lifecycle,
        manager: object,
    ) -> Engine:
        """Return an engine on *ledger*, not started yet."""
        parts = (config, ledger, registry)
        self.built.append(Assembly.engine(self, *parts, lifecycle=lifecycle, manager=manager))
        return self.built[-1]


class _NoTimers:
    """Needs no timer: the lab asks the engine itself when something is due."""

    def start(self, due: object) -> None:
        """Call nobody back."""

    def watch(self, schedule: Schedule, trigger: Trigger) -> None:
        """Take no note: the book of the engine has it."""

    def unwatch(self, schedule: Schedule) -> None:
        """Take no note."""

    def stop(self) -> None:
        """Have nothing to stop."""
