"""What tasks write down while they run, whatever any database says of them afterwards.

A line an event, appended by one ``write`` to a file opened with ``O_APPEND``: lines of several
processes never mix, and what was written survives the death of its process. Nothing here is code
of the product.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS: Final = 9


class Event(StrEnum):
    """What happened to an attempt."""

    STARTED = "S"
    RETURNED = "E"
    RAISED = "R"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        due: The instant for which the run was due, in microseconds since 1970.
        wall: When it was written, in microseconds since 1970.
        monotonic: The same on the machine's monotonic clock, in microseconds.
    """

    event: Event
    run: str
    task: str
    due: int
    attempt: int
    token: int
    pid: int
    wall: int
    monotonic: int

    @property
    def line(self) -> bytes:
        """The entry as it is written."""
        numbers = (self.due, self.attempt, self.token, self.pid, self.wall, self.monotonic)
        return f"{self.event} {self.run} {self.task} {' '.join(map(str, numbers))}\n".encode()


class Attempted(Protocol):
    """What a task knows of its attempt."""

    @property
    def run_id(self) -> str: ...
    @property
    def task_id(self) -> str: ...
    @property
    def scheduled_for(self) -> datetime: ...
    @property
    def attempt(self) -> int: ...
    @property
    def token(self) -> int: ...


class Journal:
    """Writes entries to a file; each process opens it for itself when it first writes.

    Args:
        file: Made where it is missing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._opened: tuple[int, int] | None = None

    def note(self, event: Event, run: Attempted) -> None:
        """Append one entry about *run*."""
        os.write(self._descriptor(), entry_of(event, run).line)

    @contextmanager
    def attempt(self, run: Attempted) -> Iterator[None]:
        """Write when the block begins, and whether it returned or raised."""
        self.note(Event.STARTED, run)
        try:
            yield
        except BaseException:
            self.note(Event.RAISED, run)
            raise
        self.note(Event.RETURNED, run)

    def _descriptor(self) -> int:
        pid = os.getpid()
        if self._opened is None or self._opened[0] != pid:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._opened = pid, os.open(self._file, flags, 0o644)
        return self._opened[1]


def entry_of(event: Event, run: Attempted) -> Entry:
    """Return what is to be written about *run* now."""
    return Entry(
        event,
        run.run_id,
        run.task_id,
        micros(run.scheduled_for),
        run.attempt,
        run.token,
        os.getpid(),
        wall(),
        time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000,
    )


def wall() -> int:
    """Return the wall clock's time in microseconds since 1970."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000


def micros(instant: datetime) -> int:
    """Return *instant*, which is aware, in microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def read(file: Path) -> tuple[list[Entry], list[str]]:
    """Return the entries of a journal in their order, and the lines that are none."""
    entries: list[Entry] = []
    damaged: list[str] = []
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    for line in text.splitlines():
        entry = _parsed(line)
        if entry is None:
            damaged.append(line)
        else:
            entries.append(entry)
    if text and not text.endswith("\n"):
        damaged.append("the last line has no end")
    return entries, damaged


def _parsed(line: str) -> Entry | None:
    words = line.split(" ")
    if len(words) != _FIELDS:
        return None
    event, run, task, *numbers = words
    try:
        return Entry(Event(event), run, task, *map(int, numbers))
    except ValueError:
        return None
