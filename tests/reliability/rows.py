"""The tables of a ledger as plain rows, read by their documented names and no code of the product.

What differs between databases is here: how a container is told of one, and how it is read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

_RUNS: Final = (
    "SELECT id, task_id, scheduled_for, state, reason, attempt, crashes, token, occurrences,"
    " result FROM runs ORDER BY id"
)
_ATTEMPTS: Final = (
    "SELECT run_id, number, token, outcome FROM attempts ORDER BY run_id, number, token"
)
_TASKS: Final = "SELECT id, anchor, cursor FROM tasks ORDER BY id"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One row of ``runs``; instants in microseconds since 1970, *result* as JSON text."""

    id: str
    task: str
    due: int
    state: str
    reason: str | None
    attempt: int
    crashes: int
    token: int
    occurrences: int
    result: str | None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One row of ``attempts``."""

    run: str
    number: int
    token: int
    outcome: str


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One row of ``tasks``."""

    id: str
    anchor: int
    cursor: int


@dataclass(frozen=True, slots=True)
class Rows:
    """All that is checked.

    Attributes:
        integrity: What the database says of its own files; ``ok`` if they are sound.
    """

    runs: list[RunRow]
    attempts: list[AttemptRow]
    tasks: list[TaskRow]
    integrity: str


class Store(Protocol):
    """A database for the containers of a check."""

    name: str

    def section(self) -> dict[str, Any]:
        """Return the section ``database`` of a container's settings."""
        ...

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Return what *query* finds; nothing where the tables are not made yet."""
        ...

    def integrity(self) -> str:
        """Return what the database says of its own files; ``ok`` if they are sound."""
        ...


class SqliteStore:
    """A SQLite file.

    Args:
        file: Made by the first container.
        synchronous: As in the settings.
    """

    name = "sqlite"

    def __init__(self, file: Path, synchronous: str = "full") -> None:
        self.file = file
        self._synchronous = synchronous

    def section(self) -> dict[str, Any]:
        """Return the section ``database`` of a container's settings."""
        return {"url": f"sqlite:///{self.file}", "synchronous": self._synchronous}

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Return what *query* finds; nothing where the tables are not made yet."""
        if not self.file.exists():
            return []
        with closing(sqlite3.connect(self.file, timeout=30)) as link:
            try:
                return link.execute(query).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def integrity(self) -> str:
        """Return what SQLite says of the file; ``ok`` if it is sound."""
        found = self.fetch("PRAGMA integrity_check")
        return "; ".join(str(row[0]) for row in found) or "there is no database"


class PostgresStore:
    """A database of a PostgreSQL server.

    Args:
        url: As in the settings, without a driver's name for reading.
    """

    name = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url

    def section(self) -> dict[str, Any]:
        """Return the section ``database`` of a container's settings."""
        return {"url": self._url}

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Return what *query* finds; nothing where the tables are not made yet."""
        psycopg = import_module("psycopg")
        with psycopg.connect(self._url.replace("+psycopg", "", 1)) as link:
            try:
                found: list[tuple[Any, ...]] = link.execute(query).fetchall()
            except psycopg.errors.UndefinedTable:
                return []
        return found

    def integrity(self) -> str:
        """Read every row of every table: a broken page would raise."""
        for table in ("tasks", "runs", "attempts", "nodes"):
            self.fetch(f"SELECT * FROM {table}")  # noqa: S608 - the four names above
        return "ok"


def rows_of(store: Store) -> Rows:
    """Return all that is checked of a ledger."""
    return Rows(
        [RunRow(*row) for row in store.fetch(_RUNS)],
        [AttemptRow(*row) for row in store.fetch(_ATTEMPTS)],
        [TaskRow(*row) for row in store.fetch(_TASKS)],
        store.integrity(),
    )
