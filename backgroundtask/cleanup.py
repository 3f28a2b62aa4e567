"""The clean-up: rotated log files and run history that are older than the settings keep."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import SystemClock
from loggers import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backgroundtask.surroundings import Surroundings
    from configurations import Xcorecfg

_log = get_logger("backgroundtask")


async def clean_up(around: Surroundings) -> dict[str, int]:
    """Delete what is older than the settings keep.

    Returns:
        ``files`` and ``bytes`` of the deleted log files, and ``runs`` of the pruned history,
        which is zero without a container.
    """
    section, now = around.config.manager, SystemClock().now()
    log_file = log_file_of(around.config)
    old = now - timedelta(days=section.log_retention_days)
    files, size = await asyncio.to_thread(delete_rotated, log_file, old)
    runs = 0
    if around.manager is not None:
        before = now - timedelta(days=section.run_retention_days)
        runs = await asyncio.to_thread(around.manager.ledger.prune, before)
    return {"files": files, "bytes": size, "runs": runs}


def log_file_of(config: Xcorecfg) -> Path:
    """Return the live log file; ``LOG_FILE`` counts where the settings do not name one."""
    named = os.environ.get("LOG_FILE", "").strip()
    if named and config.describe()["loggers.log_file"].origin == "default":
        return Path(named).expanduser().absolute()
    return config.resolve(config.loggers.log_file)


def delete_rotated(log_file: Path, before: datetime) -> tuple[int, int]:
    """Delete the rotated files of *log_file* that were last written before *before*.

    These are the regular files beside it that are called like it with a number: ``app.log.1``.
    The live file, links and every other file stay. A file that cannot be deleted is named in
    the log, and the others are deleted.

    Returns:
        How many files were deleted, and their bytes.
    """
    files = size = 0
    for entry in _rotated(log_file):
        try:
            status = entry.stat(follow_symlinks=False)
            if status.st_mtime >= before.timestamp():
                continue
            Path(entry.path).unlink()
        except FileNotFoundError:
            continue  # rotated away meanwhile
        except OSError as error:
            _log.warning("%s cannot be deleted: %s", entry.path, error.strerror)
            continue
        files, size = files + 1, size + status.st_size
    return files, size


def _rotated(log_file: Path) -> Iterator[os.DirEntry[str]]:
    pattern = re.compile(re.escape(log_file.name) + r"\.[0-9]+")
    try:
        entries = list(os.scandir(log_file.parent))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in sorted(entries, key=lambda each: each.name):
        if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            yield entry
