"""The ledger: for a container, to look at one, or to give one orders from another process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from zlib import crc32

from manager.storage import Database, SqlLedger
from manager.storage.spool import SpoolPlace, read_spool

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


def spool_place(config: Xcorecfg, ledger: SqlLedger) -> SpoolPlace | None:
    """Return where outcomes wait that the database does not take; none for one in memory.

    It is beside the file of the database, or in ``manager.spool_directory``; for a server in
    the folder of config.json unless that is set.
    """
    asked = config.manager.spool_directory
    if ledger.path is None and ledger.is_in_memory:
        return None
    if asked is None and ledger.path is not None:
        return SpoolPlace(ledger.path.absolute().parent, f"{ledger.path.name}.")
    name = ledger.label if ledger.path is None else str(ledger.path.absolute())
    folder = config.resolve(asked or ".").absolute()
    return SpoolPlace(folder, f"taskrack-{crc32(name.encode()):08x}.")


def spooled(config: Xcorecfg) -> list[tuple[str, int]]:
    """Return how many outcomes wait on disk for the database to take them, by the spool's name."""
    place = spool_place(config, build_ledger(config))
    found: list[tuple[str, int]] = []
    for path in [] if place is None else place.all():
        try:
            records = read_spool(path).records
        except OSError:
            continue
        count = sum(record.get("kind") in {"end", "release"} for record in records)
        if count:
            found.append((path.name, count))
    return found


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
        yield Control(ledger, clock, actor, config.manager.task_queue_size)
    finally:
        ledger.close()
