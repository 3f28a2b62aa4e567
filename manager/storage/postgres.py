"""A database on a PostgreSQL server, shared by nodes on any number of machines."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.clock import SystemClock
from manager.storage.addresses import label_of
from manager.storage.faults import CommitFault
from manager.storage.gate import LONGEST
from manager.storage.migration import checked_version, migrate, require_newest
from manager.storage.server import PostgresServer, link_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL, Connection

    from manager.storage.links import BoundedLink

T = TypeVar("T")
_CALL: Final = 10.0
"""Seconds after which a whole transaction is given up."""
_GLANCE: Final = timedelta(milliseconds=100)
_BEGIN: Final = "BEGIN; SELECT pg_catalog.pg_current_xact_id()::text"
_FATE: Final = "SELECT pg_catalog.pg_xact_status(%s::xid8)"
_END_OLD: Final = (
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity"
    " WHERE pid = %s AND backend_start::text = %s"
)
_SELF: Final = (
    "SELECT pid, backend_start::text FROM pg_catalog.pg_stat_activity"
    " WHERE pid = pg_catalog.pg_backend_pid()"
)


class _LostError(Exception):
    """The connection broke, and nothing was written."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


class PostgresBackend:
    """Connections to one database of a server.

    The writing connection is opened anew when it broke. What was cut off before its commit is
    begun again; after a commit whose answer was lost, the server is asked what became of it.

    Args:
        address: Its URL.
        pool: How many readers, and how long to wait for one.
        echo: Whether every statement is logged, with its values.
    """

    path = None
    is_in_memory = False
    log_bytes = 0
    pause = LONGEST

    def __init__(self, address: URL, pool: dict[str, Any], *, echo: bool) -> None:
        self.label = label_of(address)
        self._pool = pool
        self._server = PostgresServer(address, self.label, echo=echo)
        self._clock = SystemClock()
        self._readers: Engine | None = None
        self._writers: Engine | None = None
        self._writer: Connection | None = None
        self._is_patient = False
        self._former: tuple[int, str] | None = None
        self._lock = threading.RLock()

    @property
    def is_open(self) -> tuple[bool, bool]:
        """Whether it can be read, and written."""
        return self._readers is not None, self._writers is not None

    def open(self) -> None:
        """Make the tables, or bring them up to date where needed.

        Raises:
            LedgerError: it cannot serve; it is as it was.
        """
        if self._writers is not None:
            return
        with self._server.opening() as connection:
            migrate(connection, self.label)
        self._readers = self._server.readers(self._pool)
        self._writers = self._server.writers()

    def open_reading(self) -> bool:
        """Open what exists for reading alone; tell whether there is one.

        Raises:
            LedgerError: it cannot serve, or its schema is older than this release reads.
        """
        with self._server.opening() as connection:
            version = checked_version(connection, self.label)
        if version is None:
            return False
        require_newest(version, self.label)
        self._readers, self._is_patient = self._server.readers(self._pool, patient=True), True
        return True

    def close(self) -> None:
        """Close every connection; calling it again is harmless."""
        with self._lock:
            self._drop()
            for engine in (self._readers, self._writers):
                if engine is not None:
                    engine.dispose()
            self._readers = self._writers = self._former = None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction; return its value once it is committed.

        Raises:
            CommitFault: the server could not be asked what became of it.
        """
        until = self._clock.monotonic() + _CALL
        with self._lock:
            while True:
                try:
                    return self._written(work, until)
                except _LostError as lost:
                    if self._clock.monotonic() + _CALL / 2 > until:
                        raise lost.error from lost

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state."""
        if self._readers is None:
            raise AssertionError
        with self._readers.connect() as connection:
            link = link_of(connection)
            link.until = None if self._is_patient else self._clock.monotonic() + _CALL
            try:
                yield connection
            except psycopg.Error as error:  # of a statement in the driver's own words
                broken = link.closed or link.broken
                if broken:
                    connection.invalidate()
                raise wrapped(error, broken=broken) from error
            finally:
                link.until = None

    def _written(self, work: Callable[[Connection], T], until: float) -> T:
        writer, link, number = self._begun(until)
        try:
            value = work(writer)
        except (psycopg.Error, SQLAlchemyError) as error:
            broken = self._undo(writer, link)
            fault = wrapped(error, broken=broken)
            if broken:
                raise _LostError(fault) from error
            raise fault from error
        except BaseException:
            self._undo(writer, link)
            raise
        try:
            said = link.execute("COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            broken = self._undo(writer, link)
            fault = wrapped(error, broken=broken)
            if not broken:
                raise fault from error
            if not self._is_committed(number, until, fault):
                raise _LostError(fault) from error
            return value
        self._undo(writer, link)
        if said != "COMMIT":
            text = "a statement failed and the work went on: it was rolled back"
            raise DBAPIError(None, None, psycopg.DatabaseError(text))
        return value

    def _begun(self, until: float) -> tuple[Connection, BoundedLink, str]:
        """Begin a transaction; return its number too. A connection that died idle is replaced."""
        if self._writer is not None:
            with suppress(psycopg.Error, SQLAlchemyError):
                link = link_of(self._writer)
                link.until = until
                with link.greeting():
                    return self._writer, link, _numbered(link)
            self._drop()
        writer = self._connected(until)
        link = link_of(writer)
        try:
            return writer, link, _numbered(link)
        except psycopg.Error as error:
            self._drop()
            raise wrapped(error, broken=True) from error

    def _connected(self, until: float) -> Connection:
        """Open the writing connection; end the one of before if the server still keeps it.

        It may hold locks: the server notices late that nobody is there any more.
        """
        if self._writers is None:
            raise AssertionError
        writer = self._writers.connect()
        try:
            link = link_of(writer)
            link.until = until
            if self._former is not None:
                link.execute(_END_OLD, self._former)
            self._former = link.execute(_SELF).fetchone()
        except psycopg.Error as error:
            writer.close()
            raise wrapped(error, broken=True) from error
        self._writer = writer
        return writer

    def _is_committed(self, number: str, until: float, fault: Exception) -> bool:
        """Ask the server what became of the transaction *number*, until the call has to end."""
        never = threading.Event()
        while self._clock.monotonic() < until:
            with suppress(psycopg.Error, SQLAlchemyError):
                link = link_of(self._writer or self._connected(until))
                link.until = until
                row = link.execute(_FATE, [number]).fetchone()
                if row is not None and row[0] != "in progress":
                    return bool(row[0] == "committed")
                self._clock.wait(never, _GLANCE)
                continue
            self._drop()
            self._clock.wait(never, _GLANCE)
        raise CommitFault(fault)

    def _undo(self, writer: Connection, link: BoundedLink) -> bool:
        """End what is left of a transaction; tell whether the connection is gone."""
        with suppress(psycopg.Error, SQLAlchemyError):
            if link.info.transaction_status != TransactionStatus.IDLE:
                link.execute("ROLLBACK", prepare=False)
            if writer.in_transaction():  # it takes what joined for its own
                writer.rollback()
        if link.closed or link.broken or writer.invalidated:
            self._drop()
            return True
        link.until = None
        return False

    def _drop(self) -> None:
        """Let go of a writing connection that is gone; those of readers may be too."""
        writer, self._writer = self._writer, None
        if writer is not None and self._readers is not None:
            self._readers.dispose()
        if writer is not None:
            with suppress(psycopg.Error, SQLAlchemyError):
                writer.invalidate()
            with suppress(psycopg.Error, SQLAlchemyError):
                writer.close()


def _numbered(link: BoundedLink) -> str:
    """Begin a transaction and return its number, by which the server can be asked about it."""
    cursor = link.execute(_BEGIN, prepare=False)
    cursor.nextset()
    row = cursor.fetchone()
    if row is None:
        raise AssertionError
    return str(row[0])
