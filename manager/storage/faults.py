"""What the database says is wrong: of which kind it is, and in words that say what to do."""

from __future__ import annotations

import sqlite3
from enum import Enum
from json import JSONDecodeError
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import (
    LedgerBrokenError,
    LedgerError,
    LedgerUnavailableError,
    UnknownOutcomeError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS: Final = (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError, JSONDecodeError, OverflowError)
"""What a driver or SQLAlchemy raises, also while it reads what a row holds."""


class Kind(Enum):
    """What a fault of the database means for whoever asked.

    ``PASSING``: nothing was written, and asking again at once may do. ``AWAY``: nothing was
    written, the database does not serve for now. ``HELD``: nothing was written, another session
    keeps what is asked for, and the database is well. ``UNKNOWN``: it was written or not.
    ``BROKEN``: nothing was written, and somebody has to mend it. ``OURS``: the statement or its
    values are at fault, the database is well.
    """

    PASSING = "passing"
    AWAY = "away"
    HELD = "held"
    UNKNOWN = "unknown"
    BROKEN = "broken"
    OURS = "ours"


_SQLITE: Final[Mapping[int, Kind]] = {
    sqlite3.SQLITE_INTERNAL: Kind.BROKEN,
    sqlite3.SQLITE_PERM: Kind.AWAY,
    sqlite3.SQLITE_ABORT: Kind.AWAY,
    sqlite3.SQLITE_BUSY: Kind.AWAY,  # the busy timeout was the repetition
    sqlite3.SQLITE_LOCKED: Kind.AWAY,
    sqlite3.SQLITE_NOMEM: Kind.AWAY,
    sqlite3.SQLITE_READONLY: Kind.AWAY,
    sqlite3.SQLITE_INTERRUPT: Kind.AWAY,
    sqlite3.SQLITE_IOERR: Kind.AWAY,
    sqlite3.SQLITE_CORRUPT: Kind.BROKEN,
    sqlite3.SQLITE_FULL: Kind.AWAY,
    sqlite3.SQLITE_CANTOPEN: Kind.AWAY,
    sqlite3.SQLITE_PROTOCOL: Kind.PASSING,
    sqlite3.SQLITE_SCHEMA: Kind.PASSING,
    sqlite3.SQLITE_NOTADB: Kind.BROKEN,
}
"""By primary result code; what is not here is a fault of the statement or its values."""
_SQLSTATES: Final[Mapping[str, Kind]] = {
    "08": Kind.AWAY,  # connection exceptions
    "25006": Kind.AWAY,  # read-only: a standby, or a server that is being mended
    "25P03": Kind.AWAY,  # its session stood still inside a transaction, and was ended
    "40": Kind.PASSING,  # rolled back: deadlock, serialisation failure
    "40003": Kind.UNKNOWN,  # statement completion unknown
    "53": Kind.AWAY,  # no disk, no memory, too many connections
    "55P03": Kind.HELD,  # lock not available within its time
    "57": Kind.AWAY,  # shutdown, cancelled by a time limit
    "58": Kind.AWAY,  # faults of the system under the server
    "XX": Kind.BROKEN,  # internal error, damaged data or index
}
"""By SQLSTATE, or by its class; what is not here is a fault of the statement."""
_SAID: Final[Mapping[str, str]] = {
    "08": "the connection broke; check the network and the server",
    "25006": "it takes no writes: it is a standby or set read-only; name the primary",
    "25P03": "this process stood still in the middle of a transaction, which was ended",
    "28": "it does not let this user in; check user, password and pg_hba.conf",
    "3D000": "there is no such database; create it",
    "40": "another node wrote the same at that moment",
    "42501": "its user may not do this; grant the rights on the schema",
    "53100": "the server's disk is full; make room",
    "53200": "the server is out of memory",
    "53300": "the server takes no more connections; raise max_connections, or lower pool_size",
    "55P03": "another session holds a lock for too long",
    "57014": "it took longer than its time limit",
    "57P01": "the server was shut down; start it",
    "57P02": "the server crashed; it restarts, or start it",
    "57P03": "the server is starting up or shutting down; wait",
    "57P05": "the server ended an idle connection",
    "XX001": "the server found damaged data; restore a backup",
    "XX002": "the server found a damaged index; reindex, or restore a backup",
}
"""What to do, by SQLSTATE; the longest prefix wins."""
_UNDECIDED: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT}
)
"""At a commit these leave open whether a recovery of the journal will find it."""
_HINTS: Final = (
    ("readonly", "it is read-only; make the file and its folder writable"),
    ("unable to open", "it cannot be opened; check that its folder exists and is writable"),
    ("locked", "another process holds it locked; stop that process, or wait"),
    ("malformed", "the file is damaged; restore a backup, or move it away to start anew"),
    ("not a database", "the file is not a SQLite database; name another file"),
    ("codec can't decode", "the file is damaged; restore a backup, or move it away to start anew"),
    ("full", "the disk is full; make room"),
    ("disk i/o", "the disk failed; check it"),
    ("connection refused", "the server cannot be reached; start it, or check host and port"),
    ("timeout expired", "the server cannot be reached; check host, port and network"),
    ("resolve host", "there is no such host; check the host in database.url"),
    ("translate host", "there is no such host; check the host in database.url"),
    ("password authentication", _SAID["28"]),
    ("no password supplied", _SAID["28"]),
    ("connection reset", _SAID["08"]),
    ("connection is bad", "the server cannot be reached; check host, port and network"),
    ("does not exist", "the server does not know it; check user and database in database.url"),
    ("starting up", _SAID["57P03"]),
    ("shutting down", _SAID["57P03"]),
    ("too many clients", _SAID["53300"]),
    ("terminated abnormally", _SAID["08"]),
    ("closed the connection", _SAID["08"]),
    ("gave no answer in time", "the connection leads nowhere; check the network and the server"),
    ("invalid connection option", "database.url has an option that PostgreSQL does not know"),
)


NOT_KNOWN: Final = "; whether it was written is not known"
UNREADABLE: Final = "a row holds what none of ours wrote: the file is damaged; restore a backup"


class CommitFault(Exception):  # noqa: N818 - it never leaves this package
    """What the driver raised in answer to a commit."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(str(error))


def damaged(said: str) -> sqlite3.DatabaseError:
    """Return what SQLite would raise, had it looked at what we found."""
    error = sqlite3.DatabaseError(f"database disk image is malformed: {said}")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def kind_of(error: Exception, *, committing: bool = False) -> Kind:
    """Return what *error* of the driver or of SQLAlchemy means.

    Args:
        error: What was raised.
        committing: Whether it was the answer to a commit.
    """
    if isinstance(error, UnicodeDecodeError | JSONDecodeError | OverflowError):
        return Kind.BROKEN
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    state: str | None = getattr(cause, "sqlstate", None)
    if code is not None:
        lost = committing and code & 0xFF in _UNDECIDED
        return Kind.UNKNOWN if lost else _SQLITE.get(code & 0xFF, Kind.OURS)
    if state:
        kind = _SQLSTATES.get(state, _SQLSTATES.get(state[:2], Kind.OURS))
    elif _is_unconnected(error, cause):
        kind = Kind.AWAY
    else:
        kind = Kind.OURS
    return Kind.UNKNOWN if committing and kind is Kind.AWAY else kind


def _is_unconnected(error: Exception, cause: BaseException | None) -> bool:
    """Tell whether there was nobody to answer: no free connection, or one that is closed."""
    if isinstance(error, PoolTimeoutError | OperationalError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(cause, sqlite3.ProgrammingError) and "closed" in str(cause)


def judged(label: str, error: Exception, kind: Kind) -> LedgerError:
    """Return what to raise for *error* of *kind*."""
    said = explained(error)
    if kind is Kind.UNKNOWN:
        return UnknownOutcomeError(label, said + NOT_KNOWN)
    if kind is Kind.BROKEN:
        return LedgerBrokenError(label, said)
    if kind is Kind.OURS:
        return LedgerError(label, said)
    return LedgerUnavailableError(label, said)


def explained(error: Exception) -> str:
    """Return what to do about *error* of the driver or of SQLAlchemy, with its own words."""
    cause = getattr(error, "orig", None) or error
    said = (str(cause).splitlines() or [type(cause).__name__])[0]
    state: str = getattr(cause, "sqlstate", None) or ""
    for length in (5, 2):
        if state and state[:length] in _SAID:
            return f"{_SAID[state[:length]]} ({said})"
    for sign, hint in _HINTS:
        if sign in said.lower():
            return f"{hint} ({said})"
    return said
