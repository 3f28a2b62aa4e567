"""The processes of a simulated world, and how each of them reaches the one database."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from core.errors import LedgerError, LedgerUnavailableError, UnknownOutcomeError
from core.records import Node
from manager.engine.engine import EngineState
from manager.storage import SqlLedger
from manager.task.assembly import build_settings
from manager.task.taskmanager import TaskManager
from manager.testing.calls import VirtualThreads
from manager.testing.loops import VirtualLoop
from manager.testing.node import _Captured, _left_alone, _NoTimers
from manager.testing.spans import soonest
from tests.simulation.faults import Crashed, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from configurations import Xcorecfg
    from core.ports import Executor
    from core.records import Call, Suspect
    from core.registry import Registry
    from manager.engine import Engine, EngineSettings
    from manager.storage import Database
    from tests.simulation.world import World

T = TypeVar("T")
NOW: Final = timedelta(0)
SECOND: Final = timedelta(seconds=1)
NEVER: Final = timedelta(days=36_525)
LEASE: Final = timedelta(seconds=15)


class NodeDatabase:
    """One process's way to the database of the world: it may be slow, cut off, or lie."""

    def __init__(self, world: World, node: SimulatedNode) -> None:
        self._world = world
        self._node = node
        self._shared: Database = world.database
        self.label = "the world's"
        self.path: Path | None = None
        self.is_in_memory = True
        self.trouble: str | None = None
        self.kind = "write"

    def open(self) -> None:
        """Be open: the world is."""

    def close(self) -> None:
        """Stay open for the others."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction, if nothing goes wrong."""
        world, node, kind = self._world, self._node, self.kind
        self._before(node)
        value: T = self._shared.write(lambda link: self._inside(work, link))
        world.committed(node, kind)
        if world.is_calm:
            return value
        strikes = world.faults.strikes
        for fault, there in (
            (Fault.CRASH_AFTER_COMMIT, True),
            (Fault.CRASH_IN_RECOVERY, kind == "bury"),
            (Fault.CRASH_IN_START, node.is_starting),
            (Fault.CRASH_IN_STOP, node.is_stopping),
        ):
            if there and strikes(fault):
                raise Crashed(fault)
        if strikes(Fault.PAUSE_AFTER_COMMIT):
            world.suspend(node, world.span(5, 60))
        if strikes(Fault.ERROR_AFTER_COMMIT):
            world.lies.append(kind)
            raise UnknownOutcomeError(self.label, "the answer of a commit was lost")
        return value

    def have_beaten(self) -> None:
        """Let the other nodes have renewed their leases."""
        self._world.have_beaten(each for each in self._world.nodes if each is not self._node)

    def _before(self, node: SimulatedNode) -> None:
        world = self._world
        self._reached(node)
        if world.is_calm:
            return
        strikes = world.faults.strikes
        if strikes(Fault.CRASH_BEFORE_WRITE):
            raise Crashed(Fault.CRASH_BEFORE_WRITE)
        if strikes(Fault.PAUSE_BEFORE_WRITE):
            world.suspend(node, world.span(5, 60))
        if strikes(Fault.SLOW_WRITE):
            world.suspend(node, world.span(0.2, 8))
        if strikes(Fault.BUSY):
            world.suspend(node, world.span(5, 5))
            raise LedgerUnavailableError(self.label, "another process holds it locked")
        if strikes(Fault.ERROR_BEFORE_WRITE):
            raise LedgerUnavailableError(self.label, "the disk failed; check it")
        self._reached(node)

    def _inside(self, work: Callable[[Connection], T], link: Connection) -> T:
        value = work(link)
        if not self._world.is_calm and self._world.faults.strikes(Fault.CRASH_IN_TRANSACTION):
            raise Crashed(Fault.CRASH_IN_TRANSACTION)
        return value

    def _reached(self, node: SimulatedNode) -> None:
        if node.is_dead:
            raise Crashed("it writes and reads nothing more")
        if node.is_cut_off:
            raise LedgerUnavailableError(self.label, "no route to it")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection, if nothing goes wrong."""
        self._reached(self._node)
        if not self._world.is_calm and self._world.faults.strikes(Fault.ERROR_IN_READ):
            raise LedgerUnavailableError(self.label, "it cannot be read")
        with self._shared.read() as connection:
            yield connection


class SimulatedLedger(SqlLedger):
    """The production ledger on a process's own way to the database."""

    def __init__(self, way: NodeDatabase) -> None:
        super().__init__(cast("Database", way))  # it has what a ledger asks of one
        self._way = way

    def transact(self, work: Any) -> Any:  # noqa: ANN401 - as it is
        """Name the write, so that faults can be aimed."""
        return self._named("transact", lambda: SqlLedger.transact(self, work))

    def beat(self, *args: Any) -> bool:  # noqa: ANN401 - as it is
        """Name the write."""
        return bool(self._named("beat", lambda: SqlLedger.beat(self, *args)))

    def suspects(self, now: datetime) -> list[Suspect]:
        """Judge leases, all that live having renewed theirs in the time that was leapt over."""
        self._way.have_beaten()
        return super().suspects(now)

    def bury(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as it is
        """Name the write."""
        return self._named("bury", lambda: SqlLedger.bury(self, *args, **kwargs))

    def _named(self, kind: str, call: Callable[[], T]) -> T:
        before, self._way.kind = self._way.kind, kind
        try:
            return call()
        finally:
            self._way.kind = before


class PromptThreads(VirtualThreads):
    """Calls a plain function in the very moment of its submission, as a free thread does."""

    def submit(self, call: Call) -> None:
        """Call the function; its outcome is told when its time has passed."""
        super().submit(call)
        self.play()


class PromptLoop(VirtualLoop):
    """Begins a coroutine in the very moment of its submission."""

    def submit(self, call: Call) -> None:
        """Let the coroutine go until it waits."""
        super().submit(call)
        self.play()


class SimulatedNode:
    """One process at a time on one machine.

    Attributes:
        suspended: How many reasons there are for which it does nothing at the moment.
        is_cut_off: Whether the database is out of its reach.
        quiet_until: Until then it waits after an error of the database.
        ill_at: When it last was hindered by anything.
        beaten: When it last renewed its lease in a stretch that was leapt over.
    """

    def __init__(self, world: World, number: int) -> None:
        self.number = number
        self.id = f"node-{number}"
        self.suspended = 0
        self.is_cut_off = False
        self.is_dead = True
        self.is_starting = self.is_stopping = False
        self.quiet_until = self.beaten = self.ill_at = NOW
        self._vain = 0
        self._world = world
        self._starts = 0
        self._engine: Engine | None = None
        self._tasks: TaskManager | None = None
        self._calls: tuple[PromptThreads, PromptLoop] | None = None
        self._wrecks: list[PromptLoop] = []

    @property
    def is_up(self) -> bool:
        """Whether it has a process that does something."""
        return self._engine is not None and self.suspended == 0

    @property
    def is_ready(self) -> bool:
        """Whether it may act at this instant."""
        return self.is_up and self.quiet_until <= self._world.clock.elapsed

    @property
    def is_well(self) -> bool:
        """Whether nothing at all hinders it at this instant."""
        return self.is_ready and not (self.is_cut_off or self.is_starting or self.is_stopping)

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way."""
        return self._calls is not None and any(each.is_busy for each in self._calls)

    def start(self) -> None:
        """Start a new process; it may fail, or die, in the middle of it."""
        world = self._world
        self._starts += 1
        self.id = f"node-{self.number}-{self._starts}"
        self.is_dead, self.is_cut_off, self.quiet_until = False, False, NOW
        host = "the machine" if world.plan.one_host else f"machine-{self.number}"
        identity = Node(
            id=self.id,
            host=host,
            pid=1000 * self.number + self._starts,
            boot_id=host,
            process_start=self.id,
            version="0",
        )
        self._calls = (
            PromptThreads(4, world.clock, world.takes),
            PromptLoop(world.clock),
        )
        way = NodeDatabase(world, self)
        assembly = _Captured(
            clock=world.clock,
            ledger=lambda _config: SimulatedLedger(way),
            timetable=_NoTimers,
            executors=self._executors,
            settings=_settings,
            node=identity,
            draw=world.jitter,
            threaded=False,
            spool=lambda _config, _ledger: None,
            logging=_left_alone,
        )
        self._tasks = TaskManager(world.config, assembly=assembly)
        for task in world.plan.tasks:
            if (self.number, task.id) not in world.plan.lacking:
                world.define(self._tasks, task)
        self.is_starting = True
        world.processes.add(self.id)
        try:
            with world.acting(self):
                self._tasks.start()
        except LedgerError:
            self.die()
        except Crashed:
            self.die()
        else:
            (self._engine,) = assembly.built
            self.beaten = self.ill_at = world.clock.elapsed
        finally:
            self.is_starting = False

    def stop(self) -> None:
        """Shut down as an operator does."""
        if self._tasks is None or self._engine is None:
            return
        self.is_stopping = True
        try:
            with self._world.acting(self):
                self._tasks.shutdown()
        except Crashed:
            pass
        finally:
            self.is_stopping = False
        self.die()

    def die(self) -> None:
        """Be gone: nothing is written or called from now on."""
        world = self._world
        if not self.is_dead:
            world.watch(self.id)
        self.is_dead = True
        world.processes.discard(self.id)
        world.journal.died(self.id, world.clock.elapsed)
        if self._engine is not None:
            self._engine.state = EngineState.STOPPED
        self._engine = None
        if self._calls is not None:
            self._wrecks.append(self._calls[1])
        self._calls = None
        if self._tasks is not None:
            self._tasks.shutdown()
        self._tasks = None

    def beat(self) -> None:
        """Renew the lease, as it did all the time that was leapt over."""
        engine, elapsed = self._engine, self._world.clock.elapsed
        if engine is None or self.is_cut_off or elapsed - self.beaten < 8 * SECOND:
            return
        self.beaten = elapsed
        engine._tenure.renew(self._world.clock.now())
        second = self._world.clock.monotonic()
        engine._upkeep._next_beat = second + 3
        engine._upkeep._next_sweep = second + 0.5

    def turn(self, *, forced: bool, sweeps: bool = False) -> bool:
        """Do what is to be done at this instant; tell whether there was anything.

        Args:
            forced: Beat, sweep and look for the dead, whether anything is due or not.
            sweeps: Sweep for what others wrote.
        """
        engine, calls = self._engine, self._calls
        if engine is None or calls is None or not self.is_ready:
            return False
        threads, loop = calls
        acted = False
        try:
            with self._world.acting(self):
                acted = threads.play() | loop.play()
                rest = engine.rest()
                due = rest is not None and rest <= NOW
                if forced:
                    engine.look()
                elif sweeps:
                    engine._upkeep.hasten()
                if due or forced or sweeps:
                    engine.step()
                acted |= due
        except Crashed:
            self.die()
            self._world.restart(self, self._world.span(1, 900))
        except LedgerError:
            self.ill_at = self._world.clock.elapsed + SECOND
            if self.is_cut_off:  # nothing comes of it until the way is open again
                self.quiet_until = self._world.clock.elapsed + SECOND * 2**self._vain
                self._vain = min(6, self._vain + 1)
            else:
                self.quiet_until = self.ill_at
                self._world.look_soon(2 * SECOND)  # it repeats what it could not do
        return acted

    def rejoin(self) -> None:
        """Have the database in reach again."""
        self.is_cut_off, self._vain = False, 0
        self.ill_at = self.quiet_until = self._world.clock.elapsed

    def rest(self) -> timedelta | None:
        """Return in how long there is something to do; ``None`` if never."""
        if self._engine is None or self._calls is None or self.suspended:
            return None
        threads, loop = self._calls
        rest = soonest(self._engine.rest(), threads.rest(), loop.rest())
        quiet = self.quiet_until - self._world.clock.elapsed
        return rest if rest is None or quiet <= NOW else max(rest, quiet)

    def close(self) -> None:
        """End everything that is left of its processes."""
        self.die()
        for wreck in self._wrecks:
            wreck.stop()
        self._wrecks.clear()

    def _executors(self, _config: Xcorecfg, _registry: Registry) -> Sequence[Executor]:
        return () if self._calls is None else self._calls


def _settings(config: Xcorecfg) -> EngineSettings:
    """Return the production figures; the world wakes a node where it would have woken itself."""
    return replace(build_settings(config), grace=2 * SECOND)
