"""The ledger: for a container, to look at one, or to give one orders from another process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from manager.storage import Database, SqlLedger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configurations import Xcorecfg
    from core.clock import Clock
    from manager.storage.reading import Reading
    from manager.task.control import Control


def build_ledger(config: Xcorecfg) -> SqlLedger:
    """Return the ledger of *config*, not opened yet.

    Raises:
        LedgerError: ``database.url`` names nothing that can serve.
    """
    section = config.database
    return SqlLedger(
        Database(
            config.database_url,
            synchronous=section.synchronous,
            pool_size=section.pool_size,
            max_overflow=section.max_overflow,
            pool_timeout=section.pool_timeout,
            echo=section.echo,
        )
    )


@contextmanager
def open_reading(config: Xcorecfg) -> Iterator[Reading | None]:
    """Give the read model of the ledger; ``None`` where no container has made one yet.

    Raises:
        LedgerError: the database cannot be read.
    """
    ledger = build_ledger(config)
    try:
        yield ledger.reading if ledger.open_reading() else None
    finally:
        ledger.close()


@contextmanager
def open_control(config: Xcorecfg, clock: Clock, actor: str) -> Iterator[Control]:
    """Give the verbs on a container that runs in another process, or will run later.

    Raises:
        LedgerError: the database cannot serve.
    """
    from manager.task.control import Control  # noqa: PLC0415 - looking does not pay for triggers

    ledger = build_ledger(config)
    ledger.open()
    try:
        yield Control(ledger, clock, actor)
    finally:
        ledger.close()
