"""The verbs that only look: at tasks, runs and plugins, and at what schedules will do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from core.errors import StateError
from manager.schemas.reading import HealthRead
from manager.task.assembly import Assembly
from manager.task.home import Home
from manager.task.previewing import preview
from manager.task.sketch import sketched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from configurations import Xcorecfg
    from core.run import RunState
    from manager.plugins import PluginHost
    from manager.schemas.foretelling import Explanation, Forecast
    from manager.schemas.reading import PluginRead, RunRead, TaskRead
    from manager.schemas.verification import VerificationRead
    from manager.storage import SqlLedger
    from manager.task.foretelling import Wish
    from manager.task.session import Session


class TaskView:
    """What a task manager tells without changing anything; before a start, from memory.

    Args:
        config: Settings, or where they are; looked for as the command line does where ``None``.
        plugins: Makes the plugins that are asked at each start; ``None`` for no discovery.
        assembly: What it stands on, such as the clock; the machine's own where ``None``.
    """

    def __init__(
        self,
        config: Xcorecfg | str | Path | None = None,
        *,
        plugins: Callable[[Xcorecfg], PluginHost] | None = None,
        assembly: Assembly | None = None,
    ) -> None:
        self._home = Home(config)
        self._plugins = plugins
        self._assembly = assembly or Assembly()
        self._life = threading.RLock()  # of starting, stopping and adding
        self._session: Session | None = None

    @property
    def config(self) -> Xcorecfg:
        """The settings, read when they are first needed.

        Raises:
            ConfigurationError: they cannot be used.
        """
        return self._home.config

    @property
    def is_running(self) -> bool:
        """Whether the engine takes on work."""
        return self._session is not None and self._session.is_running

    def get_task(self, task_id: str) -> TaskRead | None:
        """Return a task, or ``None`` where there is none."""
        if self._session is not None:
            found = self._session.ledger.reading.tasks(task_id)
            return found[0] if found else None
        definition = self._home.registry.get(task_id)
        return None if definition is None else sketched(definition)

    def list_tasks(self) -> list[TaskRead]:
        """Return every task, in the order of their ids."""
        if self._session is not None:
            return self._session.ledger.reading.tasks()
        return sorted(map(sketched, self._home.registry.all()), key=lambda task: task.id)

    def get_run(self, run_id: str) -> RunRead | None:
        """Return a run with its attempts, or ``None`` where there is none."""
        return self.ledger.reading.run(run_id)

    def list_runs(
        self, task_id: str | None = None, *, state: RunState | None = None, limit: int = 100
    ) -> list[RunRead]:
        """Return the newest runs first, at most *limit*."""
        return self.ledger.reading.runs(task_id, state=state, limit=limit)

    def list_plugins(self) -> list[PluginRead]:
        """Return the plugins that the last start found, with their faults."""
        return [] if self._session is None else self._session.plugins()

    def preview(
        self,
        trigger: str,
        trigger_args: Mapping[str, Any],
        *,
        timezone: str | None = None,
        after: datetime | None = None,
        count: int = 10,
        **options: Any,  # noqa: ANN401 - as a definition writes them
    ) -> list[datetime]:
        """Return the first *count* occurrences later than *after* or now, aware, in UTC.

        Nothing is registered, and no database is needed. The *options* are a definition's keys
        that say when it is due: ``dst``, ``start``, ``end``, ``exclude``, and ``jitter``, which
        depends on the ``id``.

        Raises:
            DefinitionError: they make no schedule.
        """
        zone = timezone or self.config.timezone
        start = self._assembly.clock.now() if after is None else after
        return preview(
            trigger,
            trigger_args,
            timezone=zone,
            after=start,
            count=count,
            plugged=self._home.registry.triggers,
            **options,
        )

    def forecast(
        self,
        *,
        days: float = 7,
        start: datetime | None = None,
        tasks: Sequence[str] | None = None,
    ) -> Forecast:
        """Return every run that is due in the *days* after *start* or now.

        Args:
            days: May be a fraction.
            start: An aware instant.
            tasks: Only these; all where ``None``.

        Raises:
            UnknownTaskError: one of *tasks* is not known.
            ValueError: *start* and *days* make no span.
        """
        from manager.task import foretelling  # noqa: PLC0415 - a start does not pay for it

        registry, now = self._home.registry, self._assembly.clock.now()
        wish: Wish = {"days": days, "start": start, "tasks": tasks}
        if self._session is None:
            return foretelling.sketched_forecast(registry, self.config, now, **wish)
        reading = self._session.ledger.reading
        return foretelling.forecast_of(reading, self.config, now, plugged=registry.triggers, **wish)

    def explain(self, task_id: str, at: datetime | str | None = None) -> Explanation:
        """Return why a task ran at *at*, did not, or will.

        Args:
            task_id: Which task.
            at: An instant, or local time of the task's zone such as ``"2026-10-25 02:30"``, or
                ``"02:30"`` of today; now where ``None``.

        Raises:
            StateError: the container is not started.
            UnknownTaskError: there is no such task.
            ValueError: *at* is no time.
        """
        from manager.task import foretelling  # noqa: PLC0415 - the same

        reading, plugged = self.ledger.reading, self._home.registry.triggers
        now = self._assembly.clock.now()
        return foretelling.explanation_of(reading, self.config, now, task_id, at, plugged=plugged)

    def verify(self) -> VerificationRead:
        """Hold the whole ledger against its invariants, while it is in use.

        Raises:
            StateError: the container is not started.
            LedgerError: the database cannot be read.
        """
        from manager.verifying import Verifier  # noqa: PLC0415 - the same

        plugged = self._home.registry.triggers
        return Verifier(self.ledger.reading, self._assembly.clock, plugged).verify()

    def health(self) -> HealthRead:
        """Return how the container is."""
        tasks = len(self._home.registry.ids())
        if self._session is not None:
            return self._session.health(tasks)
        return HealthRead.stopped(tasks)

    @property
    def ledger(self) -> SqlLedger:
        """The ledger of the running container."""
        return self._running().ledger

    def _running(self) -> Session:
        if self._session is None:
            raise StateError("the container is not started; call start() first")
        return self._session
