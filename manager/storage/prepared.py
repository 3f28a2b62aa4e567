"""Statements in the words of the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from sqlite3 import Connection as DriverConnection
    from sqlite3 import Cursor

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.elements import CompilerElement

_DIALECT: Final = sqlite.dialect()


class Prepared:
    """A statement that is compiled once, so that an execution costs little more than its values.

    Args:
        statement: An insert, update or select with named parameters.
        columns: The columns that an insert is given.
    """

    def __init__(self, statement: CompilerElement, columns: Sequence[str] | None = None) -> None:
        given = None if columns is None else list(columns)
        compiled: Any = statement.compile(dialect=_DIALECT, column_keys=given)
        self.text = str(compiled)
        self._places: list[tuple[str | None, Callable[[Any], Any] | None, Any]] = []
        for name in compiled.positiontup:
            bind = compiled.binds[name]
            process = bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
            if bind.required:
                self._places.append((name, process, None))
            else:
                value = bind.effective_value
                self._places.append((None, None, process(value) if process else value))

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Cursor:
        """Execute it with *values* by the names of its parameters.

        Raises:
            sqlite3.Error: the database did not take it.
        """
        return driver_of(connection).execute(self.text, self._bound(values))

    def run_each(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Cursor:
        """Execute it for each of *rows*."""
        if len(rows) == 1:
            return self.run(connection, rows[0])
        return driver_of(connection).executemany(self.text, [self._bound(row) for row in rows])

    def _bound(self, values: Mapping[str, Any]) -> list[Any]:
        bound: list[Any] = []
        for name, process, constant in self._places:
            value = constant if name is None else values[name]
            bound.append(value if process is None else process(value))
        return bound


def driver_of(connection: Connection) -> DriverConnection:
    """Return what the driver calls the connection, for statements in its own words."""
    raw: DriverConnection = connection.connection.driver_connection  # type: ignore[assignment]
    return raw
