"""The health check: database, disk, scheduler and pools, held against the limits."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any, Final

from core.clock import SystemClock
from core.errors import LedgerError, TaskrackError
from manager.task.access import build_ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backgroundtask.surroundings import Surroundings
    from configurations import ManagerConfig, Xcorecfg
    from manager.schemas.reading import HealthRead
    from manager.storage import SqlLedger
    from manager.task.taskmanager import TaskManager

PROBE: Final = "health_check"
"""Name of the document that the probe writes and reads back."""
_MEGABYTE: Final = 1_000_000


class HealthError(TaskrackError, RuntimeError):
    """Limits of the health check are passed; it names every one of them.

    Attributes:
        limits: One clause a limit: what was found, and what was expected.
    """

    def __init__(self, limits: Sequence[str]) -> None:
        self.limits = tuple(limits)
        super().__init__("; ".join(self.limits))


async def check(around: Surroundings) -> dict[str, Any]:
    """Return how the container is; blocking work is done off the event loop.

    Raises:
        HealthError: Limits are passed.
    """
    if around.manager is None:
        return await asyncio.to_thread(check_machine, around.config)
    return await asyncio.to_thread(check_container, around.manager)


def check_machine(config: Xcorecfg) -> dict[str, Any]:
    """Return what can be said without a container: the disk.

    Raises:
        HealthError: The disk is too full.
    """
    ledger = build_ledger(config)
    disk = disk_usage(ledger.path or config.folder)
    _raise_if(disk_limits(disk, config.manager))
    return {
        "database": {"label": ledger.label, "latency": None},
        "disk": disk,
        "scheduler": {"lag": None},
        "pools": [],
        "state": "stopped",
    }


def check_container(manager: TaskManager) -> dict[str, Any]:
    """Return how *manager*, which runs, is.

    Returns:
        ``database`` with the seconds that a write and a read took, ``disk`` in bytes,
        ``scheduler`` with its lag in seconds, ``pools``, and ``state``.

    Raises:
        HealthError: Limits are passed.
    """
    section, ledger, health = manager.config.manager, manager.ledger, manager.health()
    limits = scheduler_limits(health, section) + pool_limits(health, _ready(ledger))
    try:
        latency = probe(ledger)
    except LedgerError as error:
        latency = None
        limits.append(str(error))
    disk = disk_usage(ledger.path or manager.config.folder)
    _raise_if(limits + disk_limits(disk, section))
    return {
        "database": {"label": ledger.label, "latency": latency},
        "disk": disk,
        "scheduler": {"lag": round(health.lag, 3)},
        "pools": [pool.model_dump(mode="json") for pool in health.pools],
        "state": health.state,
    }


def probe(ledger: SqlLedger) -> float:
    """Return the seconds that writing a document and reading it back take.

    Raises:
        LedgerError: The database did not take it, or gave something else back.
    """
    clock = SystemClock()
    began, now = clock.monotonic(), clock.now()
    values = {"name": PROBE, "source": PROBE, "etag": None, "body": None, "fetched_at": now}
    ledger.store_document(values)
    if ledger.document(PROBE) != values:
        raise LedgerError(ledger.label, "what was written is not what is read; check the disk")
    return round(clock.monotonic() - began, 6)


def disk_usage(path: Path) -> dict[str, Any]:
    """Return the bytes of the disk that *path* is, or would be, on."""
    folder = next(each for each in (path, *path.absolute().parents) if each.is_dir())
    usage = shutil.disk_usage(folder)
    return {"folder": str(folder), "total": usage.total, "free": usage.free}


def disk_limits(disk: dict[str, Any], section: ManagerConfig) -> list[str]:
    """Return what *disk* passes of ``manager.health_min_free_disk_mb``."""
    least, free = section.health_min_free_disk_mb, disk["free"] // _MEGABYTE
    if disk["free"] >= least * _MEGABYTE:
        return []
    found = f"{free} MB are free in {disk['folder']}"
    return [f"disk: {found}, manager.health_min_free_disk_mb is {least}; make room"]


def scheduler_limits(health: HealthRead, section: ManagerConfig) -> list[str]:
    """Return what *health* passes of ``manager.health_max_lag``."""
    if health.lag <= section.health_max_lag:
        return []
    found = f"the last turn was {health.lag:.1f} s ago"
    return [f"scheduler: {found}, manager.health_max_lag is {section.health_max_lag:g} s"]


def pool_limits(health: HealthRead, ready: dict[str, int]) -> list[str]:
    """Return which pools are exhausted or leaked.

    A pool is exhausted when all its places are taken while runs wait for one.

    Args:
        health: How the container is.
        ready: How many runs wait for a place, by lane.
    """
    found = []
    for pool in health.pools:
        if pool.leaked:
            names = ", ".join(sorted(set(pool.leaked)))
            found.append(f"pool {pool.lane}: calls outlived their time limit: {names}")
        waiting = ready.get(pool.lane, 0)
        if pool.busy >= pool.size and waiting:
            noun = "run waits" if waiting == 1 else "runs wait"
            found.append(f"pool {pool.lane}: all {pool.size} places are taken, {waiting} {noun}")
    return found


def _ready(ledger: SqlLedger) -> dict[str, int]:
    return {lane: count for lane, count, _ in ledger.waiting(SystemClock().now())}


def _raise_if(limits: list[str]) -> None:
    if limits:
        raise HealthError(limits)
