"""Column types of the ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return whole microseconds from 1970-01-01 UTC to *instant*, which is aware."""
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC instant that is *micros* microseconds after 1970-01-01 UTC."""
    seconds, rest = divmod(micros, 1_000_000)
    return EPOCH + timedelta(0, seconds, rest)


def to_text(value: object) -> str:
    """Return *value* as JSON text without spaces."""
    return json.dumps(value, separators=(",", ":"))


KEY: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that identifies; it sorts by its characters' numbers, in whatever language a database is."""


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as microseconds since 1970 UTC: exact, sortable, free of zones."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Turn an aware datetime into microseconds."""
        _ = dialect
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Turn microseconds into an aware datetime in UTC."""
        _ = dialect
        return None if value is None else from_micros(value)


class Json(TypeDecorator[Any]):
    """A JSON value as text; SQL ``NULL`` and ``None`` are one."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        """Turn a value into JSON text."""
        _ = dialect
        return None if value is None else to_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401 - JSON is any
        """Turn JSON text into a value."""
        _ = dialect
        return None if value is None else json.loads(value)
