"""The one way to the database: what failed is judged, and a database that is away is left alone."""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from core.clock import SystemClock
from core.errors import LedgerBrokenError, LedgerError, LedgerUnavailableError, TaskrackError
from manager.storage.faults import FAULTS, NOT_KNOWN, UNREADABLE, CommitFault, Kind, judged, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.clock import Clock

T = TypeVar("T")
SHORTEST: Final = timedelta(milliseconds=100)
LONGEST: Final = timedelta(seconds=5)
_PROBE: Final = timedelta(seconds=10)
"""Whoever asks whether the database is back has this long; then another may ask."""
_UNREADABLE: Final = (ValueError, TypeError, LookupError, OverflowError)
"""What becomes of a value in a row that none of ours has written."""
_TRIES: Final = 3
_GROWTH: Final = 3
_BREATH: Final = timedelta(milliseconds=20)


class Breaker:
    """Lets calls pass while the database answers, else one now and then to see whether it does.

    Between two such calls everybody else fails at once. The pauses grow from a tenth of a second
    to *longest*, drawn at random so that several processes do not ask together.

    Args:
        clock: Its monotonic second.
        longest: No pause is longer.
        draw: Draws the pauses.
    """

    def __init__(self, clock: Clock, longest: timedelta, draw: random.Random) -> None:
        self._clock = clock
        self._longest = longest.total_seconds()
        self._draw = draw
        self._lock = threading.Lock()
        self._bound = 0.0
        self._next = 0.0
        self._unsure = False
        self.trouble: LedgerError | None = None

    def admit(self) -> None:
        """Let the caller pass, or tell it what is wrong.

        Raises:
            LedgerError: the database failed a moment ago, and is not asked; nothing was written.
        """
        if self.trouble is None:
            return
        with self._lock:
            trouble = self.trouble
            if trouble is None:
                return
            second = self._clock.monotonic()
            if second >= self._next:
                self._next = second + _PROBE.total_seconds()
                return
        kind = LedgerBrokenError if isinstance(trouble, LedgerBrokenError) else None
        raise (kind or LedgerUnavailableError)(trouble.url, trouble.reason)

    def passed(self) -> None:
        """Take note that the database answered."""
        if self.trouble is not None or self._unsure:
            with self._lock:
                self.trouble, self._bound, self._unsure = None, 0.0, False

    def failed(self, error: LedgerError) -> None:
        """Take note that it did not; it is asked again after a pause."""
        shortest = SHORTEST.total_seconds()
        with self._lock:
            self._bound = max(shortest, min(self._longest, self._bound * _GROWTH))
            self._next = self._clock.monotonic() + self._draw.uniform(shortest, self._bound)
            self.trouble = error

    def unsure(self, error: LedgerError) -> None:
        """Take note that an answer was lost: whoever reads back may ask at once, but only once."""
        if self._unsure:
            self.failed(error)
        else:
            self.undecided()
            self._unsure = True

    def undecided(self) -> None:
        """Take note that the call tells nothing about the database: the next may ask at once."""
        if self.trouble is not None:
            with self._lock:
                self._next = self._clock.monotonic()

    @property
    def pause(self) -> timedelta:
        """How long until the database is asked again; none while it answers."""
        if self.trouble is None:
            return timedelta(0)
        return max(timedelta(0), timedelta(seconds=self._next - self._clock.monotonic()))


class Gate:
    """Every call of a database goes through here, writes and reads with a breaker each.

    Args:
        label: The database, for messages.
        clock: The time; the machine's where ``None``.
        longest: How long a database that is away is not asked, at most.
        draw: Draws pauses.
    """

    def __init__(
        self,
        label: str,
        clock: Clock | None = None,
        longest: timedelta = LONGEST,
        draw: random.Random | None = None,
    ) -> None:
        self._label = label
        self._clock = clock or SystemClock()
        self._draw = draw or random.Random()  # noqa: S311 - jitter, no secret
        self.writes = Breaker(self._clock, longest, self._draw)
        self.reads = Breaker(self._clock, longest, self._draw)

    @property
    def trouble(self) -> str | None:
        """Why the database is asked only now and then, if so."""
        trouble = self.writes.trouble or self.reads.trouble
        return None if trouble is None else str(trouble)

    def write(self, call: Callable[[], T]) -> T:
        """Make *call*, which writes; at once again where the database says that this may do.

        Raises:
            UnknownOutcomeError: it may have been written.
            LedgerError: it was not.
        """
        breaker = self.writes
        breaker.admit()
        for tried in range(1, _TRIES + 1):
            try:
                value = call()
            except (*FAULTS, CommitFault) as error:
                kind, fault = self._judged(error)
                if kind is Kind.PASSING and tried < _TRIES:
                    self._clock.wait(threading.Event(), self._draw.random() * _BREATH)
                    continue
                self._note(breaker, kind, fault)
                raise fault from error
            except LedgerBrokenError as error:
                breaker.failed(error)
                raise
            except BaseException:
                breaker.undecided()
                raise
            breaker.passed()
            return value
        raise AssertionError  # the last try returns or raises

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let the body read.

        Raises:
            LedgerError: the database cannot be read.
        """
        breaker = self.reads
        breaker.admit()
        try:
            yield
        except FAULTS as error:
            kind, fault = self._judged(error)
            self._note(breaker, kind, fault)
            raise fault from error
        except LedgerBrokenError as error:
            breaker.failed(error)
            raise
        except BaseException as error:
            breaker.undecided()
            if isinstance(error, _UNREADABLE) and not isinstance(error, TaskrackError):
                raise LedgerBrokenError(self._label, f"{UNREADABLE} ({error!r})") from error
            raise
        breaker.passed()

    def _judged(self, error: Exception) -> tuple[Kind, LedgerError]:
        committing = isinstance(error, CommitFault)
        cause = error.error if isinstance(error, CommitFault) else error
        kind = kind_of(cause, committing=committing)
        return kind, judged(self._label, cause, kind)

    @staticmethod
    def _note(breaker: Breaker, kind: Kind, fault: LedgerError) -> None:
        """Stop asking, unless the database is well, or whoever asked has to read back first."""
        if kind in {Kind.OURS, Kind.HELD}:
            breaker.undecided()
        elif kind is Kind.UNKNOWN:
            said = fault.reason.removesuffix(NOT_KNOWN)
            breaker.unsure(LedgerUnavailableError(fault.url, said))
        else:
            breaker.failed(fault)
