"""Group commit: writers that come while a commit is under way share the next one."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from core.errors import LedgerUnavailableError, TaskrackError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from manager.storage.database import Database

T = TypeVar("T")


LIMIT: Final = timedelta(seconds=10)
"""So long a writer waits for those before it."""


class _Entry(Generic[T]):
    """One writer's work, and what became of it."""

    __slots__ = ("failure", "guarded", "settled", "value", "work")

    def __init__(self, work: Callable[[Connection], T], *, guarded: bool) -> None:
        self.work = work
        self.guarded = guarded
        self.settled = False
        self.value: T
        self.failure: TaskrackError | None = None


class Recorder:
    """Commits the work of any number of threads through the one writing connection.

    Without load a write costs one commit in the caller's own thread. Under load the first
    waiter commits for all that queued up behind it. Work whose shared commit failed is
    committed alone, so one writer's fault is never another's. Where it is not known whether a
    commit took place, only work that changes nothing a second time is done again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leader = threading.Lock()
        self._queue: deque[_Entry[Any]] = deque()

    def write(self, work: Callable[[Connection], T], *, guarded: bool = True) -> T:
        """Run *work* in a transaction; return its value once it is committed.

        Args:
            work: Statements on the connection that it is given.
            guarded: Whether *work* changes nothing a second time, so that a lost answer is no
                reason to ask the caller.

        Raises:
            UnknownOutcomeError: the answer to the commit was lost.
            LedgerError: the database did not take it; nothing of *work* was written.
            TaskrackError: what *work* itself raised.
        """
        entry = _Entry(work, guarded=guarded)
        self._queue.append(entry)
        if not self._leader.acquire(timeout=LIMIT.total_seconds()):
            self._give_up(entry)
        else:
            try:
                if not entry.settled:
                    self._lead(entry)
            finally:
                self._leader.release()
        if entry.failure is not None:
            raise entry.failure
        return entry.value

    def _give_up(self, entry: _Entry[Any]) -> None:
        """Take an entry back that waited too long, unless it is being committed."""
        waited = f"another write is stuck; this one waited {LIMIT.total_seconds():g} s"
        try:
            self._queue.remove(entry)
        except ValueError:
            if not entry.settled:
                text = f"{waited}, and whether it was written is not known"
                raise UnknownOutcomeError(self._database.label, text) from None
        else:
            raise LedgerUnavailableError(self._database.label, f"{waited}; nothing was written")

    def _lead(self, own: _Entry[Any]) -> None:
        """Commit for all that queued up; where one of them raises what it should not, for *own*.

        The others find their work undone when their turn comes, and commit it themselves.
        """
        entries = self._drained(own)
        if len(entries) > 1:
            with suppress(Exception):  # whose fault it is will show when each commits alone
                self._commit(entries)
        if not own.settled:
            self._commit([own])

    def _drained(self, own: _Entry[Any]) -> list[_Entry[Any]]:
        """Take what is queued; *own* may have been taken by a leader that did not survive."""
        entries: list[_Entry[Any]] = []
        while self._queue:
            entries.append(self._queue.popleft())
        return entries if own in entries else [own, *entries]

    def _commit(self, entries: list[_Entry[Any]]) -> None:
        try:
            values = self._database.write(lambda link: [entry.work(link) for entry in entries])
        except UnknownOutcomeError as error:
            for entry in entries:
                self._resolve(entry, error)
            return
        except TaskrackError as error:
            if len(entries) == 1:
                entries[0].failure, entries[0].settled = error, True
                return
            for entry in entries:
                self._commit([entry])
            return
        for entry, value in zip(entries, values, strict=True):
            entry.value, entry.settled = value, True

    def _resolve(self, entry: _Entry[Any], lost: UnknownOutcomeError) -> None:
        """Do *entry* again if that changes nothing where it was written, else leave it open."""
        entry.failure = lost
        if entry.guarded:
            with suppress(Exception):  # it stays unknown
                entry.value = self._database.write(entry.work)
                entry.failure = None
        entry.settled = True
