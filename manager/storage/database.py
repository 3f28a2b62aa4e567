"""A SQLite database: opened with care, written by one connection, read by others."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from configurations.masking import masked_url
from core.errors import LedgerError
from loggers import get_logger
from manager.storage.faults import explained
from manager.storage.migration import REVISIONS, fill, migrate, stored_version
from manager.storage.prepared import driver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import Connection

T = TypeVar("T")
_log = get_logger("taskrack.sql")
_MAGIC: Final = b"SQLite format 3\x00"
_FAULTS: Final = (SQLAlchemyError, sqlite3.Error)
_BUSY_MS: Final = 5_000
_WRITE: Final = "BEGIN IMMEDIATE"
_SYNCHRONOUS: Final = {"full": "FULL", "normal": "NORMAL"}


class Database:
    """Connections to one SQLite file, or to one in memory.

    Args:
        url: SQLAlchemy URL.
        synchronous: ``full`` survives a power cut, ``normal`` a process crash.
        pool_size: Readers kept open.
        max_overflow: Readers beyond that under load.
        pool_timeout: Seconds to wait for a reader.
        echo: Whether every statement is logged, with its values.
    """

    def __init__(
        self,
        url: str,
        *,
        synchronous: str = "full",
        pool_size: int = 5,
        max_overflow: int = 10,
        pool_timeout: float = 30,
        echo: bool = False,
    ) -> None:
        self._url = _parsed(url)
        self.label = masked_url(self._url.render_as_string(hide_password=True))
        self._synchronous = _SYNCHRONOUS[synchronous]
        self._pool = {
            "pool_size": pool_size,
            "max_overflow": max_overflow,
            "pool_timeout": pool_timeout,
        }
        self._echo = echo
        self._readers: Engine | None = None
        self._writers: Engine | None = None
        self._writer: Connection | None = None
        self._memory_lock = threading.RLock()

    @property
    def path(self) -> Path | None:
        """The file, or ``None`` for a database in memory."""
        name = self._url.database
        return Path(name) if name and name != ":memory:" else None

    def open(self) -> None:
        """Open the database, creating or migrating it where needed.

        Raises:
            LedgerError: it cannot serve; its file is as it was.
        """
        if self._writer is not None:
            return
        if self.path is not None:
            _inspect(self.path, self.label)
        try:
            self._connect()
        except _FAULTS as error:
            self.close()
            raise LedgerError(self.label, explained(error)) from error
        except BaseException:
            self.close()
            raise

    def open_reading(self) -> bool:
        """Open a database that exists for reading alone; tell whether there is one.

        Raises:
            LedgerError: it cannot serve, or its schema is older than this release reads.
        """
        if self.path is None:
            return False
        version = _inspect(self.path, self.label)
        if version is None:
            return False
        if version != REVISIONS[-1]:
            raise LedgerError(
                self.label, f"its schema is revision {version}; 'taskrack run' brings it up to date"
            )
        self._readers = self._engine(writes=False)
        return True

    def _connect(self) -> None:
        self._writers = self._engine(writes=True)
        self._readers = self._writers if self.path is None else self._engine(writes=False)
        self._writer = self._writers.connect()
        if self.path is None:
            fill(driver_of(self._writer))
        migrate(self._writer, self.label)

    def close(self) -> None:
        """Close every connection; calling it again is harmless."""
        if self._writer is not None:
            self._writer.close()
        for engine in (self._readers, self._writers):
            if engine is not None:
                engine.dispose()
        self._writer = self._readers = self._writers = None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction of the one writing connection; return its value.

        The caller sees to it that it is alone.

        Raises:
            LedgerError: the database did not take it; nothing was written.
        """
        if self._writer is None:
            raise LedgerError(self.label, "it is not open; start the container first")
        try:
            with self._memory_lock:
                return _committed(self._writer, work)
        except _FAULTS as error:
            raise LedgerError(self.label, explained(error)) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state.

        Raises:
            LedgerError: the database cannot be read.
        """
        if self._readers is None:
            raise LedgerError(self.label, "it is not open; start the container first")
        try:
            if self.path is None:
                with self._memory_lock, self._readers.connect() as connection:
                    yield connection
            else:
                with self._readers.connect() as connection:
                    yield connection
        except _FAULTS as error:
            raise LedgerError(self.label, explained(error)) from error

    def _engine(self, *, writes: bool) -> Engine:
        options: dict[str, Any] = {}
        if self.path is None:
            options |= {"poolclass": StaticPool}
        elif writes:
            options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
        else:
            options |= {"poolclass": QueuePool, **self._pool}
        options["connect_args"] = {"check_same_thread": False, "timeout": _BUSY_MS / 1000}
        engine = create_engine(self._url, **options)
        begin = _WRITE if writes else "BEGIN"

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own
            connection.isolation_level = None  # BEGIN is ours to write
            if writes:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            if self._echo:
                connection.set_trace_callback(partial(_log.info, "%s"))

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            driver = driver_of(connection)
            joins = connection is self._writer and driver.in_transaction
            if not joins:
                driver.execute(begin)

        return engine


def _committed(writer: Connection, work: Callable[[Connection], T]) -> T:
    """Begin and commit in the driver's words: SQLAlchemy's cost more than a small write.

    What *work* executes by SQLAlchemy joins the transaction.
    """
    driver = driver_of(writer)
    driver.execute(_WRITE)
    try:
        value = work(writer)
        driver.commit()
    except BaseException:
        driver.rollback()
        raise
    finally:
        if writer.in_transaction():  # it takes what joined for its own
            writer.rollback()
    return value


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerError("(unreadable)", "database.url is no URL, see docs/ledger.md") from None
    label = masked_url(parsed.render_as_string(hide_password=True))
    if parsed.get_backend_name() != "sqlite":
        raise LedgerError(label, "only SQLite is supported: use sqlite:///./taskrack.db")
    if parsed.query:
        raise LedgerError(label, "options in the URL are not supported; remove what follows '?'")
    return parsed


def _inspect(path: Path, label: str) -> str | None:
    """Refuse a file that is no database of ours; return the revision of one that is."""
    if path.is_dir():
        raise LedgerError(label, f"{path} is a folder; name a file in database.url")
    if not path.parent.is_dir():
        raise LedgerError(label, f"the folder {path.parent} does not exist; create it")
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(
            label, f"it cannot be read ({error.strerror}); check its rights"
        ) from error
    if head and head != _MAGIC:
        raise LedgerError(label, f"{path} is not a SQLite database; name another file")
    return stored_version(path, label) if head else None
