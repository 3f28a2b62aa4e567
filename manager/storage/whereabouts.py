"""The file of a database: whether it is one of ours, and still the one that was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import LedgerBrokenError, LedgerError
from manager.storage.faults import damaged
from manager.storage.migration import stored_version

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from manager.storage.prepared import Driver


_SMALL: Final = 1024 * 1024
_LARGE: Final = 16 * 1024 * 1024
"""Up to these sizes it takes less than a tenth of a second: with indexes compared, and without."""
_MAGIC: Final = b"SQLite format 3\x00"


class Whereabouts:
    """Remembers which files a path stood for; SQLite itself goes on writing to one that is gone.

    Args:
        path: The database's file.
        label: The database, for messages.
    """

    def __init__(self, path: Path, label: str) -> None:
        self._label = label
        self._main = path
        self._log = path.with_name(f"{path.name}-wal")
        self._known = _identity(self._main.stat())
        self._log_known = _identity(self._log.stat()) if self._log.exists() else None

    def check(self) -> None:
        """Let a file pass that is where it was.

        Raises:
            LedgerBrokenError: it was deleted, moved or replaced since it was opened.
        """
        self._compare(self._main, self._known)
        if self._log_known is not None:
            self._compare(self._log, self._log_known)

    def _compare(self, path: Path, known: tuple[int, int]) -> None:
        try:
            found = _identity(path.stat())
        except FileNotFoundError:
            text = f"{path} was deleted or moved while it was in use; put it back, or restart"
            raise LedgerBrokenError(self._label, text) from None
        except OSError as error:
            text = f"{path} cannot be looked at ({error.strerror}); check its folder"
            raise LedgerBrokenError(self._label, text) from error
        if found != known:
            text = (
                f"{path} was replaced by another file while it was in use; nothing is written to "
                "that one. Put the first one back, or restart"
            )
            raise LedgerBrokenError(self._label, text)


def check(driver: Driver, size: int) -> None:
    """Let a database pass that is whole; a large one is not read to its end.

    Args:
        driver: A connection to it.
        size: Bytes of its file.

    Raises:
        sqlite3.Error: it is damaged.
    """
    if size > _LARGE:
        return
    kind = "integrity_check" if size <= _SMALL else "quick_check"
    (found,) = driver.execute(f"PRAGMA {kind}(1)").fetchone()
    if found != "ok":
        raise damaged(str(found).splitlines()[-1])


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def inspected(path: Path, label: str) -> str | None:
    """Refuse a file that is no database of ours; return the revision of one that is."""
    if path.is_dir():
        raise LedgerError(label, f"{path} is a folder; name a file in database.url")
    if not path.parent.is_dir():
        raise LedgerError(label, f"the folder {path.parent} does not exist; create it")
    try:
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LedgerError(
            label, f"it cannot be read ({error.strerror}); check its rights"
        ) from error
    if head and head != _MAGIC:
        raise LedgerError(label, f"{path} is not a SQLite database; name another file")
    return stored_version(path, label) if head else None
