"""``Lab``: a container in a test, with time in the test's hands."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from zoneinfo import ZoneInfo

from configurations import Xcorecfg, load_config
from core.definition import is_coroutine_function
from manager.storage import Database, SqlLedger
from manager.testing.bench import Bench, Definition
from manager.testing.clock import VirtualClock
from manager.testing.playing import Player
from manager.testing.ran import failure, has_run
from manager.testing.sources import Sources
from manager.testing.spans import end_of, instant_of

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from core.run import RunState
    from manager.schemas.reading import RunRead
    from manager.task.taskmanager import TaskManager
    from manager.testing.node import LabNode

Span = timedelta | datetime | str
_EVERY: Final = 1_000_000_000
_DEFAULTS: Final[Mapping[str, Any]] = {
    "manager": {"max_tasks": 100_000},
}


def nothing() -> None:
    """Do nothing: the function of a task whose schedule is all that matters."""


class Lab:
    """A container under a virtual clock: its own engine, in the thread of the test.

    Time stands still until the test lets it pass. Every occurrence, retry and time limit on the
    way is played at its exact instant. Coroutines sleep in virtual time; plain functions take
    none unless ``takes`` says so.

    Args:
        start: What the clock shows first; without an offset it is meant in the lab's zone.
        timezone: The zone in which schedules are meant; the configuration's where ``None``.
        ledger: A file for the ledger; in memory where ``None``.
        config: Sections as in config.json, the path of one, or ready settings.
        seed: Of what is drawn, such as the pauses of retries.

    Attributes:
        clock: The time, which ``advance`` moves; ``clock.step`` sets the wall clock.
    """

    def __init__(
        self,
        start: datetime | str = "2026-01-01 00:00",
        timezone: str | None = None,
        *,
        ledger: str | Path | None = None,
        config: Mapping[str, Any] | Xcorecfg | str | Path | None = None,
        seed: int = 0,
    ) -> None:
        settings = _settings(config)
        if timezone is not None:
            settings = settings.model_copy(update={"timezone": timezone})
        self._zone = ZoneInfo(settings.timezone)
        self.clock = VirtualClock(instant_of(start, self._zone))
        url = "sqlite://" if ledger is None else f"sqlite:///{ledger}"
        draw = random.Random(seed)  # noqa: S311 - jitter, no secret
        synchronous = settings.database.synchronous
        database = Database(url, synchronous=synchronous, clock=self.clock, draw=draw)
        self._bench = Bench(settings, self.clock, database, draw)
        self._reading = SqlLedger(database).reading
        self._player = Player(self._bench)
        self.clock.pass_time = self._player.wait
        self.node = self._player.join("lab-1")

    @property
    def tasks(self) -> TaskManager:
        """The task manager: pause, resume, update, cancel and every other verb."""
        return self.node.tasks

    @property
    def now(self) -> datetime:
        """What the clock shows, in the lab's zone."""
        return self.clock.now().astimezone(self._zone)

    def define(
        self,
        id: str,  # noqa: A002 - the documented name
        func: Callable[..., Any] = nothing,
        trigger: str | None = None,
        trigger_args: Mapping[str, Any] | None = None,
        **options: Any,  # noqa: ANN401 - as add_task takes them
    ) -> None:
        """Add a task, to this process and to each that follows.

        Without a *trigger* it has no schedule: it is defined as disabled, and ``fire`` runs it.
        """
        options["trigger_args"] = dict(trigger_args or {})
        if trigger is None:
            options |= {"trigger_args": {"days": 1}, "enabled": False}
        self._bench.definitions[id] = Definition(func, trigger or "interval", options)
        for node in self._player.nodes:
            if node.is_alive:
                node.define(id)

    def load(self, path: str | Path) -> None:
        """Load plugin files by the container's own discovery; the container starts anew for it.

        Args:
            path: A project, which is a folder with a config.json, or a folder of plugin files.
        """
        self._bench.sources = Sources(path)
        if self.node.is_alive:
            self.restart()

    def takes(self, id: str, *spans: Span) -> None:  # noqa: A002 - the documented name
        """Say how long calls of a plain function take, one after the other; the last repeats.

        The function is called when its attempt starts, and is over when the time has passed.

        Raises:
            ValueError: the task is a coroutine function, which sleeps by itself.
        """
        known = self._bench.definitions.get(id)
        if known is not None and is_coroutine_function(known.func):
            raise ValueError(f"task {id!r} is a coroutine function: let it await asyncio.sleep()")
        durations: deque[timedelta] = self._bench.durations[id]
        durations.clear()
        durations.extend(self._until(span) for span in spans)

    def fire(self, id: str, *, within: Span = "1 year") -> RunRead:  # noqa: A002 - the documented name
        """Run a task now, play until the run is over, and return it with its attempts.

        Raises:
            AssertionError: it was not over *within* that time; it says how it stands.
        """
        run = self.tasks.run_task(id)
        self._player.play(self._until(within), lambda: self._run(run.id).state.is_final)
        found = self._run(run.id)
        if not found.state.is_final:
            raise AssertionError(failure(id, f"be over within {within}", [found], self._zone))
        return found

    def advance(self, span: Span) -> None:
        """Let time pass and play everything on the way.

        Args:
            span: A span, such as ``"3 months"``, ``"2 h 30 min"`` or a timedelta; or the date and
                time to go to.

        Raises:
            ValueError: it cannot be read, or lies in the past.
        """
        self._player.play(self._until(span))

    def runs(self, id: str) -> list[RunRead]:  # noqa: A002 - the documented name
        """Return the runs of a task, oldest first, with what was skipped and missed."""
        return self._reading.runs(id, limit=_EVERY)[::-1]

    def assert_ran(
        self,
        id: str,  # noqa: A002 - the documented name
        *,
        times: int | None = None,
        at: Sequence[datetime | str] | datetime | str | None = None,
        state: RunState | str | None = None,
    ) -> None:
        """Hold what became of a task against what was expected.

        Args:
            id: The task.
            times: How many runs there are; at least one where neither this nor *at* is given.
            at: The instants for which they were due, oldest first; one may stand alone.
            state: Count only the runs that ended so; otherwise those that were started.

        Raises:
            AssertionError: it is otherwise; the message lists what did happen.
        """
        runs = self.runs(id)
        found = [run for run in runs if (run.state == state if state else has_run(run))]
        times_due = [at] if isinstance(at, str | datetime) else at
        due = None if times_due is None else [instant_of(each, self._zone) for each in times_due]
        wanted = "run" if state is None else f"be {state}"
        if due is not None and [run.scheduled_for for run in found] != due:
            shown = ", ".join(f"{each.astimezone(self._zone):%Y-%m-%d %H:%M:%S}" for each in due)
            raise AssertionError(failure(id, f"{wanted} at {shown or 'no time'}", runs, self._zone))
        if times is not None and len(found) != times:
            text = f"{wanted} {times} times, did {len(found)} times"
            raise AssertionError(failure(id, text, runs, self._zone))
        if times is None and due is None and not found:
            raise AssertionError(failure(id, wanted, runs, self._zone))

    def assert_not_ran(self, id: str) -> None:  # noqa: A002 - the documented name
        """Assert that no run of a task was started.

        Raises:
            AssertionError: one was; the message lists what did happen.
        """
        runs = self.runs(id)
        if any(map(has_run, runs)):
            raise AssertionError(failure(id, "not run", runs, self._zone))

    def crash(self) -> None:
        """Let the process die as ``kill -9`` does, in mid-run; ``restart`` starts the next."""
        self.node.crash()

    def restart(self, after: Span = timedelta(0)) -> None:
        """Stop the container unless it crashed, let time pass, and start it in a new process."""
        if self.node.is_alive:
            self.node.stop()
        self._player.play(self._until(after))
        self.node.start()

    def second_node(self) -> LabNode:
        """Start another container on the same ledger and clock, on a machine of its own."""
        node = self._player.join(f"lab-{len(self._player.nodes) + 1}")
        node.start()
        return node

    def _until(self, span: Span) -> timedelta:
        now = self.clock.now()
        left = end_of(span, now, self._zone) - now
        if left < timedelta(0):
            raise ValueError(f"{span} lies in the past: the clock shows {self.now}")
        return left

    def _run(self, run_id: str) -> RunRead:
        found = self._reading.run(run_id)
        if found is None:
            raise LookupError(run_id)
        return found

    def __enter__(self) -> Self:
        self._bench.database.open()
        self.node.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(AssertionError):  # what does not come to rest has been told before
            for node in self._player.nodes:
                node.close()
        if self._bench.sources is not None:
            self._bench.sources.close()
        self._bench.database.close()


def _settings(config: Mapping[str, Any] | Xcorecfg | str | Path | None) -> Xcorecfg:
    if isinstance(config, Xcorecfg):
        return config
    if isinstance(config, str | Path):
        return load_config(config)
    sections = {name: dict(section) for name, section in _DEFAULTS.items()}
    for name, value in (config or {}).items():
        sections[name] = sections[name] | value if name in sections else value
    return Xcorecfg.model_validate(sections)
