"""What keeps a run from starting that waits, beside its time and its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from core.run import Cause, Reason, RunState
from manager.storage.breakers import begin_trial, hold_back, open_breakers, tasks_under
from manager.storage.budgets import Purse
from manager.storage.fitting import fitting
from manager.storage.tables import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from core.breaking import CircuitBreaker
    from core.budget import PutOff, RetryBudget
    from core.records import Firing
    from core.run import Run


class Candidate(NamedTuple):
    """A run that waits, as a claim sees it."""

    run_id: str
    task_id: str
    state: str
    cause: str
    lane: str

    @property
    def is_retry(self) -> bool:
        """Whether an attempt of it failed before."""
        return self.state == RunState.RETRYING.value

    @property
    def is_by_hand(self) -> bool:
        """Whether somebody asked for it by hand; its retries are nobody's wish."""
        return self.cause == Cause.MANUAL.value and not self.is_retry


def _freely() -> None:
    """Wait for nobody."""


class Admission:
    """Breakers and budgets, as one transaction sees them.

    Args:
        connection: Inside a transaction.
        now: The time to go by.
        budget: Of the retries of each plugin; ``None`` is no limit.
        spend: Waits until nobody else takes from a budget.

    Attributes:
        closed: Tasks of which nothing may start while a trial is under way.
    """

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        budget: RetryBudget | None = None,
        spend: Callable[[], None] = _freely,
    ) -> None:
        self._connection = connection
        self._now = now
        self._purse = None if budget is None else Purse(connection, budget, now)
        self._spend = spend
        self._plugins: dict[str, str] = {}
        self._breakers = {each.subject: each for each in open_breakers(connection)}
        self.closed: set[str] = set()

    @property
    def put_off(self) -> list[PutOff]:
        """The retries that were put off, by plugin."""
        return [] if self._purse is None else self._purse.put_off

    def admits(self, run: Candidate) -> bool:
        """Tell whether a waiting run may start; one that may not is blocked, or waits longer.

        A run that somebody asked for by hand may be the trial of a breaker at any time.
        """
        asked = self._asked(run.task_id)
        for breaker in asked:
            if breaker.trying:
                self.closed |= tasks_under(self._connection, breaker.subject)
                return False
            if breaker.keeps_back(self._now) and not run.is_by_hand:
                hold_back(self._connection, breaker)
                return False
        if run.is_retry and self._purse is not None:
            self._spend()
            plugin = self._plugin_of(run.task_id)
            if not self._purse.pays(run.run_id, plugin, run.lane):
                return False
        return self._try(asked, run.run_id)

    def lets_in(self, firing: Firing) -> bool:
        """Tell whether no open breaker keeps the occurrences of *firing* back."""
        return not any(each.keeps_back(self._now) for each in self._asked(firing.task_id))

    def fitted(self, firing: Firing, busy: int, backfills: int) -> Sequence[Run]:
        """Return the rows of *firing* as overlap and breakers leave them.

        What falls due while a breaker is open is ``SKIPPED``; where a trial may begin, the first
        occurrence may be it.
        """
        asked = self._asked(firing.task_id)
        if not asked:
            return fitting(firing, busy, backfills)
        if not self.lets_in(firing):
            return [_skipped(run) for run in firing.runs]
        rows, tries = [], 0
        for run in fitting(firing, busy, backfills):
            tries += not run.state.is_final
            rows.append(run if run.state.is_final or tries == 1 else _skipped(run))
            if rows[-1].state is RunState.RUNNING and not self._try(asked, run.id):
                rows[-1] = _skipped(run)
        return rows

    def _asked(self, task_id: str) -> list[CircuitBreaker]:
        """Return the open breakers of a task."""
        if not self._breakers:
            return []
        subjects = (f"task:{task_id}", f"plugin:{self._plugin_of(task_id)}")
        return [self._breakers[each] for each in subjects if each in self._breakers]

    def _try(self, asked: Sequence[CircuitBreaker], run_id: str) -> bool:
        """Let a run be the trial of each breaker; tell whether no other node was faster."""
        for breaker in asked:
            if not begin_trial(self._connection, breaker, run_id):
                self.closed |= tasks_under(self._connection, breaker.subject)
                return False
            self._breakers[breaker.subject] = replace(breaker, trial_run=run_id, trying=True)
        return True

    def _plugin_of(self, task_id: str) -> str:
        if task_id not in self._plugins:
            query = select(tasks.c.plugin).where(tasks.c.id == task_id)
            self._plugins[task_id] = self._connection.execute(query).scalar() or ""
        return self._plugins[task_id]


def _skipped(run: Run) -> Run:
    if run.state.is_final:
        return run
    return replace(
        run,
        state=RunState.SKIPPED,
        reason=Reason.BREAKER,
        finished_at=run.created_at,
        attempt=0,
        token=0,
        node=None,
        started_at=None,
    )
