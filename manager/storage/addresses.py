"""URLs of databases: which are understood, and what is said of the others."""

from __future__ import annotations

from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from configurations.masking import masked_url
from core.errors import LedgerError

_POSTGRES: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_SQLITE: Final = frozenset({"sqlite", "sqlite+pysqlite"})


def address_of(url: str) -> URL:
    """Return *url* in parts, with the driver that is used.

    Raises:
        LedgerError: it names nothing that can serve.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise LedgerError("(unreadable)", "database.url is no URL, see docs/ledger.md") from None
    label = label_of(parsed)
    name = parsed.drivername.lower()
    if name in _POSTGRES:
        return parsed.set(drivername="postgresql+psycopg")
    if name not in _SQLITE:
        raise LedgerError(label, _unknown(name))
    if parsed.query:
        raise LedgerError(label, "options in the URL are not supported; remove what follows '?'")
    return parsed


def label_of(address: URL) -> str:
    """Return a URL as it is shown: without its password, and without the driver of PostgreSQL."""
    shown = address.render_as_string(hide_password=True)
    return masked_url(shown.replace("postgresql+psycopg://", "postgresql://", 1))


def _unknown(name: str) -> str:
    if name.partition("+")[0] in _POSTGRES:
        return f"the driver in {name}:// is not supported; write postgresql://"
    return (
        f"{name} is not supported; use sqlite:///./taskrack.db or postgresql://user@host/database"
    )
