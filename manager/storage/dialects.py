"""What two databases say in different words, as expressions that each writes in its own."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Text, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from manager.storage.types import Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.compiler import SQLCompiler


class _Listed(FunctionElement[str]):
    """The texts of a JSON list, as rows of one column."""

    type = Text()
    inherit_cache = True


class _LeaseTime(FunctionElement[datetime]):
    """The instant by which leases are judged."""

    type = Instant()
    inherit_cache = True


def listed(names: ColumnElement[str]) -> ColumnElement[str]:
    """Return a subquery of the texts in *names*, a JSON list of any length."""
    return _Listed(names)


def lease_time(
    now: datetime | ColumnElement[datetime], later: ColumnElement[int] | None = None
) -> ColumnElement[datetime]:
    """Return the instant by which leases are written and judged, or one microseconds *later*.

    It is the time of the server where there is one: the clocks of its clients may differ. With a
    file it is *now*, the time of the machine that all share.
    """
    moment = _LeaseTime(type_coerce(now, Instant()))
    if later is None:
        return moment
    micros = type_coerce(moment, BigInteger) + later
    return type_coerce(micros, Instant())


def _on(database: str, kind: type[FunctionElement[Any]]) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = compiles(kind, database)
    return found


@_on("sqlite", _Listed)
def _listed_by_sqlite(each: _Listed, compiler: SQLCompiler, **more: Any) -> str:  # noqa: ANN401
    given = compiler.process(each.clauses, **more)
    return f"(SELECT value FROM json_each({given}))"  # noqa: S608 - a parameter


@_on("postgresql", _Listed)
def _listed_by_postgres(each: _Listed, compiler: SQLCompiler, **more: Any) -> str:  # noqa: ANN401
    given = compiler.process(each.clauses, **more)
    return f"(SELECT json_array_elements_text(CAST({given} AS JSON)))"


@_on("sqlite", _LeaseTime)
def _time_of_caller(each: _LeaseTime, compiler: SQLCompiler, **more: Any) -> str:  # noqa: ANN401
    return compiler.process(each.clauses, **more)


@_on("postgresql", _LeaseTime)
def _time_of_server(_each: _LeaseTime, _compiler: SQLCompiler, **_more: Any) -> str:  # noqa: ANN401
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
