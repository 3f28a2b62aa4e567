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
from manager.storage.faults import explained
from manager.storage.prepared import driver_of
from manager.storage.tables import metadata

if TYPE_CHECKING:
    from sqlite3 import Connection as DriverConnection

    from sqlalchemy.engine import Connection

VERSION_TABLE: Final = "taskrack_version"
REVISIONS: Final = ("0001",)
"""Every schema revision, oldest first; the last is what this release reads and writes."""
_CUT_OFF: Final = frozenset({"SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY"})
"""What SQLite says of a file that it must mend first, and may not."""
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
    try:
        return _read(path, label, "rw")
    except sqlite3.Error as error:
        raise LedgerError(label, explained(error)) from error


def _read(path: Path, label: str, mode: str) -> str | None:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True)) as link:
        return _checked(link, label)


def _checked(connection: sqlite3.Connection, label: str) -> str | None:
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    names = {name for (name,) in connection.execute(query)}
    version: str | None = None
    if VERSION_TABLE in names:
        row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a constant
        version = row[0] if row else None
    _refuse(names, version, label)
    return version


def _refuse(names: set[str], version: str | None, label: str) -> None:
    if version is not None and version not in REVISIONS:
        raise LedgerError(
            label,
            f"its schema is revision {version}, newer than this release knows (up to "
            f"{REVISIONS[-1]}); upgrade taskrack, or name another file. Nothing was changed",
        )
    clash = sorted(names & set(metadata.tables))
    if version is None and clash:
        raise LedgerError(
            label,
            f"it holds a table '{clash[0]}' that taskrack did not make; name another file",
        )


def migrate(connection: Connection, label: str) -> None:
    """Bring the database behind *connection* to the newest revision, in one transaction.

    Raises:
        LedgerError: the schema is newer than this release.
    """
    with connection.begin():
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        names = set(connection.exec_driver_sql(query).scalars())
        version: str | None = None
        if VERSION_TABLE in names:
            version = connection.exec_driver_sql(
                f"SELECT version_num FROM {VERSION_TABLE}",  # noqa: S608 - a constant
            ).scalar()
        _refuse(names, version, label)
        if version != REVISIONS[-1]:
            _upgrade(connection)


def fill(connection: DriverConnection) -> None:
    """Make an empty database in memory one of the newest revision, without the migrations' time."""
    with closing(sqlite3.connect(":memory:")) as source:
        source.deserialize(_image())
        source.backup(connection)


@cache
def _image() -> bytes:
    """Return a database of the newest revision without rows; it is made once in a process."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        migrate(connection, "memory")
        image = driver_of(connection).serialize()
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
