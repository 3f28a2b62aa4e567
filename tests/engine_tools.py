"""What tests of the ledger and the engine share: time by hand, executors in the open, a lab."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from core.clock import SystemClock
from core.definition import TaskDefinition
from core.errors import LedgerError, LedgerUnavailableError
from core.policy import Overlap, OverlapPolicy, RetryPolicy
from core.records import Call, Claim, Firing, Lease, Node, Outcome, PoolFigures
from core.registry import Registry
from core.run import Cause, Reason, Run, RunIds, RunState
from manager.engine import Engine, EngineSettings
from manager.scheduling import build_trigger
from manager.storage import Database, SqlLedger

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from core.ports import LedgerTransaction
    from core.records import StoredTask
    from core.trigger import Schedule, Trigger
    from manager.schemas.reading import RunRead, TaskRead

T = TypeVar("T")
START: Final = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
SECOND: Final = timedelta(seconds=1)
PLAIN: Final = RetryPolicy(jitter=False)
QUEUE: Final = OverlapPolicy(Overlap.QUEUE, 1)
REPLACE: Final = OverlapPolicy(Overlap.REPLACE, 1)
ALLOW: Final = OverlapPolicy(Overlap.ALLOW, None)
_IDS: Final = RunIds()


def nothing() -> None:
    """Do nothing, as a function of a task."""


async def waits() -> None:
    """Do nothing, as a coroutine function of a task."""


def task(task_id: str, func: Callable[..., Any] = nothing, **options: Any) -> TaskDefinition:  # noqa: ANN401 - columns
    """Return a definition: hourly, no retries, no time limit, unless *options* say otherwise."""
    known: dict[str, Any] = {
        "trigger": "interval",
        "trigger_args": {"hours": 1},
        "max_retries": 0,
        "timeout": None,
    }
    return TaskDefinition(id=task_id, name=task_id, func=func, **known | options)


def node(name: str, **more: Any) -> Node:  # noqa: ANN401 - columns
    """Return a node on another machine."""
    known: dict[str, Any] = {
        "host": "elsewhere",
        "pid": 1,
        "boot_id": "b",
        "process_start": "1",
        "version": "0",
    }
    return Node(id=name, **known | more)


def lease(until: datetime, second: float = 0.0) -> Lease:
    """Return a lease, by the wall clock and by the boot-time clock."""
    return Lease(until, second)


def run_of(task_id: str, now: datetime = START, **more: Any) -> Run:  # noqa: ANN401 - columns
    """Return a waiting run that somebody asked for at *now*, with *more* of its columns."""
    return replace(Run.requested(_IDS.new(now), task_id, Cause.MANUAL, now), **more)


def due(task_id: str, instant: datetime, **more: Any) -> Run:  # noqa: ANN401 - columns
    """Return a waiting run for the occurrence at *instant*."""
    known: dict[str, Any] = {
        "fire_key": instant.isoformat(),
        "scheduled_for": instant,
        "cause": Cause.SCHEDULE,
    }
    return run_of(task_id, instant, **known | more)


def firing(task_id: str, since: datetime, cursor: datetime, *runs: Run, **more: Any) -> Firing:  # noqa: ANN401 - columns
    """Return the firing of *runs* that moves the cursor of a task from *since* to *cursor*."""
    known: dict[str, Any] = {"next_run": cursor + HOUR}
    return Firing(task_id=task_id, since=since, cursor=cursor, runs=runs, **known | more)


def wish(limit: int = 10, **more: Any) -> Claim:  # noqa: ANN401 - columns
    """Return a wish for work of the thread lane, without overlap limits."""
    known: dict[str, Any] = {"lane": "thread", "node": "here", "now": START, "foreign": ()}
    known |= {"limit_of": lambda _task_id: None, "contended": nothing, "crowded": nothing}
    return Claim(limit=limit, **known | more)


def served(call: Callable[[], T]) -> T | None:
    """Return what *call* returns, or ``None`` while the database is away."""
    try:
        return call()
    except LedgerUnavailableError:
        return None


class ManualClock(SystemClock):
    """Time that passes when it is told to."""

    def __init__(self, start: datetime = START) -> None:
        self.wall = start
        self.second = 1_000.0
        self.waited: Callable[[], None] = nothing

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.second

    def boottime(self) -> float:
        return self.second

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.wall += by
        self.second += by.total_seconds()

    def wait(self, wakeup: threading.Event, limit: timedelta) -> bool:
        self.advance(limit)
        self.waited()
        return wakeup.is_set()


class OpenExecutor:
    """Keeps calls until the test plays or ends them.

    Args:
        lane: Its name.
        size: Most calls at once.
        stops: Whether a call that is interrupted can be expected to end.
    """

    def __init__(self, lane: str, size: int = 10, *, stops: bool = False) -> None:
        self.lane = lane
        self.size = size
        self.stops = stops
        self.calls: dict[str, Call] = {}
        self.leaked: dict[str, Call] = {}
        self.interrupted: list[str] = []
        self.refusal: RuntimeError | None = None
        self._done: Callable[[Call, Outcome], None] | None = None

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        self._done = done

    def free(self) -> int:
        return max(0, self.size - len(self.calls))

    def submit(self, call: Call) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.calls[call.run_id] = call

    def interrupt(self, run_id: str) -> bool:
        self.interrupted.append(run_id)
        return self.stops

    def abandon(self, run_id: str) -> None:
        self.leaked[run_id] = self.calls.pop(run_id)

    def figures(self) -> PoolFigures:
        leaked = tuple(sorted(call.task_id for call in self.leaked.values()))
        return PoolFigures(lane=self.lane, size=self.size, busy=len(self.calls), leaked=leaked)

    def stop(self) -> None:
        self.calls.clear()

    def end(self, outcome: Outcome | None = None, *, task_id: str | None = None) -> int:
        """End calls, of *task_id* or all, with *outcome* or as their functions do."""
        ended = [call for call in self.calls.values() if task_id in {None, call.task_id}]
        for call in ended:
            del self.calls[call.run_id]
            self._say(call, outcome or _played(call))
        return len(ended)

    def end_leaked(self) -> None:
        """Let the calls end that outlived their time limit."""
        while self.leaked:
            self._say(self.leaked.popitem()[1], Outcome(state=RunState.COMPLETED))

    def _say(self, call: Call, outcome: Outcome) -> None:
        assert self._done is not None
        self._done(call, outcome)


def _played(call: Call) -> Outcome:
    try:
        with call.scope():
            value = call.func(*call.args, **call.kwargs)
            value = asyncio.run(value) if inspect.iscoroutine(value) else value
    except Exception as error:  # noqa: BLE001 - a task's call
        return Outcome(state=RunState.FAILED, reason=Reason.EXCEPTION, error=error)
    return Outcome(state=RunState.COMPLETED, value=value)


class StillTimetable:
    """Calls nobody back; remembers what it was asked to watch."""

    def __init__(self) -> None:
        self.watched: Counter[Schedule] = Counter()
        self.unwatched: Counter[Schedule] = Counter()

    def start(self, due: Callable[[Schedule], None]) -> None:
        pass

    def watch(self, schedule: Schedule, trigger: Trigger) -> None:
        self.watched[schedule] += 1

    def unwatch(self, schedule: Schedule) -> None:
        self.unwatched[schedule] += 1

    def stop(self) -> None:
        pass


class Ears:
    """Hears what becomes of runs; *fault* is raised when an attempt starts."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, RunState]] = []
        self.fault: BaseException | None = None

    def started(self, run: Run) -> None:
        self.heard.append(("started", run.task_id, run.state))
        if self.fault is not None:
            raise self.fault

    def retrying(self, run: Run) -> None:
        self.heard.append(("retrying", run.task_id, run.state))

    def finished(self, run: Run) -> None:
        self.heard.append(("finished", run.task_id, run.state))

    def dropped(self, run: Run) -> None:
        self.heard.append(("dropped", run.task_id, run.state))

    def quarantined(self, run: Run) -> None:
        self.heard.append(("quarantined", run.task_id, run.state))


class FaultyLedger(SqlLedger):
    """A ledger that fails while the test wants it to.

    Attributes:
        broken: Verbs that raise ``LedgerError``.
        shaky: Whether each work is called, rolled back and called again, as a shared commit may.
        after_commit: What happens once, as soon as the next work is committed.
        after_beat: What happens once, as soon as the next renewal of a lease is committed.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.broken: set[str] = set()
        self.shaky = False
        self.after_commit: Callable[[], object] = nothing
        self.after_beat: Callable[[], object] = nothing

    def beat(self, node_id: str, now: datetime, lease: Lease) -> bool:
        alive = super().beat(node_id, now, lease)
        after, self.after_beat = self.after_beat, nothing
        after()
        return alive

    def transact(self, work: Callable[[LedgerTransaction], T]) -> T:
        self._check("transact")
        if self.shaky:

            def spoilt(tx: LedgerTransaction) -> None:
                work(tx)
                raise LedgerError(self.label, "rolled back")

            with suppress(LedgerError):
                super().transact(spoilt)
        value = super().transact(work)
        after, self.after_commit = self.after_commit, nothing
        after()
        return value

    def stored(self, task_ids: Sequence[str]) -> dict[str, StoredTask]:
        self._check("stored")
        return super().stored(task_ids)

    def waiting(self, now: datetime) -> list[tuple[str, int, datetime | None]]:
        self._check("waiting")
        return super().waiting(now)

    def _check(self, verb: str) -> None:
        if verb in self.broken:
            raise LedgerError(self.label, "the disk is full; make room")


class Lab:
    """An engine on a ledger, with time and calls in the test's hands.

    Args:
        url: The ledger's database.
        settings: Figures of the engine.
    """

    def __init__(self, url: str = "sqlite://", **settings: Any) -> None:  # noqa: ANN401 - columns
        self.clock = ManualClock()
        self.clock.waited = self._turn
        self.ledger = FaultyLedger(Database(url))
        self.ledger.open()
        self.registry = Registry(1_000)
        self.ears = Ears()
        self._settings = EngineSettings(**settings)
        self.threads, self.loop = OpenExecutor("thread"), OpenExecutor("loop", stops=True)
        self.timetable = StillTimetable()
        self.engine = self._engine()

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

    def define(self, *definitions: TaskDefinition) -> None:
        """Offer *definitions*, to a running engine as well."""
        for definition in definitions:
            self.registry.add(definition, replace_existing=True)
        if self.engine.state == "running":
            self.engine.admit(definitions)

    def start(self, *definitions: TaskDefinition) -> None:
        """Offer *definitions*, start the engine and take a turn."""
        self.define(*definitions)
        self.engine.start(self.registry.all())
        self.engine.step()

    def crash(self) -> None:
        """Forget the engine as a dying process does, and make another that is not started."""
        self.threads, self.loop = OpenExecutor("thread"), OpenExecutor("loop", stops=True)
        self.timetable = StillTimetable()
        self.engine = self._engine()

    def restart(self, down: timedelta = timedelta(0)) -> None:
        """Stop the engine, let time pass, start another on the same ledger."""
        self.engine.stop(timedelta(0))
        self.clock.advance(down)
        self.crash()
        self.start()

    def steps(self, count: int = 1) -> None:
        """Take turns."""
        for _ in range(count):
            self.engine.step()

    def sleep(self, by: timedelta) -> None:
        """Let time pass and take a turn; no call ends by itself."""
        self.clock.advance(by)
        self.engine.step()

    def play(self, by: timedelta = timedelta(0)) -> None:
        """Let time pass, and take turns until every call that began has ended."""
        self.sleep(by)
        while self.threads.end() + self.loop.end():
            self.engine.step()
            self.engine.step()

    def runs(self, task_id: str) -> list[RunRead]:
        """Return the runs of a task, oldest first."""
        return self.ledger.reading.runs(task_id)[::-1]

    def states(self, task_id: str) -> list[RunState]:
        """Return the states of the runs of a task, oldest first."""
        return [run.state for run in self.runs(task_id)]

    def task(self, task_id: str) -> TaskRead:
        """Return a task as the ledger has it."""
        return self.ledger.reading.tasks(task_id)[0]

    def refresh(self, task_id: str) -> None:
        """Let the engine hear of what was changed about a task."""
        self.engine.refresh(list(self.ledger.stored([task_id]).values()))

    def pause(self, task_id: str, *, paused: bool) -> None:
        """Pause a task or let it go on; the engine hears of it."""
        self.ledger.amend(lambda catalogue: catalogue.pause(task_id, paused=paused))
        self.refresh(task_id)

    def override(self, task_id: str, **values: Any) -> None:  # noqa: ANN401 - columns
        """Set options of a task over its definition; the engine hears of it."""
        task = self.task(task_id)
        edits = {
            name: {"value": value, "definition": getattr(task, name)}
            for name, value in values.items()
        }
        now = self.clock.now()
        self.ledger.amend(lambda catalogue: catalogue.override(task_id, values, edits, now))
        self.refresh(task_id)

    def _engine(self) -> Engine:
        return Engine(
            self.ledger,
            self.timetable,
            {"thread": self.threads, "loop": self.loop},
            self.registry,
            build_trigger=build_trigger,
            clock=self.clock,
            settings=self._settings,
            lifecycle=self.ears,
            manager=self,
            threaded=False,
        )

    def _turn(self) -> None:
        if self.engine.state == "draining":
            self.engine.step()
