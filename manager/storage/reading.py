"""The read model: one for Python, command line and everything to come."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, case, exists, func, select, type_coerce

from core.run import Cause, RunState, TaskState
from manager.schemas.reading import (
    AttemptRead,
    NodeRead,
    PluginRead,
    RunRead,
    TaskRead,
)
from manager.schemas.statistics import PeriodStatistics, TaskStatistics
from manager.storage.dialects import lease_time
from manager.storage.evidence import Evidence
from manager.storage.listing import Listing, Liveness
from manager.storage.rows import CAUSES, REASONS, STATES
from manager.storage.snapshot import Snapshot
from manager.storage.tables import (
    IS_OPEN,
    IS_RUNNING,
    attempts,
    bindings,
    nodes,
    plugins,
    runs,
    tasks,
)
from manager.storage.types import to_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from manager.storage.database import Database

_HOUR: Final = timedelta(hours=1)
_FIELDS: Final = set(RunRead.model_fields)
_NAMES: Final = tuple(name for name in RunRead.model_fields if name != "attempts")
_SHOWN: Final = tuple(runs.c[name] for name in _NAMES)


class Reading:
    """Answers questions about tasks and runs from the ledger; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listing = Listing()
        self.evidence = Evidence(database)

    def tasks(self, task_id: str | None = None) -> list[TaskRead]:
        """Return every task, or only *task_id*, in the order of their ids."""
        open_runs = select(runs.c.task_id, runs.c.state).where(IS_OPEN)
        if task_id is not None:
            open_runs = open_runs.where(runs.c.task_id == task_id)
        with self._database.read() as connection:
            busy = _busiest(connection.execute(open_runs).all())
            return self._listing.read(connection, busy, _liveness(connection), task_id)

    def run(self, run_id: str) -> RunRead | None:
        """Return a run with its attempts, or ``None``."""
        with self._database.read() as connection:
            row = connection.execute(select(*_SHOWN).where(runs.c.id == run_id)).first()
            if row is None:
                return None
            query = select(attempts).where(attempts.c.run_id == run_id).order_by(attempts.c.token)
            found = connection.execute(query).mappings().all()
            tries = tuple(AttemptRead.model_validate(dict(each)) for each in found)
            return _run_read(row, tries)

    def runs(
        self,
        task_id: str | None = None,
        *,
        state: RunState | None = None,
        limit: int = 100,
    ) -> list[RunRead]:
        """Return the newest runs first, at most *limit*."""
        query = select(*_SHOWN).order_by(runs.c.id.desc()).limit(limit)
        if task_id is not None:
            query = query.where(runs.c.task_id == task_id)
        if state is not None:
            query = query.where(runs.c.state == state.value)
        with self._database.read() as connection:
            return [_run_read(row) for row in connection.execute(query).all()]

    def ran(self, task_id: str, start: datetime, end: datetime) -> set[datetime]:
        """Return the occurrences in ``[start, end]`` that have a run which started, or will."""
        query = select(runs.c.scheduled_for).where(
            runs.c.task_id == task_id,
            runs.c.scheduled_for >= start,
            runs.c.scheduled_for <= end,
            runs.c.cause.in_([Cause.SCHEDULE, Cause.CATCH_UP, Cause.BACKFILL]),
            runs.c.state.not_in([RunState.SKIPPED, RunState.MISSED]),
        )
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def is_heard(self, now: datetime) -> bool:
        """Tell whether a container is alive that follows orders."""
        living = select(nodes.c.id).where(
            nodes.c.state == "alive", nodes.c.lease_until > lease_time(now)
        )
        with self._database.read() as connection:
            return connection.execute(living.limit(1)).first() is not None

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Give one state of the whole ledger, while it is in use."""
        with self._database.read() as connection:
            yield Snapshot(connection)

    def liveness(self) -> Liveness:
        """Return what is alive around the ledger."""
        with self._database.read() as connection:
            return _liveness(connection)

    def nodes(self) -> list[NodeRead]:
        """Return the nodes that are known, the latest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(nodes).order_by(nodes.c.started_at.desc())).mappings()
            return [NodeRead.model_validate(dict(row)) for row in rows]

    def plugins(self) -> list[PluginRead]:
        """Return the plugins as the last start of a container found them."""
        with self._database.read() as connection:
            rows = connection.execute(select(plugins).order_by(plugins.c.name)).mappings()
            return [PluginRead.model_validate(dict(row)) for row in rows]

    def quarantined(self) -> tuple[str, ...]:
        """Return the tasks of which nothing starts because they crashed, by id."""
        query = select(tasks.c.id).where(tasks.c.quarantined, tasks.c.removed.is_(False))
        with self._database.read() as connection:
            return tuple(connection.execute(query.order_by(tasks.c.id)).scalars())

    def open_counts(self) -> tuple[int, int]:
        """Return how many runs wait and how many are running."""
        running = func.coalesce(func.sum(case((IS_RUNNING, 1), else_=0)), 0)
        with self._database.read() as connection:
            query = select(func.count(), running).select_from(runs).where(IS_OPEN)
            total, busy = connection.execute(query).one()
        return total - busy, busy

    def statistics(self, start: datetime, end: datetime) -> PeriodStatistics:
        """Return what the runs that started in ``[start, end)`` came to."""
        within = (runs.c.started_at >= start, runs.c.started_at < end)
        begun = type_coerce(runs.c.started_at, BigInteger)
        length = (type_coerce(runs.c.finished_at, BigInteger) - begun) / 1e6
        per_task = (
            select(
                runs.c.task_id,
                func.count().label("runs"),
                func.sum(case((runs.c.state == RunState.COMPLETED, 1), else_=0)).label("completed"),
                func.sum(case((runs.c.state == RunState.FAILED, 1), else_=0)).label("failed"),
                func.avg(length).label("average"),
                func.max(length).label("longest"),
            )
            .where(*within)
            .group_by(runs.c.task_id)
            .order_by(runs.c.task_id)
        )
        hour = (begun - to_micros(start)) // (_HOUR // timedelta(microseconds=1))
        per_hour = select(hour, func.count()).where(*within).group_by(hour)
        failing = select(*_SHOWN).where(*within, runs.c.state == RunState.FAILED)
        failing = failing.order_by(runs.c.id.desc()).limit(100)
        with self._database.read() as connection:
            each = connection.execute(per_task).mappings().all()
            counts = dict(connection.execute(per_hour).all())
            failures = connection.execute(failing).all()
        hours = range(max(1, -(-(end - start) // _HOUR)))
        return PeriodStatistics(
            start=start,
            end=end,
            tasks=tuple(TaskStatistics.model_validate(dict(row)) for row in each),
            hours=tuple(counts.get(number, 0) for number in hours),
            failures=tuple(_run_read(row) for row in failures),
        )


def _liveness(connection: Connection) -> Liveness:
    living = select(nodes.c.id, nodes.c.timed).where(nodes.c.state == "alive")
    timed = {row.id: row.timed for row in connection.execute(living)}
    if not timed:
        return Liveness(unbound=frozenset(), timed=True)
    alive = sorted(timed)
    held = exists().where(bindings.c.node.in_(alive), bindings.c.task_id == tasks.c.id)
    elsewhere = tasks.c.node.not_in(alive)  # most were bound last by a node that lives
    loose = connection.execute(select(tasks.c.id).where(elsewhere, ~held)).scalars()
    return Liveness(unbound=frozenset(loose), timed=any(timed.values()))


def _run_read(row: Sequence[Any], tries: tuple[AttemptRead, ...] = ()) -> RunRead:
    """Return what *row*, which holds the columns of ``_SHOWN``, says of a run."""
    run = dict(zip(_NAMES, row, strict=True))
    run["cause"], run["state"] = CAUSES[run["cause"]], STATES[run["state"]]
    run["reason"], run["attempts"] = REASONS[run["reason"]], tries
    return RunRead.vouched(run, _FIELDS)


def _busiest(states: Sequence[tuple[str, str]]) -> dict[str, TaskState]:
    """Return what tasks with open runs are busy with; waiting for a worker is not busy."""
    busy: dict[str, TaskState] = {}
    for task_id, state in states:
        if state == RunState.RUNNING:
            busy[task_id] = TaskState.RUNNING
        elif state == RunState.RETRYING:
            busy.setdefault(task_id, TaskState.RETRYING)
    return busy
