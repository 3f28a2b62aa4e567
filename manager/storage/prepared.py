"""Statements in the words of the driver."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import Boolean

from manager.storage.types import Instant, Json, from_micros, to_micros, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection, Dialect
    from sqlalchemy.sql.elements import CompilerElement
    from sqlalchemy.types import TypeEngine


Answer = tuple[int, list[Any]]
"""How many rows an execution changed or found, and the rows that it returned."""


class Cursor(Protocol):
    """What an execution gives, by any driver."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401 - the driver's own
        """Return the next row, or ``None``."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that it found."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Driver(Protocol):
    """A connection as its driver knows it: of ``sqlite3`` or of ``psycopg``."""

    def execute(self, query: Any, params: Any = ..., /) -> Any:  # noqa: ANN401 - the driver's own
        """Execute one statement."""
        ...

    def cursor(self) -> Any:  # noqa: ANN401 - the same
        """Return what executes many."""
        ...

    def commit(self) -> None:
        """End the transaction, keeping what it wrote."""
        ...

    def rollback(self) -> None:
        """End the transaction, forgetting what it wrote."""
        ...


class Prepared:
    """A statement that is compiled once for a driver, so that an execution costs little more.

    Args:
        statement: An insert, update or select with named parameters.
        columns: The columns that an insert is given.
        ending: Words that follow the statement, the same for every database.
    """

    def __init__(
        self, statement: CompilerElement, columns: Sequence[str] | None = None, ending: str = ""
    ) -> None:
        self._statement = statement
        self._columns = columns
        self._ending = ending
        self._compiled: dict[type, _Compiled] = {}

    def run(self, driver: Driver, values: Mapping[str, Any]) -> Cursor:
        """Execute it with *values* by the names of its parameters.

        Raises:
            Exception: the driver's own; the database did not take it.
        """
        compiled = self._compiled.get(type(driver)) or self._compile(driver)
        cursor: Cursor = driver.execute(compiled.text, compiled.bound(values))
        return cursor

    def run_each(self, driver: Driver, rows: Sequence[Mapping[str, Any]]) -> Cursor:
        """Execute it for each of *rows*; the cursor counts what all of them changed."""
        if len(rows) == 1:
            return self.run(driver, rows[0])
        compiled = self._compiled.get(type(driver)) or self._compile(driver)
        cursor = driver.cursor()
        cursor.executemany(compiled.text, [compiled.bound(row) for row in rows])
        each: Cursor = cursor
        return each

    def run_all(self, driver: Driver, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Execute it for each of *rows*; return what came of each.

        A server is sent all of them before it is asked for the first answer.
        """
        compiled = self._compiled.get(type(driver)) or self._compile(driver)
        bound = [compiled.bound(row) for row in rows]
        pipeline = getattr(driver, "pipeline", None)
        if pipeline is None or len(bound) <= 1:
            return [_answer(driver.execute(compiled.text, each)) for each in bound]
        with pipeline():
            cursors = [driver.execute(compiled.text, each) for each in bound]
        return [_answer(cursor) for cursor in cursors]

    def found(self, driver: Driver, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Execute a select; yield its rows by the names of their columns, as Python has them.

        Raises:
            Exception: the driver's own; the database could not be read.
        """
        columns = self._statement.selected_columns  # type: ignore[attr-defined]
        names = [column.key for column in columns]
        readers = [
            (name, read) for name in names if (read := _READERS.get(type(columns[name].type)))
        ]
        for row in self.run(driver, values):
            told = dict(zip(names, row, strict=True))
            for name, read in readers:
                if told[name] is not None:
                    told[name] = read(told[name])
            yield told

    def _compile(self, driver: Driver) -> _Compiled:
        made = _Compiled(self._statement, self._columns, self._ending, dialect_of(type(driver)))
        self._compiled[type(driver)] = made
        return made


_READERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    Instant: from_micros,
    Json: json.loads,
    Boolean: bool,
}


def _answer(cursor: Any) -> Answer:  # noqa: ANN401 - the driver's own
    if cursor.description is None:
        return cursor.rowcount, []
    rows = cursor.fetchall()
    return len(rows), rows


class _Compiled:
    """A statement in the words of one database."""

    __slots__ = ("_constants", "_converted", "_names", "text")

    def __init__(
        self,
        statement: CompilerElement,
        columns: Sequence[str] | None,
        ending: str,
        dialect: Dialect,
    ) -> None:
        given = None if columns is None else list(columns)
        compiled: Any = statement.compile(dialect=dialect, column_keys=given)
        self.text = f"{compiled} {ending}".strip()
        self._names: list[str] = list(compiled.positiontup)
        self._constants: dict[str, Any] = {}
        self._converted: list[tuple[int, Callable[[Any], Any]]] = []
        for place, name in enumerate(self._names):
            bind = compiled.binds[name]
            convert = converter_of(bind.type, dialect)
            if not bind.required:
                value = bind.effective_value
                self._constants[name] = convert(value) if convert and value is not None else value
            elif convert is not None:
                self._converted.append((place, convert))

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """Return *values* in the order and in the kinds that the driver is given."""
        known = {**values, **self._constants} if self._constants else values
        bound = [known[name] for name in self._names]
        for place, convert in self._converted:
            value = bound[place]
            if value is not None:
                bound[place] = convert(value)
        return bound


@cache
def dialect_of(driver: type) -> Dialect:
    """Return what writes statements for connections of the class *driver*."""
    if any(each.__module__.startswith("psycopg") for each in driver.__mro__):
        from sqlalchemy.dialects.postgresql import psycopg  # noqa: PLC0415 - only who uses it pays

        postgres: Dialect = psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
        return postgres
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - the same

    lite: Dialect = sqlite.dialect()
    return lite


def converter_of(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """Return what turns a value of *kind* that is not ``None`` into one of the driver's."""
    if isinstance(kind, Instant):
        return to_micros
    if isinstance(kind, Json):
        return to_text
    return kind.dialect_impl(dialect).bind_processor(dialect)


def driver_of(connection: Connection) -> Driver:
    """Return what the driver calls the connection, for statements in its own words."""
    raw: Driver = connection.connection.driver_connection  # type: ignore[assignment]
    return raw
