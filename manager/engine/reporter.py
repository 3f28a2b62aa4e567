"""Tells plugins and the log what became of runs, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.run import RunState
from loggers import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.crashing import Quarantined
    from core.ports import Lifecycle
    from core.records import Ending
    from core.run import Run

_log = get_logger("taskrack")


class Reporter:
    """Speaks after the ledger has it, never before."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

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

    def quarantined(self, tasks: Sequence[Quarantined]) -> None:
        """Tell which tasks crashed once too often."""
        for each in tasks:
            text = (
                "%s: quarantined: it crashed %s times with no completed run between, the last time "
                "in run %s; nothing of it starts until 'taskrack resume %s'"
            )
            _log.error(text, each.task_id, each.crashes, each.run.id, each.task_id)
            self._lifecycle.quarantined(each.run)

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
