"""The way to a PostgreSQL server: engines that connect by bounded links."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from core.errors import LedgerError
from manager.storage.links import LIMITS, PATIENCE, PATIENT, BoundedLink, connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine
    from sqlalchemy.engine import URL, Connection

OLDEST: Final = 13
"""The oldest release of the server that can be used."""
_SERVER: Final = (
    "SELECT current_setting('server_version_num')::int / 10000,"
    " current_setting('server_encoding'), current_schema()"
)


class PostgresServer:
    """Makes connections to one database of a server.

    Args:
        address: Its URL.
        label: The same as it is shown.
        echo: Whether every statement is logged, with its values.
    """

    def __init__(self, address: URL, label: str, *, echo: bool) -> None:
        self._url = address
        self._label = label
        self._echo = echo

    @contextmanager
    def opening(self) -> Iterator[Connection]:
        """Give a patient connection to a server that can be used."""
        engine = self._engine(PATIENCE, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                link_of(connection).silence = PATIENT
                release, encoding, schema = connection.exec_driver_sql(_SERVER).one()
                connection.rollback()
                self._require(release, encoding, schema)
                yield connection
        except psycopg.Error as error:
            raise wrapped(error, broken=True) from error
        finally:
            engine.dispose()

    def readers(self, pool: dict[str, Any], *, patient: bool = False) -> Engine:
        """Return readers, each asked before its use whether it is still connected."""
        engine = self._engine(
            PATIENCE if patient else LIMITS,
            poolclass=QueuePool,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            **pool,
        )
        dialect: Any = engine.dialect
        ping = dialect.do_ping

        def asked(link: BoundedLink) -> bool:
            with link.greeting():
                return bool(ping(link))

        dialect.do_ping = asked
        if patient:
            event.listen(engine, "connect", lambda link, _record: _be_patient(link))
        return engine.execution_options(postgresql_readonly=True)

    def writers(self) -> Engine:
        """Return what opens the writing connection, which begins and commits by its own words."""
        return self._engine(LIMITS, isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def _require(self, release: int, encoding: str, schema: str | None) -> None:
        if release < OLDEST:
            text = f"the server is PostgreSQL {release}; {OLDEST} or later is needed"
            raise LedgerError(self._label, text)
        if encoding != "UTF8":
            text = f"its encoding is {encoding}; make the database with ENCODING 'UTF8'"
            raise LedgerError(self._label, text)
        if schema is None:
            text = "its search_path names no schema that exists; make the schema, or name another"
            raise LedgerError(self._label, text)

    def _engine(self, limits: dict[str, str], **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's
        engine = create_engine(self._url, use_native_hstore=False, **options)

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: object, _words: Any, given: Any) -> BoundedLink:  # noqa: ANN401
            return connected(given, limits, echo=self._echo)

        return engine


def _be_patient(link: BoundedLink) -> None:
    link.silence = PATIENT


def link_of(connection: Connection) -> BoundedLink:
    """Return the driver's connection behind *connection*."""
    link: BoundedLink = connection.connection.driver_connection  # type: ignore[assignment]
    return link


def wrapped(error: Exception, *, broken: bool) -> SQLAlchemyError:
    """Return *error* of the driver in SQLAlchemy's clothes, as those of its own calls come."""
    if isinstance(error, DBAPIError):
        error.connection_invalidated = error.connection_invalidated or broken
    if isinstance(error, SQLAlchemyError):
        return error
    return DBAPIError(None, None, error, connection_invalidated=broken)
