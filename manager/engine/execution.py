"""Attempts: handed to an executor, limited in time, and turned into what the ledger keeps."""

from __future__ import annotations

import queue
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from core.invariants import CLAIMED, TOKENS, InvariantError
from core.ports import Watched
from core.records import Call, Ending, Outcome
from core.run import Reason, Run, RunState
from loggers import get_logger
from manager.engine.context import RunContext, entered
from manager.engine.liverun import LiveRun
from manager.engine.verdicts import Verdicts

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from core.budget import RetryBudget
    from core.clock import Clock
    from core.definition import TaskDefinition
    from core.ports import Executor
    from manager.engine.settings import EngineSettings


class Execution:
    """The attempts of this node that are under way; used by the engine's thread alone."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        clock: Clock,
        settings: EngineSettings,
        manager: object,
        wake: Callable[[], None],
        draw: random.Random | None = None,
    ) -> None:
        self._executors = executors
        self._watched = [each for each in executors.values() if isinstance(each, Watched)]
        self._clock = clock
        self._settings = settings
        self._manager = manager
        self._wake = wake
        self._outcomes: queue.SimpleQueue[tuple[Call, Outcome, datetime]] = queue.SimpleQueue()
        self._live: dict[str, LiveRun] = {}
        self._interrupted: list[LiveRun] = []
        self._stopped = False
        self._verdicts = Verdicts(settings, draw)

    @property
    def retry_budget(self) -> RetryBudget | None:
        """Most retries of a plugin in a minute."""
        return self._settings.retry_budget

    def start(self) -> None:
        """Get the executors ready."""
        for executor in self._executors.values():
            executor.start(self._done)

    def stop(self) -> None:
        """Let go of the executors; nothing is called any more."""
        self._stopped = True
        for executor in self._executors.values():
            executor.stop()
        self._live.clear()

    def live(self) -> list[LiveRun]:
        """Return the attempts under way."""
        return list(self._live.values())

    def left(self) -> list[LiveRun]:
        """Return the attempts that a shutdown cut off, ended or not."""
        return [*self._interrupted, *self.live()]

    def leaked(self) -> Counter[str]:
        """Return how many calls of each task outlived what was waited for."""
        executors = self._executors.values()
        return Counter(name for executor in executors for name in executor.figures().leaked)

    def get(self, run_id: str) -> LiveRun | None:
        """Return an attempt under way, or ``None``."""
        return self._live.get(run_id)

    def begin(self, run: Run, definition: TaskDefinition) -> None:
        """Call the task's function for *run*, whose start is committed.

        After a stop that did not wait for that commit it is not: it is found as left behind.
        """
        if self._stopped:
            return
        self._check_claimed(run)
        logger = get_logger(definition.plugin)
        context = RunContext(
            run_id=run.id,
            task_id=run.task_id,
            attempt=run.attempt,
            scheduled_for=run.scheduled_for,
            token=run.token,
            logger=logger,
            manager=self._manager,
        )
        call = Call(
            run_id=run.id,
            task_id=run.task_id,
            token=run.token,
            func=definition.func,
            args=definition.args if run.args is None else run.args,
            kwargs=definition.kwargs if run.kwargs is None else run.kwargs,
            scope=partial(entered, context),
            attempt=run.attempt,
            scheduled_for=run.scheduled_for,
            definition=definition,
            hear=context.when_stopping,
        )
        limit = definition.timeout
        deadline = None if limit is None else self._second_in(limit)
        executor = self._executors[definition.lane]  # a run's own lane is its function's of then
        self._live[run.id] = LiveRun(run, definition, executor, context, deadline)
        try:
            executor.submit(call)
        except RuntimeError as error:  # no thread to be had, or a loop that is closed
            rejected = Outcome(state=RunState.FAILED, reason=Reason.REJECTED, error=error)
            self._done(call, rejected)

    def _check_claimed(self, run: Run) -> None:
        """Let pass what a claim gave this node, and what no attempt of it holds with more right."""
        where = f"{run.task_id}, run {run.id}"
        if run.state is not RunState.RUNNING or run.token < 1 or run.attempt < 1:
            found = f"{run.state} with attempt {run.attempt}, token {run.token}"
            raise InvariantError(CLAIMED, where, "a run that was claimed", found)
        before = self._live.get(run.id)
        if before is not None and before.run.token >= run.token:
            expected = f"a token above {before.run.token}"
            raise InvariantError(TOKENS, where, expected, f"token {run.token}")

    def ask_to_end(self, live: LiveRun, reason: Reason) -> None:
        """Ask an attempt to end; a coroutine is cancelled, a thread's function is told."""
        if live.stopped is None:
            live.stopped = reason
            live.context.ask_to_stop()
            if live.executor.interrupt(live.run.id):
                live.deadline = self._second_in(self._settings.unwind)

    def drop(self, live: LiveRun) -> None:
        """Ask an attempt to end whose run was taken away, and wait for it no longer.

        It takes room as a leaked call does until it ends, so that its run does not start here
        beside it.
        """
        live.context.ask_to_stop()
        live.executor.interrupt(live.run.id)
        live.executor.abandon(live.run.id)
        del self._live[live.run.id]

    def make_room(self, task_id: str) -> None:
        """Ask the attempts of a task to end: its next run replaces them."""
        for live in self.live():
            if live.run.task_id == task_id:
                self.ask_to_end(live, Reason.REPLACED)

    def nearest_deadline(self) -> float | None:
        """Return the earliest monotonic second at which an attempt's time is up."""
        if not self._live:
            return None
        deadlines = (each.deadline for each in self.live())
        return min((each for each in deadlines if each is not None), default=None)

    def endings(self, now: datetime) -> list[Ending]:
        """Return the attempts that ended since the last call, or whose time is up."""
        found: list[Ending] = []
        for executor in self._watched:
            executor.watch(self._clock.monotonic())
        for call, outcome, ended_at in self._ended():
            live = self._live.get(call.run_id)
            if live is not None and live.run.token == call.token:
                del self._live[call.run_id]
                if live.stopped is Reason.INTERRUPTED and outcome.state is not RunState.COMPLETED:
                    self._interrupted.append(live)
                else:
                    found.append(self._verdicts.ending(live, outcome, ended_at))
        if not self._live:
            return found
        second = self._clock.monotonic()
        for live in self.live():
            if live.deadline is not None and live.deadline <= second:
                found += self._expired(live, now)
        return found

    def _ended(self) -> Iterator[tuple[Call, Outcome, datetime]]:
        """Yield what ended; a shutdown may look at the same time."""
        with suppress(queue.Empty):
            while True:
                yield self._outcomes.get_nowait()

    def _second_in(self, span: timedelta) -> float:
        """Return the monotonic second in which *span* will have passed, to the microsecond."""
        return round(self._clock.monotonic() + span.total_seconds(), 6)

    def _expired(self, live: LiveRun, now: datetime) -> list[Ending]:
        """Stop an attempt whose time is up; one that was asked before is given up."""
        if live.stopped is None:
            self.ask_to_end(live, Reason.TIMEOUT)
            if live.deadline is not None and live.deadline > self._clock.monotonic():
                return []
        live.executor.abandon(live.run.id)
        del self._live[live.run.id]
        if live.stopped is Reason.INTERRUPTED:
            self._interrupted.append(live)
            return []
        return [self._verdicts.ending(live, Outcome(state=RunState.FAILED), now)]

    def _done(self, call: Call, outcome: Outcome) -> None:
        self._outcomes.put((call, outcome, self._clock.now()))
        self._wake()
