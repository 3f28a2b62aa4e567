"""The history held against what always holds of it: one statement for each way to break it.

Every statement is plain SQL that reads each table at most once or twice, so that a million runs
take seconds, and returns only what is broken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, and_, case, exists, func, or_, select, type_coerce

from core.invariants import CLAIMED, FENCED, FINAL, NO_GAP, ONCE, ONE_ROW, ROOM, TOKENS, TRIES
from core.policy import Delivery
from core.run import OPEN_STATES, Cause, Reason, RunState
from manager.storage.tables import IS_OPEN, IS_RUNNING, attempts, runs, tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.elements import ColumnElement

    from core.invariants import Invariant

MOST: Final = 1_000
"""So many breaches of one kind are looked for."""
HEARD: Final = timedelta(seconds=30)
"""After so long every node that lives has heard of a change."""
TIMED: Final = (Cause.SCHEDULE.value, Cause.CATCH_UP.value)
_STATES: Final = tuple(state.value for state in RunState)
_OPEN: Final = tuple(sorted(state.value for state in OPEN_STATES))
_STARTED: Final = tuple(
    state.value for state in (RunState.RUNNING, RunState.COMPLETED, RunState.FAILED, RunState.LOST)
)
_DROPPED: Final = (RunState.SKIPPED.value, RunState.MISSED.value)
_TRIED: Final = tuple(each for each in _STATES if each not in {*_DROPPED, "running"})
_CRASHED: Final = (Reason.CRASH.value, Reason.INTERRUPTED.value)
_WHO: Final = (runs.c.id, runs.c.task_id)
_SHAPE: Final = (
    "state", "attempt", "token", "node", "scheduled_for", "created_at", "started_at", "finished_at",
)  # fmt: skip
_ENDED: Final = runs.c.finished_at.is_not(None)
_BADLY_ENDED: Final = or_(
    and_(runs.c.state.in_(_OPEN), _ENDED),
    and_(runs.c.state.not_in(_OPEN), ~_ENDED),
    runs.c.state.not_in(_STATES),
)
"""A final state has an end, no other state has; every state is one of the nine."""
_NEVER: Final = or_(runs.c.attempt < 1, runs.c.token < 1, runs.c.started_at.is_(None))
_BADLY_CLAIMED: Final = or_(
    and_(runs.c.state.in_(_STARTED), _NEVER),
    and_(IS_RUNNING, runs.c.node.is_(None)),
    and_(runs.c.state.in_(_DROPPED), runs.c.attempt > 0),
)
"""What runs or ran was claimed; what was dropped never was."""
_EARLY: Final = and_(runs.c.cause.in_(TIMED), runs.c.created_at < runs.c.scheduled_for)
"""Nothing is decided before its time."""


@dataclass(frozen=True, slots=True)
class Breach:
    """Something that can never be, and is."""

    invariant: Invariant
    task_id: str
    run_id: str | None
    expected: str
    found: str


def breaches(connection: Connection) -> Iterator[Breach]:
    """Yield what a look at runs and attempts alone finds, at most a thousand of each kind."""
    yield from _twice(connection)
    yield from _misshapen(connection)
    yield from _overwritten(connection)
    yield from _fallen(connection)
    yield from _uncounted(connection)
    yield from _again(connection)
    yield from _crowded(connection)
    yield from _tireless(connection)
    yield from _unfenced(connection)


def _twice(connection: Connection) -> Iterator[Breach]:
    key = (runs.c.task_id, runs.c.fire_key)
    query = select(*key, func.count()).group_by(*key).having(func.count() > 1)
    for task_id, fire_key, count in connection.execute(query.limit(MOST)):
        yield Breach(ONE_ROW, task_id, None, f"one row for {fire_key}", f"{count} rows")


def _misshapen(connection: Connection) -> Iterator[Breach]:
    """Yield rows that no statement of ours can have left so; found in one pass over all runs."""
    columns = (*_WHO, *(runs.c[name] for name in _SHAPE))
    wrong = or_(_BADLY_ENDED, _BADLY_CLAIMED, _EARLY, runs.c.token < runs.c.attempt)
    flags = (_BADLY_ENDED, _BADLY_CLAIMED, _EARLY)
    query = select(*columns, *(case((each, 1), else_=0) for each in flags))
    for row in connection.execute(query.where(wrong).limit(MOST)):
        who, (ended, claimed, early) = (row.task_id, row.id), row[-len(flags) :]
        claim = f"attempt {row.attempt}, token {row.token}, node {row.node}"
        if ended:
            expected = "no end" if row.state in _OPEN else "a final state with its end"
            yield Breach(FINAL, *who, expected, f"{row.state}, ended {_at(row.finished_at)}")
        if claimed:
            expected = "no attempt" if row.state in _DROPPED else "a claim, with node and start"
            yield Breach(CLAIMED, *who, expected, f"{row.state} with {claim}")
        elif row.token < row.attempt:
            yield Breach(TOKENS, *who, f"a token of {row.attempt} or more", claim)
        if early:
            found = f"a row made at {row.created_at}"
            yield Breach(NO_GAP, *who, f"nothing before {row.scheduled_for}", found)


def _overwritten(connection: Connection) -> Iterator[Breach]:
    """What the last attempt came to is what the run says, to the microsecond."""
    told = case((runs.c.reason.is_(None), runs.c.state), else_=runs.c.reason)
    mine = and_(attempts.c.run_id == runs.c.id, attempts.c.token == runs.c.token)
    differs = or_(attempts.c.outcome != told, attempts.c.finished_at != runs.c.finished_at)
    judged = runs.c.state.in_([state for state in _STARTED if state != RunState.RUNNING])
    query = (
        select(*_WHO, runs.c.state, told, runs.c.finished_at, attempts.c.outcome,
               attempts.c.finished_at.label("then"))
        .select_from(attempts)
        .join(runs, mine)
        .where(judged, differs)
        .limit(MOST)
    )  # fmt: skip
    for run_id, task_id, state, reason, finished, outcome, then in connection.execute(query):
        expected = f"{outcome} at {_at(then)}, as its last attempt ended"
        found = f"{state} ({reason}) at {_at(finished)}"
        yield Breach(FINAL, task_id, run_id, expected, found)


def _fallen(connection: Connection) -> Iterator[Breach]:
    """Tokens rise with attempts, and none is above that of the run."""
    before = func.lag(attempts.c.number).over(
        partition_by=attempts.c.run_id, order_by=attempts.c.token
    )
    ordered = select(
        attempts.c.run_id, attempts.c.token, attempts.c.number, before.label("before")
    ).subquery()
    query = (
        select(*_WHO, runs.c.token, ordered.c.token, ordered.c.number)
        .select_from(ordered)
        .join(runs, runs.c.id == ordered.c.run_id)
        .where(or_(ordered.c.token > runs.c.token, ordered.c.number <= ordered.c.before))
        .limit(MOST)
    )
    for run_id, task_id, token, other, number in connection.execute(query):
        expected = f"attempts in the order of their tokens, none above {token}"
        yield Breach(TOKENS, task_id, run_id, expected, f"attempt {number} under token {other}")


def _uncounted(connection: Connection) -> Iterator[Breach]:
    """Each attempt before the last one has its row."""
    counted = (
        select(attempts.c.run_id, func.count().label("rows"))
        .join(runs, runs.c.id == attempts.c.run_id)
        .where(attempts.c.number < runs.c.attempt)
        .group_by(attempts.c.run_id)
        .subquery()
    )
    rows = func.coalesce(counted.c.rows, 0)
    query = (
        select(*_WHO, runs.c.attempt, rows)
        .outerjoin(counted, counted.c.run_id == runs.c.id)
        .where(runs.c.attempt > 1, rows != runs.c.attempt - 1)
        .limit(MOST)
    )
    for run_id, task_id, attempt, count in connection.execute(query):
        expected = f"a row for each of the {attempt - 1} attempts before the last"
        yield Breach(TOKENS, task_id, run_id, expected, f"{count} rows")


def _again(connection: Connection) -> Iterator[Breach]:
    """An attempt that a crash or a shutdown cut off is the last one, and its run is over."""
    once = [
        row.id
        for row in connection.execute(select(tasks.c.id, tasks.c.options))
        if (row.options or {}).get("delivery") == Delivery.AT_MOST_ONCE
    ]
    crashed = runs.c.crashes + runs.c.interruptions > 0
    later = exists().where(
        attempts.c.run_id == runs.c.id,
        attempts.c.outcome.in_(_CRASHED),
        attempts.c.number < runs.c.attempt,
    )
    for start in range(0, len(once), 500):
        query = (
            select(*_WHO, runs.c.state, runs.c.attempt)
            .join(tasks, tasks.c.id == runs.c.task_id)
            .where(runs.c.task_id.in_(once[start : start + 500]), crashed, _judged())
            .where(or_(IS_OPEN, later))
            .limit(MOST)
        )
        for run_id, task_id, state, attempt in connection.execute(query):
            found = f"{state} with attempt {attempt}"
            yield Breach(ONCE, task_id, run_id, "lost or cancelled, never started again", found)


def _crowded(connection: Connection) -> Iterator[Breach]:
    query = (
        select(tasks.c.id, tasks.c.options, func.count())
        .join(runs, runs.c.task_id == tasks.c.id)
        .where(IS_OPEN, IS_RUNNING, _judged())
        .group_by(tasks.c.id, tasks.c.options)
        .having(func.count() > 1)
    )
    for task_id, options, count in connection.execute(query):
        limit = _limit((options or {}).get("overlap", "skip"))
        if limit is not None and count > limit:
            yield Breach(ROOM, task_id, None, f"at most {limit} under way", f"{count}")


def _tireless(connection: Connection) -> Iterator[Breach]:
    failed = runs.c.attempt - runs.c.crashes - runs.c.interruptions
    query = (
        select(*_WHO, failed, tasks.c.max_retries)
        .join(tasks, tasks.c.id == runs.c.task_id)
        .where(failed > tasks.c.max_retries + 1, _judged())
        .limit(MOST)
    )
    for run_id, task_id, count, retries in connection.execute(query):
        yield Breach(TRIES, task_id, run_id, f"at most {retries + 1} that count", f"{count}")


def _unfenced(connection: Connection) -> Iterator[Breach]:
    """The outcome that a run shows was written under its own token."""
    simple = and_(runs.c.state == RunState.COMPLETED.value, runs.c.attempt == 1)
    ended = and_(runs.c.state.in_(_TRIED), runs.c.attempt > 0, ~simple)
    mine = exists().where(attempts.c.run_id == runs.c.id, attempts.c.token == runs.c.token)
    query = select(*_WHO, runs.c.state, runs.c.token).where(ended, ~mine).limit(MOST)
    for run_id, task_id, state, token in connection.execute(query):
        expected = f"a row for the attempt that ended under token {token}"
        yield Breach(FENCED, task_id, run_id, expected, f"{state} without one")


def _judged() -> ColumnElement[bool]:
    """Tell whether a run came after every node had heard of its task's rules as they stand."""
    margin = HEARD // timedelta(microseconds=1)
    since = type_coerce(tasks.c.unchanged_since, BigInteger)
    return type_coerce(runs.c.created_at, BigInteger) > since + margin


def _limit(overlap: Any) -> int | None:  # noqa: ANN401 - JSON is any
    """Return how many runs a stored overlap lets be under way; ``None`` is any number."""
    if isinstance(overlap, dict):
        most: int | None = overlap.get("allow")
        return 1 if most is None else most
    return None if overlap == "allow" else 1


def _at(instant: object) -> str:
    return "never" if instant is None else str(instant)
