"""Connections to PostgreSQL that never wait for an answer without end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.types.string import StrDumperUnknown

from core.clock import SystemClock
from loggers import get_logger
from manager.storage.locks import ANSWER_WAIT, LOCK_WAIT

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

_log = get_logger("taskrack.sql")
SILENCE: Final = 4.0
"""Seconds in which a server that is alive answers any statement of a container."""
GREETING: Final = 2.0
"""Seconds in which it answers one that costs nothing."""
_CLOCK: Final = SystemClock()
OPTIONS: Final[dict[str, Any]] = {
    "application_name": "taskrack",
    "client_encoding": "utf8",
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5_000,
}
"""What libpq is told, unless the URL says otherwise; the last is in milliseconds."""
LIMITS: Final = {
    "statement_timeout": ANSWER_WAIT,
    "lock_timeout": LOCK_WAIT,
    "idle_in_transaction_session_timeout": "2500ms",
}
"""The server's own limits: a little shorter than ours, so that it is the server that ends a call.

The last one frees what a node holds that was stopped or cut off in the middle of a transaction.
"""
PATIENCE: Final = LIMITS | {"statement_timeout": "60s", "lock_timeout": "60s"}
"""The same while the schema is brought up to date, perhaps by another node, and for commands."""
PATIENT: Final = 65.0
"""Seconds that an answer may take then."""


class BoundedLink(psycopg.Connection[Any]):
    """A connection whose every call ends, whatever became of the network.

    The time limits of the server and of TCP do not see everything: a proxy or a firewall may go
    on to acknowledge bytes of a connection that leads nowhere any more.

    Attributes:
        silence: Seconds that one answer may take.
        until: The monotonic second at which the whole call has to be over, where it has one.
    """

    silence: float = SILENCE
    until: float | None = None

    @contextmanager
    def greeting(self) -> Iterator[None]:
        """Expect answers in the block sooner: they cost the server nothing."""
        with self.silent_for(min(self.silence, GREETING)):
            yield

    @contextmanager
    def silent_for(self, seconds: float) -> Iterator[None]:
        """Let each answer in the block take so long."""
        before, self.silence = self.silence, seconds
        try:
            yield
        finally:
            self.silence = before

    def wait(self, gen: Any, *more: Any, **options: Any) -> Any:  # noqa: ANN401 - the driver's
        """Wait for an answer as long as it may take, then give the connection up.

        Raises:
            psycopg.OperationalError: there was none; whether the server did what it was asked is
                not known.
        """
        limit = _CLOCK.monotonic() + self.silence
        if self.until is not None:
            limit = min(limit, self.until)
        return super().wait(self._within(gen, limit), *more, **options)

    def _within(self, gen: Generator[Any, Any, Any], limit: float) -> Generator[Any, Any, Any]:
        """Run *gen*; the driver wakes it up ten times a second where nothing comes."""
        wanted = next(gen, _NOTHING)
        if wanted is _NOTHING:
            return None
        while True:
            ready = yield wanted
            if not ready and _CLOCK.monotonic() >= limit:
                gen.close()
                self.pgconn.finish()
                raise psycopg.OperationalError("the server gave no answer in time")
            try:
                wanted = gen.send(ready)
            except StopIteration as end:
                return end.value


_NOTHING: Final = object()


class EchoingCursor(psycopg.Cursor[Any]):
    """Logs every statement with its values."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401
        """Log and execute one statement."""
        _log.info("%s %s", query, [] if params is None else params)
        return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:  # noqa: ANN401
        """Log and execute a statement for each of several rows of values."""
        rows: Sequence[Any] = list(params_seq)
        for row in rows:
            _log.info("%s %s", query, row)
        super().executemany(query, rows, **options)


class _WithoutNul(StrDumperUnknown):
    """Texts as PostgreSQL takes them: it knows no character of number zero."""

    def dump(self, obj: str) -> Any:  # noqa: ANN401 - a buffer
        """Return the bytes of *obj*, with another sign for what cannot be stored."""
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def connected(options: dict[str, Any], limits: dict[str, str], *, echo: bool) -> BoundedLink:
    """Return a new connection that ends calls by *limits*.

    Args:
        options: What the URL says.
        limits: Settings of the server for this connection.
        echo: Whether every statement is logged.

    Raises:
        psycopg.Error: there is none to be had.
    """
    factory = EchoingCursor if echo else None
    link = BoundedLink.connect(**{**OPTIONS, **options}, cursor_factory=factory, autocommit=True)
    link.adapters.register_dumper(str, _WithoutNul)
    settings = ", ".join("pg_catalog.set_config(%s, %s, false)" for _ in limits)
    values = [each for pair in limits.items() for each in pair]
    try:
        link.execute(f"SELECT {settings}", values)
    except BaseException:
        link.close()
        raise
    link.autocommit = False
    return link
