"""``TaskManager``: the verbs on tasks, in the process that runs them."""

from __future__ import annotations

import atexit
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from configurations import Xcorecfg, load_config
from core.clock import SystemClock
from core.definition import APPLICATION
from core.errors import DefinitionError, Problem, StateError, TaskLimitError, TaskrackError
from core.registry import Registry
from core.run import Cause
from loggers import get_logger
from manager.engine.engine import EngineState
from manager.schemas.definition import OPTIONS
from manager.schemas.reading import HealthRead, PluginProblem, PoolRead
from manager.schemas.updating import TaskUpdate
from manager.task.assembly import build_drafter, build_engine, build_ledger, own_logging
from manager.task.control import Control
from manager.task.silence import Silence
from manager.task.sketch import sketched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.clock import Clock
    from core.run import RunState
    from manager.engine import Engine
    from manager.plugins import Offer, PluginHost
    from manager.schemas.reading import PluginRead, RunRead, TaskRead
    from manager.storage import SqlLedger

_log = get_logger("taskrack")
_AT_EXIT: Final = timedelta(seconds=2)
_STALLED: Final = timedelta(seconds=5)


class TaskManager:
    """Registers tasks, runs them once ``start`` is called, and tells what became of them.

    Before ``start`` nothing is opened and nothing runs: tasks are kept in memory. After it every
    verb is stored before it returns. All verbs may be called from any thread, and from inside a
    running event loop.

    Args:
        config: Settings, or where they are; looked for as the command line does where ``None``.
        plugins: Makes the plugins that are asked at each start; ``None`` for no discovery.
        clock: The time to go by.
    """

    def __init__(
        self,
        config: Xcorecfg | str | Path | None = None,
        *,
        plugins: Callable[[Xcorecfg], PluginHost] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._asked = config
        self._config: Xcorecfg | None = None
        self._make_plugins = plugins
        self._plugins: PluginHost | None = None
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._registry: Registry | None = None
        self._ledger: SqlLedger | None = None
        self._engine: Engine | None = None

    @property
    def config(self) -> Xcorecfg:
        """The settings, read when they are first needed.

        Raises:
            ConfigurationError: they cannot be used.
        """
        with self._lock:
            if self._config is None:
                asked = self._asked
                known = (
                    asked is not None and not isinstance(asked, str) and hasattr(asked, "manager")
                )
                self._config = asked if known else load_config(asked)  # type: ignore[assignment, arg-type]
            return self._config

    @property
    def is_running(self) -> bool:
        """Whether the engine takes on work."""
        return self._engine is not None and self._engine.state is EngineState.RUNNING

    def add_task(
        self,
        func: Callable[..., Any],
        trigger: str,
        id: str,  # noqa: A002 - the documented name
        **kwargs: Any,  # noqa: ANN401 - as documented
    ) -> TaskRead:
        """Register a task.

        Args:
            func: The function, ``def`` or ``async def``.
            trigger: ``interval``, ``cron`` or ``date``.
            id: Unique; the same id with the same function is the same task.
            kwargs: The trigger's arguments (``hours=1``) and any option of a definition
                (``max_retries=5``), mixed.

        Raises:
            DefinitionError: the task does not validate; every problem is named.
            DuplicateTaskError: another function has the id.
            TaskLimitError: it would be more than ``manager.max_tasks``.
            LedgerError: the container runs and the database did not take it.
        """
        options = {name: kwargs.pop(name) for name in OPTIONS & set(kwargs)}
        arguments = kwargs.pop("trigger_args", {}) | kwargs
        data = {"id": id, "func": func, "trigger": trigger, "trigger_args": arguments, **options}
        plugin = getattr(func, "__module__", None) or APPLICATION
        definition, replaces = build_drafter(self.config).draft(
            data, plugin=plugin, source=f"add_task({id!r}) in {_caller()}", called=True
        )
        with self._lock:
            definition = self._tasks().add(definition, replace_existing=replaces)
            if self._engine is not None and self.is_running:
                self._engine.admit([definition])
        found = self.get_task(id)
        return found if found is not None else sketched(definition)

    def remove_task(self, task_id: str) -> None:
        """Take a task out; its history stays. A plugin's task is back at the next start.

        Raises:
            UnknownTaskError: there is none.
        """
        if self.is_running:
            self._control().remove(task_id)
        else:
            self._tasks().require(task_id)
        self._tasks().remove(task_id)
        self._refresh(task_id)

    def pause_task(self, task_id: str) -> None:
        """Let no occurrence of a task start until it is resumed; outlives restarts.

        Raises:
            UnknownTaskError: there is none.
            StateError: the container is not started.
        """
        self._control().pause(task_id, paused=True)
        self._refresh(task_id)

    def resume_task(self, task_id: str) -> None:
        """Let a paused task go on; what passed meanwhile is recorded as skipped, not run.

        Raises:
            UnknownTaskError: there is none.
            StateError: the container is not started.
        """
        self._control().pause(task_id, paused=False)
        self._refresh(task_id)

    def update_task(
        self,
        task_id: str,
        change: TaskUpdate | None = None,
        **values: Any,  # noqa: ANN401 - as TaskUpdate takes them
    ) -> TaskRead:
        """Set options of a task over its definition; outlives restarts, never fires the task.

        Args:
            task_id: The task.
            change: What to change; or give the values by name.
            values: ``name``, ``enabled``, ``trigger``, ``trigger_args``, ``max_retries``,
                ``timeout`` (seconds), ``priority``.

        Raises:
            UnknownTaskError: there is none.
            DefinitionError: the values do not make a task.
            StateError: the container is not started.
        """
        wanted = change if change is not None else _update_of(task_id, values)
        updated = self._control().update(task_id, wanted)
        self._refresh(task_id)
        return updated

    def reset_task(self, task_id: str) -> TaskRead:
        """End every edit of a task: its definition holds again."""
        task = self._control().reset(task_id)
        self._refresh(task_id)
        return task

    def run_task(self, task_id: str) -> RunRead:
        """Run a task now, beside its schedule; disabled and paused ones as well.

        Returns:
            The run, waiting; ``get_run`` tells how it goes on.

        Raises:
            UnknownTaskError: there is none.
            StateError: the container is not started.
        """
        control = self._control()
        if self._engine is not None and self._tasks().get(task_id) is not None:
            return control.run(self._engine.request(task_id, Cause.MANUAL).id)
        return control.run_now(task_id)

    def cancel_run(self, run_id: str) -> RunRead:
        """Cancel a waiting run; ask a running one to end.

        A coroutine is cancelled at its next await. A plain function cannot be stopped: it sees
        ``current_run().stopping``, and its run ends as the function does.

        Raises:
            UnknownRunError: there is none.
            StateError: the container is not started.
        """
        run = self._control().cancel(run_id)
        if self._engine is not None:
            self._engine.hasten()
        return run

    def get_task(self, task_id: str) -> TaskRead | None:
        """Return a task, or ``None`` where there is none."""
        if self._ledger is not None and self.is_running:
            found = self._ledger.reading.tasks(task_id)
            return found[0] if found else None
        definition = self._tasks().get(task_id)
        return None if definition is None else sketched(definition)

    def list_tasks(self) -> list[TaskRead]:
        """Return every task, in the order of their ids."""
        if self._ledger is not None and self.is_running:
            return self._ledger.reading.tasks()
        return sorted(map(sketched, self._tasks().all()), key=lambda task: task.id)

    def get_run(self, run_id: str) -> RunRead | None:
        """Return a run with its attempts, or ``None`` where there is none."""
        return self._open_ledger().reading.run(run_id)

    def list_runs(
        self, task_id: str | None = None, *, state: RunState | None = None, limit: int = 100
    ) -> list[RunRead]:
        """Return the newest runs first, at most *limit*."""
        return self._open_ledger().reading.runs(task_id, state=state, limit=limit)

    def list_plugins(self) -> list[PluginRead]:
        """Return the plugins that the last start found, with their faults."""
        return [] if self._plugins is None else self._plugins.records()

    def health(self) -> HealthRead:
        """Return how the container is."""
        if self._engine is None or self._ledger is None or not self.is_running:
            state = "stopped" if self._engine is None else str(self._engine.state)
            none: dict[str, Any] = {"trouble": None, "lag": 0.0, "waiting": 0, "running": 0}
            return HealthRead(state=state, tasks=len(self._tasks().ids()), pools=(), **none)
        silent, figures = self._engine.health()
        pools = tuple(
            PoolRead(lane=each.lane, size=each.size, busy=each.busy, leaked=each.leaked)
            for each in figures
        )
        trouble = self._engine.trouble or _trouble_of(silent, pools)
        waiting, running = self._ledger.reading.open_counts()
        return HealthRead(
            state="degraded" if trouble else "ok",
            trouble=trouble,
            lag=silent.total_seconds(),
            waiting=waiting,
            running=running,
            tasks=len(self._tasks().ids()),
            pools=pools,
        )

    @property
    def ledger(self) -> SqlLedger:
        """The ledger of the running container.

        Raises:
            StateError: the container is not started.
        """
        return self._open_ledger()

    def start(self) -> None:
        """Open the ledger, load the plugins and begin; where it runs already, do nothing.

        Raises:
            ConfigurationError: the settings cannot be used.
            LedgerError: the database cannot serve; its file is not touched.
        """
        with self._lock:
            if self.is_running:
                _log.warning("start() was called again; the container runs already")
                return
            config = self.config
            own_logging(config)
            ledger = build_ledger(config)
            ledger.open()
            try:
                self._begin(config, ledger)
            except BaseException:
                ledger.close()
                raise
            atexit.register(self._at_exit)

    def shutdown(self, grace: float | None = None) -> None:
        """Stop taking on work, wait for what runs, store everything, close.

        Args:
            grace: Seconds that running tasks may take; ``manager.shutdown_grace`` where ``None``.
        """
        with self._lock:
            if self._engine is None or self._ledger is None:
                return
            self._engine.stop(None if grace is None else timedelta(seconds=grace))
            self._ledger.close()
            self._engine = self._ledger = None
            atexit.unregister(self._at_exit)

    def _begin(self, config: Xcorecfg, ledger: SqlLedger) -> None:
        host = self._plugins = self._make_plugins(config) if self._make_plugins else None
        if host is not None:
            self._discover(host)
        lifecycle = Silence() if host is None else host
        engine = build_engine(
            config,
            ledger,
            self._tasks(),
            clock=self._clock,
            lifecycle=lifecycle,
            manager=self,
        )
        engine.start(self._tasks().all())
        if host is not None:
            now = self._clock.now()
            rows = [_plugin_row(record) | {"loaded_at": now} for record in host.records()]
            ledger.amend(lambda catalogue: catalogue.note_plugins(rows))
        if not config.background_jobs_enabled:
            _log.warning("background_jobs_enabled is false: no timed occurrence will fire")
        self._ledger, self._engine = ledger, engine

    def _discover(self, host: PluginHost) -> None:
        host.load()
        drafter = build_drafter(self.config)
        for offer in host.offers():
            try:
                definition, replaces = drafter.draft(
                    offer.data, plugin=offer.plugin, source=offer.source
                )
                self._tasks().add(definition, replace_existing=replaces)
            except TaskrackError as error:
                _note(host, offer, error)
        host.register_tasks(self)

    def _read_config(self) -> Xcorecfg:
        asked = self._asked
        return asked if isinstance(asked, Xcorecfg) else load_config(asked)

    def _tasks(self) -> Registry:
        with self._lock:
            if self._registry is None:
                self._registry = Registry(self.config.manager.max_tasks)
            return self._registry

    def _open_ledger(self) -> SqlLedger:
        if self._ledger is None:
            raise StateError("the container is not started; call start() first")
        return self._ledger

    def _control(self) -> Control:
        return Control(self._open_ledger(), self._clock, "python")

    def _refresh(self, task_id: str) -> None:
        if self._engine is not None and self._ledger is not None:
            self._engine.refresh(list(self._ledger.stored([task_id]).values()))

    def _at_exit(self) -> None:
        self.shutdown(_AT_EXIT.total_seconds())


def _caller() -> str:
    """Return ``file:line`` of the code that called ``add_task``."""
    frame = sys._getframe(2)  # noqa: SLF001 - the documented way to name a caller
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _update_of(task_id: str, values: dict[str, Any]) -> TaskUpdate:
    unknown = sorted(set(values) - set(TaskUpdate.model_fields))
    if unknown:
        known = ", ".join(TaskUpdate.model_fields)
        problems = [Problem(name, f"unknown option; known are {known}") for name in unknown]
        raise DefinitionError(f"task {task_id!r}", problems)
    return TaskUpdate.model_validate(values)


def _trouble_of(silent: timedelta, pools: tuple[PoolRead, ...]) -> str | None:
    if silent > _STALLED:
        return f"the engine has not taken a turn for {silent.total_seconds():.0f} s"
    for pool in pools:
        if pool.leaked:
            names = ", ".join(sorted(set(pool.leaked)))
            return f"calls that outlived their time limit hold {pool.lane} places: {names}"
        if pool.busy >= pool.size:
            return f"all {pool.size} places of {pool.lane} are busy; runs wait"
    return None


def _plugin_row(record: PluginRead) -> dict[str, Any]:
    row = record.model_dump(mode="json", exclude={"loaded_at"})
    return row | {"fingerprint": ""}


def _note(host: PluginHost, offer: Offer, error: TaskrackError) -> None:
    """Record what is wrong with an offered definition, field by field where that is known."""
    problems = error.problems if isinstance(error, DefinitionError) else [Problem("", str(error))]
    hint = "" if isinstance(error, TaskLimitError) else "The other tasks are registered."
    for problem in problems:
        host.note(
            offer.plugin,
            PluginProblem(
                file=offer.file,
                index=offer.index,
                field=problem.where or None,
                cause=problem.what,
                hint=hint,
            ),
        )
