"""``TaskManager``: the verbs on tasks, in the process that runs them."""

from __future__ import annotations

import atexit
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.errors import StateError
from loggers import get_logger
from manager.schemas.updating import parse_update
from manager.task.assembly import build_drafter
from manager.task.isolating import is_isolated
from manager.task.session import Session
from manager.task.sketch import sketched
from manager.task.viewing import TaskView

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from manager.schemas.reading import BackfillRead, RunRead, TaskRead
    from manager.schemas.updating import TaskUpdate
    from manager.task.control import Control

_log = get_logger("taskrack")
_AT_EXIT: Final = timedelta(seconds=2)


class TaskManager(TaskView):
    """Registers tasks, runs them once ``start`` is called, and tells what became of them.

    Before ``start`` nothing is opened and nothing runs: tasks are kept in memory, and verbs that
    need the ledger raise ``StateError``. After it every verb is stored before it returns. Verbs
    may be called from any thread, and from inside a running event loop.

    Args:
        config: Settings, or where they are; looked for as the command line does where ``None``.
        plugins: Makes the plugins that are asked at each start; ``None`` for no discovery.
        assembly: What it stands on, such as the clock; the machine's own where ``None``.
    """

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
            kwargs: The trigger's arguments and any option of a definition, mixed.

        Raises:
            DefinitionError: the task does not validate; every problem is named.
            DuplicateTaskError: another function has the id.
            TaskLimitError: it would be more than ``manager.max_tasks``.
            LedgerError: the container runs and the database did not take it.
        """
        registry = self._home.registry
        drafter = build_drafter(self.config, registry)
        definition, replaces = drafter.draft_call(func, trigger, id, kwargs)
        with self._life:
            definition = registry.add(definition, replace_existing=replaces)
            if self.is_running and self._session is not None:
                self._session.engine.admit([definition])
        found = self.get_task(id)
        return found if found is not None else sketched(definition)

    def remove_task(self, task_id: str) -> None:
        """Take a task out; its history stays. A plugin's task is back at the next start.

        Raises:
            UnknownTaskError: there is none.
        """
        if self._session is None:
            self._home.registry.require(task_id)
        else:
            self._session.control.remove(task_id)
            self._session.refresh(task_id)
        self._home.registry.remove(task_id)

    def pause_task(self, task_id: str) -> None:
        """Let no occurrence of a task start until it is resumed; outlives restarts.

        Raises:
            UnknownTaskError: there is none.
        """
        self._order(task_id, lambda control: control.pause(task_id, paused=True))

    def resume_task(self, task_id: str) -> None:
        """Let a paused or quarantined task go on; what passed meanwhile is skipped, not run.

        An open breaker that keeps it back, its own or its plugin's, is closed.

        Raises:
            UnknownTaskError: there is none.
        """
        self._order(task_id, lambda control: control.pause(task_id, paused=False))
        self._running().engine.hasten()

    def update_task(
        self,
        task_id: str,
        change: TaskUpdate | None = None,
        **values: Any,  # noqa: ANN401 - as TaskUpdate takes them
    ) -> TaskRead:
        """Set options of a task over its definition; outlives restarts, never fires the task.

        Give a *change*, or its values by name: ``name``, ``enabled``, ``trigger``,
        ``trigger_args``, ``max_retries``, ``timeout`` (seconds), ``priority``.

        Raises:
            UnknownTaskError: there is none.
            DefinitionError: the values do not make a task.
        """
        wanted = parse_update(task_id, change if change is not None else values)
        return self._order(task_id, lambda control: control.update(task_id, wanted))

    def reset_task(self, task_id: str) -> TaskRead:
        """End every edit of a task: its definition holds again."""
        return self._order(task_id, lambda control: control.reset(task_id))

    def run_task(self, task_id: str) -> RunRead:
        """Run a task now, beside its schedule; return the run as it waits.

        Raises:
            UnknownTaskError: there is none.
            StateError: the container is not started, or the task is quarantined.
            QueueFull: as many requested runs wait as ``manager.task_queue_size`` allows.
        """
        session = self._running()
        run = session.control.run_now(task_id)
        session.engine.hasten()
        return run

    def backfill(
        self, task_id: str, start: datetime, end: datetime, *, dry_run: bool = False
    ) -> BackfillRead:
        """Add a run for every occurrence from *start* to *end* that never ran; both included.

        The runs know the occurrence that they stand for (``current_run().scheduled_for``), start
        after everything of the task that is due, and never count as missed. Asking for the same
        range again adds nothing.

        Args:
            task_id: The task, as it is scheduled now.
            start: An aware instant.
            end: An aware instant that has passed.
            dry_run: Whether to tell only what would be added.

        Raises:
            UnknownTaskError: there is none.
            DefinitionError: the range cannot be meant, or holds more than 10,000 occurrences.
            QueueFull: more requested runs would wait than ``manager.task_queue_size`` allows.
        """
        session = self._running()
        found = session.control.backfill(task_id, start, end, dry_run=dry_run)
        session.engine.hasten()
        return found

    def cancel_run(self, run_id: str) -> RunRead:
        """Cancel a waiting run; ask a running one to end.

        A coroutine is cancelled at its next await. A plain function cannot be stopped: it sees
        ``current_run().stopping``, and its run ends as the function does.

        Raises:
            UnknownRunError: there is none.
        """
        session = self._running()
        run = session.control.cancel(run_id)
        session.engine.hasten()
        return run

    def start(self) -> None:
        """Open the ledger, load the plugins and begin; where it runs already, do nothing.

        Raises:
            ConfigurationError: the settings cannot be used.
            LedgerError: the database cannot serve; its file is not touched.
            StateError: this is the process of an isolated task.
        """
        if is_isolated():
            raise StateError(
                "start() was called in the process of an isolated task, which runs no container; "
                "put it below 'if __name__ == \"__main__\":', or leave it out of the task"
            )
        with self._life:
            if self._session is not None:
                _log.warning("start() was called again; the container runs already")
                return
            self._assembly.logging(self.config)
            host = None if self._plugins is None else self._plugins(self.config)
            session = Session(self.config, self._assembly, host)
            session.prepare(self._home.registry, self)
            self._session = session
            try:
                session.launch(self._home.registry, self)
            except BaseException:
                self._session = None
                raise
            atexit.register(self._at_exit)

    def shutdown(self, grace: float | None = None) -> None:
        """Stop taking on work, wait for what runs, store everything, close.

        Args:
            grace: Seconds that running tasks may take; ``manager.shutdown_grace`` where ``None``.
        """
        session = self._session
        if session is None:
            return
        session.end(None if grace is None else timedelta(seconds=grace))
        with self._life:
            if self._session is session:
                self._session = None
                atexit.unregister(self._at_exit)

    def hurry(self) -> None:
        """Let a shutdown that is under way wait no longer for running tasks; safe in a signal."""
        if self._session is not None:
            self._session.engine.hurry()

    def _order(self, task_id: str, verb: Callable[[Control], object]) -> TaskRead:
        """Change a task in the ledger, put it into effect here, and return it as it stands."""
        session = self._running()
        verb(session.control)
        session.refresh(task_id)
        return session.control.task(task_id)

    def _at_exit(self) -> None:
        self.shutdown(_AT_EXIT.total_seconds())
