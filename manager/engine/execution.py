"""Attempts: handed to an executor, limited in time, and turned into what the ledger keeps."""

from __future__ import annotations

import queue
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from core.crashing import after_crash
from core.invariants import CLAIMED, TOKENS, InvariantError
from core.policy import Delivery
from core.records import Call, Ending, Outcome
from core.run import Attempt, Reason, Run, RunState
from loggers import get_logger
from manager.engine.context import RunContext, entered
from manager.engine.results import error_text, json_form, traceback_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime, timedelta

    from core.clock import Clock
    from core.definition import TaskDefinition
    from core.ports import Executor
    from manager.engine.settings import EngineSettings

STOPPED_BY_US: Final = frozenset({Reason.REQUESTED, Reason.REPLACED, Reason.REMOVED})


@dataclass(slots=True)
class LiveRun:
    """An attempt under way.

    Attributes:
        deadline: Monotonic second at which its time is up, or at which it is given up.
        stopped: Why it was asked to end, if it was.
    """

    run: Run
    definition: TaskDefinition
    executor: Executor
    context: RunContext
    deadline: float | None
    stopped: Reason | None = None


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
        self._clock = clock
        self._settings = settings
        self._manager = manager
        self._wake = wake
        self._outcomes: queue.SimpleQueue[tuple[Call, Outcome, datetime]] = queue.SimpleQueue()
        self._live: dict[str, LiveRun] = {}
        self._interrupted: list[LiveRun] = []
        self._stopped = False
        self._draw = draw or random.Random()  # noqa: S311 - jitter, no secret

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
        for call, outcome, ended_at in self._ended():
            live = self._live.get(call.run_id)
            if live is not None and live.run.token == call.token:
                del self._live[call.run_id]
                if live.stopped is Reason.INTERRUPTED and outcome.state is not RunState.COMPLETED:
                    self._interrupted.append(live)
                else:
                    found.append(self._ending(live, outcome, ended_at))
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
        return [self._ending(live, Outcome(state=RunState.FAILED), now)]

    def _done(self, call: Call, outcome: Outcome) -> None:
        self._outcomes.put((call, outcome, self._clock.now()))
        self._wake()

    def _ending(self, live: LiveRun, outcome: Outcome, now: datetime) -> Ending:
        run, attempt = live.run, None
        if outcome.reason is Reason.CRASH and live.stopped is None:
            return self._crashed(live, outcome, now)
        ended = replace(run, finished_at=now, **self._end(live, outcome))
        if ended.state is RunState.FAILED and self._may_retry(live, outcome):
            pause = live.definition.retry.pause_before(run.failures + 1, self._draw)
            ended = replace(ended, state=RunState.RETRYING, not_before=now + pause)
        if ended.state is not RunState.COMPLETED or run.attempt > 1:
            attempt = Attempt.of(ended, now)
        if not ended.state.is_final:
            ended = replace(ended, finished_at=None)
        return Ending(run=ended, token=run.token, attempt=attempt)

    def _crashed(self, live: LiveRun, outcome: Outcome, now: datetime) -> Ending:
        """Return what a call whose process died makes of its run, as far as that alone decides."""
        died = "its process died" if outcome.error is None else error_text(outcome.error)
        died = died if outcome.fault is None else outcome.fault.text
        once = live.definition.delivery is Delivery.AT_MOST_ONCE
        run = replace(live.run, not_before=now)
        run = after_crash(run, died, once=once, rerun=self._settings.automatic)
        return Ending(run=run, token=run.token, attempt=None)

    def _end(self, live: LiveRun, outcome: Outcome) -> dict[str, Any]:
        """Return what is new about the run of an attempt that ended."""
        error, fault = outcome.error, outcome.fault
        if outcome.state is RunState.COMPLETED and live.stopped is not Reason.TIMEOUT:
            bare = outcome.value is None or outcome.remote
            result = outcome.value if bare else json_form(outcome.value)
            return {"state": RunState.COMPLETED, "result": result}
        if live.stopped is Reason.TIMEOUT:
            text = _timeout_text(live.definition)
            return {"state": RunState.FAILED, "reason": Reason.TIMEOUT, "error": text}
        if live.stopped in STOPPED_BY_US:
            return {"state": RunState.CANCELLED, "reason": live.stopped}
        if fault is not None:
            reason = outcome.reason or Reason.EXCEPTION
            said = {"error": fault.text, "traceback": fault.traceback}
            return {"state": RunState.FAILED, "reason": reason, **said}
        if error is None:
            return {"state": RunState.FAILED, "reason": outcome.reason}
        return {
            "state": RunState.FAILED,
            "reason": outcome.reason or Reason.EXCEPTION,
            "error": error_text(error),
            "traceback": traceback_text(error),
        }

    def _may_retry(self, live: LiveRun, outcome: Outcome) -> bool:
        if not self._settings.automatic or live.run.failures > live.definition.max_retries:
            return False
        if live.stopped is not Reason.TIMEOUT and outcome.fault is not None:
            return live.definition.retry.covers_names(outcome.fault.names)
        if live.stopped is Reason.TIMEOUT or outcome.error is None:
            return live.definition.retry.covers(TimeoutError)
        return live.definition.retry.covers(type(outcome.error))


def _timeout_text(definition: TaskDefinition) -> str:
    limit = definition.timeout
    seconds = 0.0 if limit is None else limit.total_seconds()
    leaks = definition.lane == "thread"
    fix = "; its thread cannot be stopped and goes on" if leaks else ""
    return f"it ran longer than its time limit of {seconds:g} s{fix}"
