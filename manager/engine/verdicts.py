"""What the outcome of a call makes of its run."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from core.breaking import guards_of
from core.crashing import after_crash
from core.policy import Delivery
from core.records import Ending
from core.run import Attempt, Reason, RunState
from manager.engine.results import error_text, json_form, traceback_text

if TYPE_CHECKING:
    from datetime import datetime

    from core.definition import TaskDefinition
    from core.records import Outcome
    from manager.engine.liverun import LiveRun
    from manager.engine.settings import EngineSettings

STOPPED_BY_US: Final = frozenset({Reason.REQUESTED, Reason.REPLACED, Reason.REMOVED})


class Verdicts:
    """Decides what becomes of a run as far as its attempt alone says.

    Args:
        settings: Whether attempts are repeated, and the breaker of plugins.
        draw: Draws the pauses before retries.
    """

    def __init__(self, settings: EngineSettings, draw: random.Random | None = None) -> None:
        self._settings = settings
        self._draw = draw or random.Random()  # noqa: S311 - jitter, no secret

    def ending(self, live: LiveRun, outcome: Outcome, now: datetime) -> Ending:
        """Return what is to be written of an attempt that ended at *now*."""
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
        own, shared = live.definition.breaker, self._settings.plugin_breaker
        guards = guards_of(run.task_id, live.definition.plugin, own, shared)
        return Ending(run=ended, token=run.token, attempt=attempt, guards=guards)

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
