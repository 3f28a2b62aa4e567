"""A SQLite file: opened with care, written by one connection, read by others."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from core.clock import SystemClock
from loggers import get_logger
from manager.storage.addresses import label_of
from manager.storage.faults import FAULTS, CommitFault
from manager.storage.migration import fill, migrate, require_newest
from manager.storage.prepared import driver_of
from manager.storage.whereabouts import Whereabouts, check, inspected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import URL, Connection

    from manager.storage.prepared import Driver

T = TypeVar("T")
_log = get_logger("taskrack.sql")
_BUSY_MS: Final = 5_000
_LOG_BYTES: Final = 64 * 1024 * 1024
_WRITE: Final = "BEGIN IMMEDIATE"
_SYNCHRONOUS: Final = {"full": "FULL", "normal": "NORMAL"}


class SqliteBackend:
    """Connections to one SQLite file, or to one in memory.

    Args:
        address: Its URL.
        synchronous: ``full`` survives a power cut, ``normal`` a process crash.
        pool: How many readers, and how long to wait for one.
        echo: Whether every statement is logged, with its values.

    Attributes:
        pause: A file that failed is asked again after this at the latest; it costs little.
    """

    pause = timedelta(seconds=1.5)

    def __init__(self, address: URL, synchronous: str, pool: dict[str, Any], *, echo: bool) -> None:
        self._url = address
        self.label = label_of(address)
        self._synchronous = _SYNCHRONOUS[synchronous]
        self._pool = pool
        self._echo = echo
        self._readers: Engine | None = None
        self._writers: Engine | None = None
        self._writer: Connection | None = None
        self._file: Whereabouts | None = None
        self._memory_lock = threading.RLock()

    @property
    def path(self) -> Path | None:
        """The file, or ``None`` for a database in memory."""
        name = self._url.database
        return Path(name) if name and name != ":memory:" else None

    @property
    def is_in_memory(self) -> bool:
        """Whether it ends with this process."""
        return self.path is None

    @property
    def log_bytes(self) -> int:
        """How long the write-ahead log is; 0 where there is none."""
        if self.path is None:
            return 0
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

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
            inspected(self.path, self.label)
        self._writers = self._engine(writes=True)
        self._readers = self._writers if self.path is None else self._engine(writes=False)
        self._writer = self._writers.connect()
        if self.path is None:
            fill(driver_of(self._writer))
        migrate(self._writer, self.label)
        if self.path is not None:
            check(driver_of(self._writer), self.path.stat().st_size)
            self._file = Whereabouts(self.path, self.label)

    def open_reading(self) -> bool:
        """Open a file that exists for reading alone; tell whether there is one.

        Raises:
            LedgerError: it cannot serve, or its schema is older than this release reads.
        """
        if self.path is None:
            return False
        version = inspected(self.path, self.label)
        if version is None:
            return False
        require_newest(version, self.label)
        self._readers = self._engine(writes=False)
        return True

    def close(self) -> None:
        """Close every connection; calling it again is harmless."""
        writer, engines = self._writer, (self._readers, self._writers)
        self._writer = self._readers = self._writers = self._file = None
        with suppress(*FAULTS):
            if writer is not None:
                writer.close()
            for engine in engines:
                if engine is not None:
                    engine.dispose()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction of the one writing connection; return its value.

        Raises:
            LedgerBrokenError: the file is not the one that was opened.
        """
        writer, file = self._writer, self._file
        if writer is None:
            raise AssertionError
        if file is None:
            with self._memory_lock:
                return _committed(writer, work)
        file.check()
        return _committed(writer, work)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state.

        Raises:
            LedgerBrokenError: the file is not the one that was opened.
        """
        readers, file = self._readers, self._file
        if readers is None:
            raise AssertionError
        if self.path is None:
            with self._memory_lock, readers.connect() as connection:
                yield connection
        else:
            if file is not None:
                file.check()
            with readers.connect() as connection:
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
                _log_ahead(connection)
                connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
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
        with suppress(*FAULTS):  # what failed may have rolled back already
            driver.rollback()
        raise
    finally:
        if writer.in_transaction():  # it takes what joined for its own
            with suppress(*FAULTS):
                writer.rollback()
    return value


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite alone fails where several open a new file at once."""
    clock, never = SystemClock(), threading.Event()
    end = clock.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or clock.monotonic() > end:
                raise
            clock.wait(never, timedelta(milliseconds=10))
        else:
            return


def _commit(driver: Driver) -> None:
    try:
        driver.commit()
    except sqlite3.Error as error:
        raise CommitFault(error) from error
