"""Outcomes that the database did not take, kept on disk until it does.

A spool is one file of one node, made when the node starts, with room that is reserved so that a
full disk does not refuse it. Each record is a line: length and CRC-32 of the text in hexadecimal,
then the text, which is JSON. What follows the last record is zero bytes.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESERVE: Final = 1024 * 1024
LIMIT: Final = 16 * RESERVE
SUFFIX: Final = ".spool"
_HEAD: Final = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8}) ")
_HEAD_LENGTH: Final = 18
_BLANK: Final = b"\x00"


class SpoolFullError(Exception):
    """A spool took no more: its limit is reached, or the disk."""


@dataclass(frozen=True, slots=True)
class SpoolPlace:
    """Where the nodes of one ledger have their spools.

    Attributes:
        folder: It must be there.
        prefix: Of their names, so that the spools of several ledgers are told apart.
    """

    folder: Path
    prefix: str

    def path(self, node_id: str) -> Path:
        """Return the file of a node."""
        return self.folder / f"{self.prefix}{node_id}{SUFFIX}"

    def all(self) -> list[Path]:
        """Return the spools that are there, by name."""
        try:
            found = [each for each in self.folder.iterdir() if each.name.startswith(self.prefix)]
        except OSError:
            return []
        return sorted(each for each in found if each.suffix == SUFFIX and each.is_file())


@dataclass(slots=True)
class Spooled:
    """What a spool holds.

    Attributes:
        records: The records that are whole, oldest first.
        damaged: How many places could not be read.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0


class Spool:
    """The spool of one node; used by one thread at a time.

    Args:
        path: Its file.
        owner: What tells whose it is; the first record.
    """

    def __init__(self, path: Path, owner: dict[str, Any]) -> None:
        self.path = path
        self._owner = owner
        self._handle: int | None = None
        self._start = 0
        self._end = 0

    def open(self) -> None:
        """Make the file, reserve its room and write whose it is.

        Raises:
            OSError: the folder or the disk does not take it.
        """
        self.close()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(self.path, flags, 0o600)
        try:
            os.posix_fallocate(handle, 0, RESERVE)
            self._handle, self._end = handle, 0
            self._append([self._owner])
            self._start = self._end
        except BaseException:
            self._handle = None
            os.close(handle)
            self.path.unlink(missing_ok=True)
            raise
        _sync_folder(self.path.parent)

    @property
    def is_open(self) -> bool:
        """Whether there is a file to write to, which nobody took away."""
        if self._handle is None:
            return False
        return os.fstat(self._handle).st_nlink > 0

    def append(self, records: Sequence[dict[str, Any]]) -> None:
        """Write *records*; they are on the disk when this returns.

        Raises:
            SpoolFullError: there is no room for them; what was there is kept.
            OSError: the disk failed, or the file cannot be made.
        """
        if not self.is_open:
            self.open()
        self._append(records)

    def clear(self) -> None:
        """Forget the records: the ledger has them.

        Raises:
            OSError: the disk failed; the records stay, which is harmless.
        """
        handle = self._handle
        if handle is None or self._end == self._start:
            return
        if self._end > RESERVE:
            os.ftruncate(handle, RESERVE)
        length = min(self._end, RESERVE) - self._start
        os.pwrite(handle, _BLANK * max(0, length), self._start)
        os.fdatasync(handle)
        self._end = self._start

    def close(self, *, remove: bool = False) -> None:
        """Let go of the file, and delete it if so asked; calling it again is harmless."""
        handle, self._handle = self._handle, None
        if handle is not None:
            if remove:
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)
            os.close(handle)

    def _append(self, records: Sequence[dict[str, Any]]) -> None:
        handle = self._handle
        if handle is None:
            raise SpoolFullError("it is closed")
        text = b"".join(_line(record) for record in records)
        if self._end + len(text) > LIMIT:
            raise SpoolFullError(f"{self.path} holds {self._end:,} bytes, its limit is {LIMIT:,}")
        try:
            written = 0
            while written < len(text):
                written += os.pwrite(handle, text[written:], self._end + written)
            os.fdatasync(handle)
        except OSError:
            with suppress(OSError):  # half a record is known for what it is by its sum
                os.pwrite(handle, _BLANK * len(text), self._end)
            raise
        self._end += len(text)


def read_spool(path: Path) -> Spooled:
    """Return what the spool at *path* holds; damage costs the records that it touches alone.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return parse(file.read(2 * LIMIT))


def parse(content: bytes) -> Spooled:
    """Return the records in *content*, whatever became of them."""
    found, at, end = Spooled(), 0, len(content.rstrip(_BLANK))
    while at < end:
        record, after = _record(content, at)
        if record is not None:
            found.records.append(record)
            at = after
            continue
        found.damaged += 1
        at = _next_record(content, at + 1)
    return found


def _record(content: bytes, at: int) -> tuple[dict[str, Any] | None, int]:
    """Return the record that begins at *at*, if there is a whole one, and where it ends."""
    head = _HEAD.match(content, at)
    if head is None:
        return None, at
    length, checksum = int(head[1], 16), int(head[2], 16)
    start = at + _HEAD_LENGTH
    text = content[start : start + length]
    if len(text) < length or zlib.crc32(text) != checksum:
        return None, at
    try:
        record = json.loads(text)
    except ValueError:
        return None, at
    return (record if isinstance(record, dict) else None), start + length + 1


def _next_record(content: bytes, start: int) -> int:
    """Return where the next whole record begins, from *start* on; the end if there is none."""
    for head in _HEAD.finditer(content, start):
        if _record(content, head.start())[0] is not None:
            return head.start()
    return len(content)


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, allow_nan=False).encode("ascii")
    return b"%08x %08x %s\n" % (len(text), zlib.crc32(text), text)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems sync no folder
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
