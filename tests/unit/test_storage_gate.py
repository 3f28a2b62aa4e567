"""The gate of the database: kinds of faults, and a breaker that asks rarely."""

from __future__ import annotations

import random
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import (
    LedgerBrokenError,
    LedgerError,
    LedgerUnavailableError,
    UnknownOutcomeError,
)
from manager.storage.faults import CommitFault, Kind, kind_of
from manager.storage.gate import Gate
from tests.engine_tools import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

FIVE = timedelta(seconds=5)


class StateError(Exception):
    """What a server's driver raises."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def of_sqlite(code: int, text: str = "oh") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


def lost_connection() -> OperationalError:
    return OperationalError("x", {}, Exception("gone"), connection_invalidated=True)


BUSY, FULL = of_sqlite(sqlite3.SQLITE_BUSY), of_sqlite(sqlite3.SQLITE_FULL)


@pytest.mark.parametrize(
    ("error", "kind", "at_commit"),
    [
        (BUSY, Kind.AWAY, Kind.AWAY),
        (of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), Kind.AWAY, Kind.AWAY),
        (FULL, Kind.AWAY, Kind.UNKNOWN),
        (of_sqlite(sqlite3.SQLITE_IOERR_FSYNC), Kind.AWAY, Kind.UNKNOWN),
        (of_sqlite(sqlite3.SQLITE_CORRUPT), Kind.BROKEN, Kind.BROKEN),
        (of_sqlite(sqlite3.SQLITE_NOTADB), Kind.BROKEN, Kind.BROKEN),
        (of_sqlite(sqlite3.SQLITE_READONLY), Kind.AWAY, Kind.AWAY),
        (of_sqlite(sqlite3.SQLITE_CANTOPEN), Kind.AWAY, Kind.AWAY),
        (of_sqlite(sqlite3.SQLITE_PROTOCOL), Kind.PASSING, Kind.PASSING),
        (of_sqlite(sqlite3.SQLITE_ERROR), Kind.OURS, Kind.OURS),
        (of_sqlite(sqlite3.SQLITE_CONSTRAINT_UNIQUE), Kind.OURS, Kind.OURS),
        (IntegrityError("x", {}, of_sqlite(sqlite3.SQLITE_CONSTRAINT)), Kind.OURS, Kind.OURS),
        (OperationalError("x", {}, FULL), Kind.AWAY, Kind.UNKNOWN),
        (PoolTimeoutError("no connection"), Kind.AWAY, Kind.UNKNOWN),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), Kind.AWAY, Kind.UNKNOWN),
        (sqlite3.ProgrammingError("wrong number of bindings"), Kind.OURS, Kind.OURS),
        (InvalidRequestError("ours"), Kind.OURS, Kind.OURS),
        (lost_connection(), Kind.AWAY, Kind.UNKNOWN),
        (StateError("40P01"), Kind.PASSING, Kind.PASSING),
        (StateError("55P03"), Kind.HELD, Kind.HELD),
        (StateError("40003"), Kind.UNKNOWN, Kind.UNKNOWN),
        (StateError("57P01"), Kind.AWAY, Kind.UNKNOWN),
        (StateError("08006"), Kind.AWAY, Kind.UNKNOWN),
        (StateError("53100"), Kind.AWAY, Kind.UNKNOWN),
        (StateError("23505"), Kind.OURS, Kind.OURS),
        (StateError("XX001"), Kind.BROKEN, Kind.BROKEN),
    ],
    ids=repr,
)
def test_every_fault_has_its_kind(error: Exception, kind: Kind, at_commit: Kind) -> None:
    """At a commit, what may have reached the disk or the server is unknown."""
    assert kind_of(error) is kind
    assert kind_of(error, committing=True) is at_commit


class Asked:
    """A database that raises *error* while it has one, and counts how often it is asked."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.times = 0
        self.clock = ManualClock()
        self.gate = Gate("db", self.clock, FIVE, random.Random(1))  # noqa: S311 - jitter

    def __call__(self) -> str:
        self.times += 1
        if self.error is not None:
            raise self.error
        return "done"

    def write(self) -> str:
        return self.gate.write(self)

    def pass_by(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


@pytest.fixture
def asked() -> Asked:
    return Asked()


def refused(call: Callable[[], object], kind: type[LedgerError]) -> None:
    with pytest.raises(LedgerError) as caught:
        call()
    assert type(caught.value) is kind


def test_a_database_that_is_away_is_asked_ever_more_rarely(asked: Asked) -> None:
    """The pauses grow to five seconds, each drawn anew; whoever asks between fails at once."""
    asked.error = BUSY
    refused(asked.write, LedgerUnavailableError)
    pauses: list[float] = []
    for _ in range(60):
        last, waited = asked.times, 0
        while asked.times == last:
            asked.pass_by(0.01)
            waited += 1
            refused(asked.write, LedgerUnavailableError)
        pauses.append(waited / 100)
    assert min(pauses) >= 0.1
    assert max(pauses) <= 5.02
    assert sum(pauses) / 60 > 1.5
    assert len({round(pause, 2) for pause in pauses}) > 20


def test_a_database_that_answers_again_is_open_to_all_at_once(asked: Asked) -> None:
    """One asks after the pause, and its success lets everybody pass."""
    asked.error = BUSY
    refused(asked.write, LedgerUnavailableError)
    assert asked.gate.trouble == "database db: oh"
    asked.error = None
    refused(asked.write, LedgerUnavailableError)
    assert asked.times == 1
    asked.pass_by(5)
    assert [asked.write(), asked.write()] == ["done", "done"]
    assert asked.gate.trouble is None
    assert asked.gate.writes.pause == timedelta(0)


def test_only_one_asks_whether_the_database_is_back(asked: Asked) -> None:
    """While that question is out everybody else fails at once; one that hangs is not for ever."""
    asked.error = BUSY
    refused(asked.write, LedgerUnavailableError)
    asked.pass_by(5)
    asked.gate.writes.admit()
    refused(asked.gate.writes.admit, LedgerUnavailableError)
    asked.pass_by(10)
    asked.gate.writes.admit()


def test_reads_go_on_while_writes_fail(asked: Asked) -> None:
    """Each has a breaker of its own."""
    asked.error = FULL
    refused(asked.write, LedgerUnavailableError)
    with asked.gate.reading():
        assert asked.gate.reads.trouble is None


def test_what_is_damaged_stays_told_as_damaged(asked: Asked) -> None:
    """Those who are refused without asking hear the same kind of error."""
    asked.error = of_sqlite(sqlite3.SQLITE_CORRUPT)
    refused(asked.write, LedgerBrokenError)
    refused(asked.write, LedgerBrokenError)
    assert asked.times == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (of_sqlite(sqlite3.SQLITE_CONSTRAINT), LedgerError),
        (DBAPIError("UPDATE", {}, StateError("55P03")), LedgerUnavailableError),
        (KeyError("a caller's own"), KeyError),
        (LedgerError("db", "a caller's own"), LedgerError),
    ],
    ids=repr,
)
def test_what_tells_nothing_about_the_database_closes_nothing(
    asked: Asked, error: BaseException, kind: type[Exception]
) -> None:
    """A faulty statement, another's lock, or an error of the caller's own, is no outage."""
    asked.error = error
    for _ in range(3):
        with pytest.raises(kind):
            asked.write()
    assert asked.times == 3
    assert asked.gate.trouble is None


def test_a_lost_answer_may_be_read_back_at_once_but_not_for_ever(asked: Asked) -> None:
    """The second in a row counts as a failure; those who are refused then wrote nothing."""
    asked.error = CommitFault(FULL)
    refused(asked.write, UnknownOutcomeError)
    assert asked.gate.trouble is None
    refused(asked.write, UnknownOutcomeError)
    assert asked.gate.trouble == "database db: oh"
    refused(asked.write, LedgerUnavailableError)
    assert asked.times == 2
    asked.error = None
    asked.pass_by(5)
    asked.write()
    asked.error = CommitFault(FULL)
    refused(asked.write, UnknownOutcomeError)
    assert asked.gate.trouble is None


def test_a_question_that_told_nothing_leaves_the_next_free_to_ask(asked: Asked) -> None:
    """A caller's own error while the database is away neither opens nor blocks the gate."""
    asked.error = BUSY
    refused(asked.write, LedgerUnavailableError)
    asked.pass_by(5)
    asked.error = KeyError("own")
    with pytest.raises(KeyError):
        asked.write()
    asked.error = None
    assert asked.write() == "done"


def test_what_passes_by_itself_is_asked_again_at_once(asked: Asked) -> None:
    """A deadlock is a matter of three tries; then it is told."""
    asked.error = of_sqlite(sqlite3.SQLITE_PROTOCOL)
    refused(asked.write, LedgerUnavailableError)
    assert asked.times == 3
    fresh = Asked()
    left = [of_sqlite(sqlite3.SQLITE_PROTOCOL)]

    def call() -> str:
        if left:
            raise left.pop()
        return fresh()

    assert fresh.gate.write(call) == "done"
    assert fresh.gate.trouble is None
