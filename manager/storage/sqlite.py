"""A SQLite file: opened with care, written by one connection, read by others."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from core.errors import LedgerError
from loggers import get_logger
from manager.storage.addresses import label_of
from manager.storage.faults import CommitFault
from manager.storage.migration import fill, migrate, require_newest, stored_version
from manager.storage.prepared import driver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import URL, Connection

    from manager.storage.prepared import Driver

T = TypeVar("T")
_log = get_logger("taskrack.sql")
_MAGIC: Final = b"SQLite format 3\x00"
_BUSY_MS: Final = 5_000
_WRITE: Final = "BEGIN IMMEDIATE"
_SYNCHRONOUS: Final = {"full": "FULL", "normal": "NORMAL"}


class SqliteBackend:
    """Connections to one SQLite file, or to one in memory.

    Args:
        address: Its URL.
        synchronous: ``full`` survives a power cut, ``normal`` a process crash.
        pool: How many readers, and how long to wait for one.
        echo: Whether every statement is logged, with its values.
    """

    def __init__(self, address: URL, synchronous: str, pool: dict[str, Any], *, echo: bool) -> None:
        self._url = address
        self.label = label_of(address)
        self._synchronous = _SYNCHRONOUS[synchronous]
        self._pool = pool
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

    @property
    def is_open(self) -> tuple[bool, bool]:
        """Whether it can be read, and written."""
        return self._readers is not None, self._writer is not None

    def open(self) -> None:
        """Open the file, creating or migrating it where needed.

        Raises:
            LedgerError: it cannot serve; it is as it was.
        """
        if self._writer is not None:
            return
        if self.path is not None:
            _inspect(self.path, self.label)
        self._writers = self._engine(writes=True)
        self._readers = self._writers if self.path is None else self._engine(writes=False)
        self._writer = self._writers.connect()
        if self.path is None:
            fill(driver_of(self._writer))
        migrate(self._writer, self.label)

    def open_reading(self) -> bool:
        """Open a file that exists for reading alone; tell whether there is one.

        Raises:
            LedgerError: it cannot serve, or its schema is older than this release reads.
        """
        if self.path is None:
            return False
        version = _inspect(self.path, self.label)
        if version is None:
            return False
        require_newest(version, self.label)
        self._readers = self._engine(writes=False)
        return True

    def close(self) -> None:
        """Close every connection; calling it again is harmless."""
        if self._writer is not None:
            self._writer.close()
        for engine in (self._readers, self._writers):
            if engine is not None:
                engine.dispose()
        self._writer = self._readers = self._writers = None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction of the one writing connection; return its value."""
        if self._writer is None:
            raise AssertionError
        with self._memory_lock:
            return _committed(self._writer, work)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state."""
        if self._readers is None:
            raise AssertionError
        if self.path is None:
            with self._memory_lock, self._readers.connect() as connection:
                yield connection
        else:
            with self._readers.connect() as connection:
                yield connection

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
            joins = connection is self._writer and driver.in_transaction  # type: ignore[attr-defined]
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
        _commit(driver)
    except BaseException:
        driver.rollback()
        raise
    finally:
        if writer.in_transaction():  # it takes what joined for its own
            writer.rollback()
    return value


def _commit(driver: Driver) -> None:
    try:
        driver.commit()
    except sqlite3.Error as error:
        raise CommitFault(error) from error


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
