"""Brings a database to the schema of this release, or refuses it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from core.errors import LedgerError
from manager.storage.faults import FAULTS, explained
from manager.storage.prepared import driver_of
from manager.storage.tables import metadata

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from manager.storage.prepared import Driver

VERSION_TABLE: Final = "taskrack_version"
REVISIONS: Final = ("0001",)
"""Every schema revision, oldest first; the last is what this release reads and writes."""
_CUT_OFF: Final = frozenset({"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY"})
"""What SQLite says of a file that it must mend first, and may not."""
_VERSION: Final = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a constant
_NAMES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT relname FROM pg_catalog.pg_class"
    " WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace ="
    " pg_catalog.to_regnamespace(pg_catalog.quote_ident(current_schema()))",
}
_CALLED: Final = {"sqlite": "file", "postgresql": "database"}
_TURNS: Final = {"postgresql": "SELECT pg_catalog.pg_advisory_xact_lock(8386110886475163749)"}
"""Nodes that start together bring the schema up to date one after the other: ``tasksche``."""
SCRIPTS: Final = Path(__file__).parent / "migrations"


def stored_version(path: Path, label: str) -> str | None:
    """Return the schema revision of a database file, read without touching it.

    Where a process died in the middle of a change, SQLite takes that change back first.

    Raises:
        LedgerError: the schema is newer than this release, or the tables are somebody else's.
    """
    try:
        return _read(path, label, "ro")
    except sqlite3.Error as error:
        if error.sqlite_errorname not in _CUT_OFF:
            raise LedgerError(label, explained(error)) from error
    except FAULTS as error:
        raise LedgerError(label, explained(error)) from error
    try:
        return _read(path, label, "rw")
    except FAULTS as error:
        raise LedgerError(label, explained(error)) from error


def _read(path: Path, label: str, mode: str) -> str | None:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True)) as link:
        return _checked(link, label)


def _checked(connection: sqlite3.Connection, label: str) -> str | None:
    names = {name for (name,) in connection.execute(_NAMES["sqlite"])}
    version: str | None = None
    if VERSION_TABLE in names:
        row = connection.execute(_VERSION).fetchone()
        version = row[0] if row else None
    _refuse(names, version, label)
    return version


def require_newest(version: str, label: str) -> None:
    """Let the schema pass that this release reads.

    Raises:
        LedgerError: the schema is older.
    """
    if version != REVISIONS[-1]:
        raise LedgerError(
            label, f"its schema is revision {version}; 'taskrack run' brings it up to date"
        )


def checked_version(connection: Connection, label: str) -> str | None:
    """Return the schema revision of the database behind *connection*; ``None`` if it has none.

    Raises:
        LedgerError: the schema is newer than this release, or the tables are somebody else's.
    """
    names = set(connection.exec_driver_sql(_NAMES[connection.dialect.name]).scalars())
    version: str | None = None
    if VERSION_TABLE in names:
        version = connection.exec_driver_sql(_VERSION).scalar()
    _refuse(names, version, label, _CALLED[connection.dialect.name])
    return version


def _refuse(names: set[str], version: str | None, label: str, called: str = "file") -> None:
    if version is not None and version not in REVISIONS:
        raise LedgerError(
            label,
            f"its schema is revision {version}, newer than this release knows (up to "
            f"{REVISIONS[-1]}); upgrade taskrack, or name another {called}. Nothing was changed",
        )
    clash = sorted(names & set(metadata.tables))
    if version is None and clash:
        raise LedgerError(
            label,
            f"it holds a table '{clash[0]}' that taskrack did not make; name another {called}",
        )


def migrate(connection: Connection, label: str) -> None:
    """Bring the database behind *connection* to the newest revision, in one transaction.

    Raises:
        LedgerError: the schema is newer than this release, or the tables are somebody else's.
    """
    with connection.begin():
        if connection.dialect.name in _TURNS:
            connection.exec_driver_sql(_TURNS[connection.dialect.name])
        if checked_version(connection, label) != REVISIONS[-1]:
            _upgrade(connection)


def fill(connection: Driver) -> None:
    """Make an empty database in memory one of the newest revision, without the migrations' time."""
    with closing(sqlite3.connect(":memory:")) as source:
        source.deserialize(_image())
        source.backup(connection)  # type: ignore[arg-type]


@cache
def _image() -> bytes:
    """Return a database of the newest revision without rows; it is made once in a process."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        migrate(connection, "memory")
        image: bytes = driver_of(connection).serialize()  # type: ignore[attr-defined]
    engine.dispose()
    return image


def _upgrade(connection: Connection) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells each of its own plugins
    from alembic import command  # noqa: PLC0415 - half a second that only a new schema pays
    from alembic.config import Config  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
