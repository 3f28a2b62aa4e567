"""Statements in the words of the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.dialects import sqlite

from manager.storage.types import Instant, Json, to_micros, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from sqlite3 import Connection as DriverConnection
    from sqlite3 import Cursor

    from sqlalchemy.engine import Connection
    from sqlalchemy.sql.elements import CompilerElement
    from sqlalchemy.types import TypeEngine

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
        self._names: list[str] = list(compiled.positiontup)
        self._constants: dict[str, Any] = {}
        self._converted: list[tuple[int, Callable[[Any], Any]]] = []
        for place, name in enumerate(self._names):
            bind = compiled.binds[name]
            convert = converter_of(bind.type)
            if not bind.required:
                value = bind.effective_value
                self._constants[name] = convert(value) if convert and value is not None else value
            elif convert is not None:
                self._converted.append((place, convert))

    def run(self, driver: DriverConnection, values: Mapping[str, Any]) -> Cursor:
        """Execute it with *values* by the names of its parameters.

        Raises:
            sqlite3.Error: the database did not take it.
        """
        return driver.execute(self.text, self._bound(values))

    def run_each(self, driver: DriverConnection, rows: Sequence[Mapping[str, Any]]) -> Cursor:
        """Execute it for each of *rows*."""
        if len(rows) == 1:
            return self.run(driver, rows[0])
        return driver.executemany(self.text, [self._bound(row) for row in rows])

    def _bound(self, values: Mapping[str, Any]) -> list[Any]:
        known = {**values, **self._constants} if self._constants else values
        bound = [known[name] for name in self._names]
        for place, convert in self._converted:
            value = bound[place]
            if value is not None:
                bound[place] = convert(value)
        return bound


def converter_of(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """Return what turns a value of *kind* that is not ``None`` into one of the driver's."""
    if isinstance(kind, Instant):
        return to_micros
    if isinstance(kind, Json):
        return to_text
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def driver_of(connection: Connection) -> DriverConnection:
    """Return what the driver calls the connection, for statements in its own words."""
    raw: DriverConnection = connection.connection.driver_connection  # type: ignore[assignment]
    return raw
