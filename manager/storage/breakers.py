"""Circuit breakers in the ledger, where all nodes share them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, and_, bindparam, delete, exists, insert, select, update

from core.breaking import CircuitBreaker, Turned
from core.run import Cause, Reason, RunState
from manager.storage.prepared import Prepared, driver_of
from manager.storage.tables import IS_WAITING, breakers, runs, tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Connection

    from core.records import Ending
    from core.run import Run

_FAILURES: Final = frozenset({Reason.EXCEPTION, Reason.TIMEOUT})
_TRYING: Final = exists().where(
    runs.c.id == breakers.c.trial_run, runs.c.state == RunState.RUNNING.value
)
_BREAKERS: Final = select(breakers, _TRYING.label("trying"))
_OPEN: Final = _BREAKERS.where(breakers.c.trial_at.is_not(None)).order_by(breakers.c.subject)
_ANY: Final = Prepared(select(breakers.c.subject).where(breakers.c.trial_at.is_not(None)))
_ONE: Final = _BREAKERS.where(breakers.c.subject == bindparam("name")).with_for_update(of=breakers)
_TRY: Final = (
    update(breakers)
    .where(
        breakers.c.subject == bindparam("name"),
        breakers.c.trial_run.is_not_distinct_from(bindparam("before", type_=Text)),
        breakers.c.trial_at.is_not(None),
    )
    .values(trial_run=bindparam("run"))
)
_MAKE: Final = Prepared(insert(breakers), breakers.c.keys(), ending="ON CONFLICT DO NOTHING")


def open_breakers(connection: Connection) -> list[CircuitBreaker]:
    """Return the breakers that keep runs back."""
    if _ANY.run(driver_of(connection), {}).fetchone() is None:
        return []  # as nearly always, so this is asked in the words of the driver
    return [_breaker_of(row) for row in connection.execute(_OPEN).mappings()]


def hear(connection: Connection, endings: Sequence[Ending]) -> list[Turned]:
    """Let the breakers of attempts that ended hear of them; return those that turned.

    What waits for one that opens waits until its trial, what waited for one that closes may start.
    """
    turned: list[Turned] = []
    heard = [(guard, each) for each in endings for guard in each.guards if _tells(each.run)]
    for guard, ending in sorted(heard, key=lambda pair: pair[0].subject):
        run, failed = ending.run, ending.run.reason in _FAILURES
        at = run.finished_at or run.not_before
        at = at if ending.attempt is None else ending.attempt.finished_at
        before = _breaker(connection, guard.subject, make=failed)
        after = before.failed(run.id, guard.policy, at) if failed else before.succeeded(run.id)
        if after != before:
            _store(connection, after)
        if after.trial_at != before.trial_at:
            turned.append(Turned(before, after, at))
            if after.trial_at is None:
                let_go(connection, after.subject, at)
            else:
                hold_back(connection, after)
    return turned


def hold_back(connection: Connection, breaker: CircuitBreaker) -> None:
    """Let what waits wait until the trial instant; what somebody asked for by hand may try."""
    waits = (
        IS_WAITING,
        _is_of(breaker.subject),
        ~and_(runs.c.cause == Cause.MANUAL.value, runs.c.state == RunState.PENDING.value),
        runs.c.not_before < breaker.trial_at,
    )
    _move(connection, waits, not_before=breaker.trial_at, reason=Reason.BREAKER.value)


def let_go(connection: Connection, subject: str, now: datetime) -> None:
    """Let what waited for a breaker wait no longer."""
    waits = (IS_WAITING, _is_of(subject), runs.c.reason == Reason.BREAKER.value)
    _move(connection, waits, not_before=now, reason=None)


def close(connection: Connection, subjects: Sequence[str], now: datetime) -> None:
    """Close breakers because somebody says so."""
    connection.execute(delete(breakers).where(breakers.c.subject.in_(subjects)))
    for subject in subjects:
        let_go(connection, subject, now)


def begin_trial(connection: Connection, breaker: CircuitBreaker, run_id: str) -> bool:
    """Take note of the run that tries; tell whether no other node did so meanwhile."""
    values = {"name": breaker.subject, "before": breaker.trial_run, "run": run_id}
    return connection.execute(_TRY, values).rowcount == 1


def _move(connection: Connection, waits: Sequence[ColumnElement[bool]], **values: object) -> None:
    """Change runs that wait; those that another node moves at this moment are left to it."""
    free = select(runs.c.id).where(*waits).with_for_update(skip_locked=True)
    connection.execute(update(runs).where(runs.c.id.in_(free)).values(values))


def tasks_under(connection: Connection, subject: str) -> set[str]:
    """Return the tasks that a breaker keeps back."""
    kind, _, name = subject.partition(":")
    if kind == "task":
        return {name}
    return set(connection.execute(select(tasks.c.id).where(tasks.c.plugin == name)).scalars())


def _is_of(subject: str) -> ColumnElement[bool]:
    kind, _, name = subject.partition(":")
    if kind == "task":
        return runs.c.task_id == name
    return runs.c.task_id.in_(select(tasks.c.id).where(tasks.c.plugin == name))


def _tells(run: Run) -> bool:
    return run.reason in _FAILURES or run.state is RunState.COMPLETED


def _breaker(connection: Connection, subject: str, *, make: bool) -> CircuitBreaker:
    """Return a breaker, locked until the end of the transaction; one that is not there is closed.

    Args:
        connection: Inside a transaction.
        subject: Whose it is.
        make: Whether to make its row, so that two nodes count one after the other.
    """
    row = connection.execute(_ONE, {"name": subject}).mappings().one_or_none()
    if row is None and make:
        values = dict.fromkeys(breakers.c.keys()) | {"subject": subject, "failures": 0, "pause": 0}
        _MAKE.run(driver_of(connection), values)
        row = connection.execute(_ONE, {"name": subject}).mappings().one()
    return CircuitBreaker(subject=subject) if row is None else _breaker_of(row)


def _store(connection: Connection, breaker: CircuitBreaker) -> None:
    if breaker == CircuitBreaker(subject=breaker.subject):
        connection.execute(delete(breakers).where(breakers.c.subject == breaker.subject))
        return
    values = {
        "failures": breaker.failures,
        "opened_at": breaker.opened_at,
        "trial_at": breaker.trial_at,
        "pause": breaker.pause.total_seconds(),
        "trial_run": breaker.trial_run,
    }
    connection.execute(update(breakers).where(breakers.c.subject == breaker.subject).values(values))


def _breaker_of(row: Mapping[Any, Any]) -> CircuitBreaker:
    return CircuitBreaker(
        subject=row["subject"],
        failures=row["failures"],
        opened_at=row["opened_at"],
        trial_at=row["trial_at"],
        pause=timedelta(seconds=row["pause"]),
        trial_run=row["trial_run"],
        trying=bool(row["trying"]),
    )
