"""A database: opened with care, written by one connection a process, read by others."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from core.errors import LedgerError
from loggers import get_logger
from manager.storage.addresses import address_of, label_of
from manager.storage.faults import FAULTS, CommitFault, judged, kind_of
from manager.storage.gate import Gate
from manager.storage.limits import within
from manager.storage.sqlite import SqliteBackend

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy.engine import URL, Connection

    from core.clock import Clock

T = TypeVar("T")
_log = get_logger("taskrack")
_CLOSING: Final = timedelta(seconds=0.5)


class Backend(Protocol):
    """One kind of database; what its driver raises passes through.

    Attributes:
        pause: One that failed is asked again after this at the latest.
    """

    label: str
    pause: timedelta

    @property
    def path(self) -> Path | None:
        """The file, where it is one."""
        ...

    @property
    def is_in_memory(self) -> bool:
        """Whether it ends with this process."""
        ...

    @property
    def log_bytes(self) -> int:
        """How long its write-ahead log is, where that is beside it; else 0."""
        ...

    @property
    def is_open(self) -> tuple[bool, bool]:
        """Whether it can be read, and written."""
        ...

    def open(self) -> None:
        """Open it, creating or migrating it where needed."""
        ...

    def open_reading(self) -> bool:
        """Open what exists for reading alone; tell whether there is one."""
        ...

    def close(self) -> None:
        """Close every connection; calling it again is harmless."""
        ...

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction; return its value once it is committed.

        Raises:
            CommitFault: the answer to the commit was a fault, so that it may have been written.
        """
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """Give a connection that sees one consistent state."""
        ...


class Database:
    """The database that a URL names, with its faults in words that say what to do.

    Args:
        url: SQLAlchemy URL.
        synchronous: SQLite: ``full`` survives a power cut, ``normal`` a process crash.
        pool_size: Readers kept open.
        max_overflow: Readers beyond that under load.
        pool_timeout: Seconds to wait for a reader.
        echo: Whether every statement is logged, with its values.
        clock: Paces how often a database that failed is asked; the machine's where ``None``.
        draw: Draws those pauses.

    Raises:
        LedgerError: the URL names nothing that can serve.
    """

    def __init__(  # noqa: PLR0913 - the keys of its section, and the time
        self,
        url: str,
        *,
        synchronous: str = "full",
        pool_size: int = 5,
        max_overflow: int = 10,
        pool_timeout: float = 30,
        echo: bool = False,
        clock: Clock | None = None,
        draw: random.Random | None = None,
    ) -> None:
        address = address_of(url)
        pool: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": max_overflow,
            "pool_timeout": pool_timeout,
        }
        self.backend: Backend
        if address.get_backend_name() == "sqlite":
            self.backend = SqliteBackend(address, synchronous, pool, echo=echo)
        else:
            self.backend = _postgres(address, pool, echo=echo)
        self.label = self.backend.label
        self.gate = Gate(self.label, clock, self.backend.pause, draw)

    @property
    def path(self) -> Path | None:
        """The file, or ``None`` for a database in memory or on a server."""
        return self.backend.path

    @property
    def log_bytes(self) -> int:
        """How long the write-ahead log is; 0 where there is none beside the database."""
        return self.backend.log_bytes

    @property
    def is_in_memory(self) -> bool:
        """Whether it ends with this process."""
        return self.backend.is_in_memory

    def open(self) -> None:
        """Open the database, creating or migrating it where needed.

        Raises:
            LedgerError: it cannot serve; it is as it was.
        """
        try:
            self.backend.open()
        except (*FAULTS, CommitFault) as error:
            self.backend.close()
            raise self._judged(error) from error
        except BaseException:
            self.backend.close()
            raise

    def open_reading(self) -> bool:
        """Open a database that exists for reading alone; tell whether there is one.

        Raises:
            LedgerError: it cannot serve, or its schema is older than this release reads.
        """
        try:
            return self.backend.open_reading()
        except FAULTS as error:
            raise self._judged(error) from error

    def close(self) -> None:
        """Close every connection; calling it again is harmless.

        One that is stuck in a call is left to its thread after half a second.
        """
        if self.is_in_memory or self.backend.is_open == (False, False):
            self.backend.close()
        elif not within(_CLOSING, self.backend.close, "taskrack-closing"):
            _log.warning("database %s: a call is stuck, its connection stays open", self.label)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction of the one writing connection; return its value.

        The caller sees to it that it is alone. *work* may be called again where the database
        says that this may do.

        Raises:
            UnknownOutcomeError: the answer to the commit was lost.
            LedgerError: the database did not take it; nothing was written.
        """
        if not self.backend.is_open[1]:
            raise self._closed()
        return self.gate.write(lambda: self.backend.write(work))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state.

        Raises:
            LedgerError: the database cannot be read.
        """
        if not self.backend.is_open[0]:
            raise self._closed()
        with self.gate.reading(), self.backend.read() as connection:
            yield connection

    def _closed(self) -> LedgerError:
        return LedgerError(self.label, "it is not open; start the container first")

    def _judged(self, error: Exception) -> LedgerError:
        committing = isinstance(error, CommitFault)
        cause = error.error if isinstance(error, CommitFault) else error
        return judged(self.label, cause, kind_of(cause, committing=committing))


def _postgres(address: URL, pool: dict[str, Any], *, echo: bool) -> Backend:
    try:
        from manager.storage.postgres import PostgresBackend  # noqa: PLC0415 - an extra
    except ImportError as error:
        said = str(error).splitlines()[0]
        text = f"its driver is missing: pip install 'taskrack[postgres]' ({said})"
        raise LedgerError(label_of(address), text) from None
    return PostgresBackend(address, pool, echo=echo)
