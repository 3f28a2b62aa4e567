"""What the ledger tells beyond tasks and runs: where schedules stand, durations, changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, bindparam, func, select, type_coerce

from core.run import RunState
from manager.schemas.reading import BreakerRead
from manager.storage.rows import run_of
from manager.storage.tables import IS_OPEN, IS_RUNNING, audit, breakers, runs, tasks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from core.run import Run
    from manager.storage.database import Database

_LAST: Final = 20
"""So many runs of a task say how long the next one will take."""
_BACK: Final = 200
"""They are looked for among so many."""
_MOST: Final = 50
_DROPPED: Final = (RunState.SKIPPED.value, RunState.MISSED.value)
_RAN: Final = (RunState.COMPLETED.value, RunState.FAILED.value)
_NEWEST: Final = (
    select(runs.c.id, runs.c.state, runs.c.started_at, runs.c.finished_at)
    .where(runs.c.task_id == bindparam("task"))
    .order_by(runs.c.id.desc())
    .limit(_BACK)
    .subquery()
)
_TOOK: Final = (
    select(
        (
            type_coerce(_NEWEST.c.finished_at, BigInteger)
            - type_coerce(_NEWEST.c.started_at, BigInteger)
        )
        / 1e6
    )
    .where(_NEWEST.c.state.in_(_RAN), _NEWEST.c.started_at.is_not(None))
    .order_by(_NEWEST.c.id.desc())
    .limit(_LAST)
)
"""How many seconds the last runs of a task took."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the schedule of a task stands.

    Attributes:
        anchor: First registration.
        cursor: Occurrences up to here are decided.
        fired: How many runs it has started, counted while the task has a most.
    """

    anchor: datetime
    cursor: datetime
    fired: int


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the audit."""

    at: datetime
    actor: str
    action: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class Evidence:
    """Answers what forecasts and explanations ask; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standings(self, task_id: str | None = None) -> dict[str, Standing]:
        """Return where the schedules of all tasks stand, or of one, by task."""
        query = select(tasks.c.id, tasks.c.anchor, tasks.c.cursor, tasks.c.fired)
        query = query.where(tasks.c.removed.is_(False))
        if task_id is not None:
            query = query.where(tasks.c.id == task_id)
        with self._database.read() as connection:
            return {row[0]: Standing(*row[1:]) for row in connection.execute(query)}

    def durations(self, task_ids: Collection[str]) -> dict[str, tuple[float, float]]:
        """Return, by task, how many seconds its last runs took: the mean, and the longest.

        A run counts with its last attempt. Tasks without such runs are left out.
        """
        found: dict[str, tuple[float, float]] = {}
        with self._database.read() as connection:
            for task_id in task_ids:
                took = [
                    float(each) for each in connection.execute(_TOOK, {"task": task_id}).scalars()
                ]
                if took:
                    found[task_id] = sum(took) / len(took), max(took)
        return found

    def due_within(self, task_id: str, since: datetime, until: datetime) -> list[Run]:
        """Return the runs of a task that were due in ``[since, until)``, oldest first."""
        query = (
            select(runs)
            .where(runs.c.task_id == task_id)
            .where(runs.c.scheduled_for >= since, runs.c.scheduled_for < until)
            .order_by(runs.c.id)
            .limit(_MOST)
        )
        return self._runs(query)

    def covering(self, task_id: str, instant: datetime) -> list[Run]:
        """Return rows that may stand for the occurrence at *instant* among others."""
        query = (
            select(runs)
            .where(runs.c.task_id == task_id, runs.c.occurrences > 1)
            .where(runs.c.scheduled_for >= instant, runs.c.state.in_(_DROPPED))
            .order_by(runs.c.scheduled_for)
            .limit(_MOST)
        )
        return self._runs(query)

    def open_runs(self, task_id: str) -> list[Run]:
        """Return the runs of a task that are not over, oldest first."""
        return self._runs(
            select(runs).where(runs.c.task_id == task_id, IS_OPEN).order_by(runs.c.id)
        )

    def meeting(self, task_id: str, run_id: str, instant: datetime) -> list[Run]:
        """Return the other runs of a task that were under way at *instant*, oldest first."""
        over = runs.c.finished_at.is_(None) | (runs.c.finished_at >= instant)
        query = (
            select(runs)
            .where(runs.c.task_id == task_id, runs.c.id != run_id)
            .where(runs.c.created_at <= instant, over, runs.c.state.not_in(_DROPPED))
            .order_by(runs.c.id)
            .limit(_MOST)
        )
        return self._runs(query)

    def running(self, lane: str) -> int:
        """Return how many runs of a lane are under way."""
        query = select(func.count()).select_from(runs).where(IS_RUNNING, runs.c.lane == lane)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def changes(self, task_id: str) -> list[Change]:
        """Return what operators changed about a task, oldest first."""
        query = select(audit).where(audit.c.subject == task_id).order_by(audit.c.id)
        with self._database.read() as connection:
            return [
                Change(row.at, row.actor, row.action, row.before or {}, row.after or {})
                for row in connection.execute(query)
            ]

    def breakers(self, *subjects: str) -> tuple[BreakerRead, ...]:
        """Return the breakers that are open, all or those of *subjects*."""
        query = select(*(breakers.c[name] for name in BreakerRead.model_fields))
        query = query.where(breakers.c.trial_at.is_not(None)).order_by(breakers.c.subject)
        if subjects:
            query = query.where(breakers.c.subject.in_(subjects))
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return tuple(BreakerRead.model_validate(dict(row)) for row in rows)

    def since(self, task_id: str) -> datetime | None:
        """Return when the oldest run of a task was made that is still kept."""
        query = select(runs.c.created_at).where(runs.c.task_id == task_id)
        with self._database.read() as connection:
            found: datetime | None = connection.execute(query.order_by(runs.c.id).limit(1)).scalar()
        return found

    def _runs(self, query: Any) -> list[Run]:  # noqa: ANN401 - a select of whole rows
        with self._database.read() as connection:
            return [run_of(row) for row in connection.execute(query).mappings()]
