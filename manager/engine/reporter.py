"""Tells plugins and the log what became of runs, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.breaking import Turned
from core.budget import WINDOW
from core.crashing import Quarantined
from core.run import RunState
from loggers import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from core.budget import PutOff
    from core.crashing import Buried
    from core.ports import Lifecycle
    from core.records import Ending, News
    from core.run import Run

_log = get_logger("taskrack")


class Reporter:
    """Speaks after the ledger has it, never before."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._told: dict[str, datetime] = {}

    def started(self, run: Run) -> None:
        """Tell that an attempt is about to start."""
        _log.debug("%s: attempt %s starts", run.task_id, run.attempt)
        self._lifecycle.started(run)

    def dropped(self, runs: Sequence[Run]) -> None:
        """Tell which occurrences were skipped or missed."""
        for run in runs:
            if run.state.is_final:
                many = f" ({run.occurrences} occurrences)" if run.occurrences > 1 else ""
                due = run.scheduled_for.isoformat()
                _log.warning("%s: %s, %s: due %s%s", run.task_id, run.state, run.reason, due, many)
                self._lifecycle.dropped(run)

    def ended(self, endings: Sequence[Ending], held: Sequence[Run | None]) -> None:
        """Tell how attempts ended; an outcome that came too late is only noted."""
        for ending, run in zip(endings, held, strict=True):
            if run is None:
                text = "%s: run %s was taken away, its outcome is dropped"
                _log.warning(text, ending.run.task_id, ending.run.id)
            elif run.state.is_final:
                self._final(run)
                self._lifecycle.finished(run)
            else:
                self._again(run)
                self._lifecycle.retrying(run)

    def inherited(self, buried: Buried) -> None:
        """Tell what became of the runs that dead nodes left, and what it cost their tasks."""
        for run in buried.runs:
            text = "%s: run %s was cut off, now %s: %s"
            _log.warning(text, run.task_id, run.id, run.state, run.error)
        self.finished(buried.runs)
        self.tell(buried.quarantined)

    def finished(self, runs: Iterable[Run | None]) -> None:
        """Tell plugins of those of *runs* that are final, whoever called their functions."""
        for run in runs:
            if run is not None and run.state.is_final:
                self._lifecycle.finished(run)

    def tell(self, news: Sequence[News]) -> None:
        """Tell what the ledger decided about tasks and plugins."""
        for each in news:
            if isinstance(each, Quarantined):
                text = (
                    "%s: quarantined: it crashed %s times with no completed run between, the last "
                    "time in run %s; nothing of it starts until 'taskrack resume %s'"
                )
                _log.error(text, each.task_id, each.crashes, each.run.id, each.task_id)
                self._lifecycle.quarantined(each.run)
            elif isinstance(each, Turned):
                self._turned(each)
            else:
                self._put_off(each)

    @staticmethod
    def _turned(turned: Turned) -> None:
        kind, _, name = turned.after.subject.partition(":")
        what = f"its {'breaker' if kind == 'task' else 'plugin breaker'}"
        if turned.after.trial_at is None:
            _log.warning("%s: %s is closed: its trial completed", name, what)
            return
        text = "%s: %s is open: %s attempts failed in a row; one run may try at %s"
        at = turned.after.trial_at.isoformat(timespec="seconds")
        _log.error(text, name, what, turned.after.failures, at)

    def _put_off(self, put_off: PutOff) -> None:
        """Tell of it once a minute at most: in a storm there is news every second."""
        last = self._told.get(put_off.plugin)
        if last is None or put_off.at - last >= WINDOW:
            self._told[put_off.plugin] = put_off.at
            text = "plugin %s: %s retries wait, its retry budget is used up (manager.retry_budget)"
            _log.warning(text, put_off.plugin, put_off.count)

    @staticmethod
    def _again(run: Run) -> None:
        text = "%s: attempt %s failed, again at %s: %s"
        when = run.not_before.isoformat(timespec="seconds")
        _log.warning(text, run.task_id, run.attempt, when, run.error)

    @staticmethod
    def _final(run: Run) -> None:
        seconds = 0.0
        if run.started_at is not None and run.finished_at is not None:
            seconds = (run.finished_at - run.started_at).total_seconds()
        if run.state is RunState.COMPLETED:
            _log.info("%s: completed in %.3f s", run.task_id, seconds)
        elif run.state is RunState.CANCELLED:
            _log.warning("%s: cancelled after %.3f s", run.task_id, seconds)
        else:
            trace = f"\n{run.traceback.rstrip()}" if run.traceback else ""
            text = "%s: failed, %s, attempt %s: %s%s"
            _log.error(text, run.task_id, run.reason, run.attempt, run.error, trace)
