"""Signals that end ``taskrack run``: one asks, a second hastens, a third ends it at once."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

FORCED: Final = 75
"""The exit code of a process that had to be ended; EX_TEMPFAIL of sysexits.h."""
OVERTIME: Final = timedelta(seconds=5)
"""So long after the grace the process ends, whatever hangs."""
_LAST: Final = 0.5
"""Seconds more, and it ends even if no Python code can run any more."""
_ASKING: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_HASTY: Final = "SIGQUIT"
_THIRD: Final = 3
_STUCK: Final = frozenset(
    f"taskrack-{name}" for name in ("engine", "leaving", "closing", "executors", "timers")
)


class Signals:
    """Hears the signals of the process from its making on.

    Args:
        grace: How long running tasks may take.
        hurry: Ends that wait; called in a thread of its own.
    """

    def __init__(self, grace: timedelta, hurry: Callable[[], None]) -> None:
        self._limit = (grace + OVERTIME).total_seconds()
        self._hurry = hurry
        self._clock = SystemClock()
        self._heard: SimpleQueue[int] = SimpleQueue()  # an Event's lock is not for handlers
        self._first: SimpleQueue[int] = SimpleQueue()
        self._count = 0
        for name in _ASKING:
            number = getattr(signal, name, None)
            if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
                continue  # started by nohup
            signal.signal(number, self._hear)
        threading.Thread(target=self._follow, name="taskrack-signals", daemon=True).start()

    @property
    def are_hasty(self) -> bool:
        """Whether running tasks are not waited for."""
        return self._count > 1

    def wait(self) -> None:
        """Wait for the first signal."""
        self._first.get()

    def leave(self) -> None:
        """End the process here where a call is stuck for which the interpreter's end would wait.

        Everything is given back by then; a lock of the database would only be waited out.
        """
        if any(thread.name in _STUCK for thread in threading.enumerate()):
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(0)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._heard.put(number)

    def _follow(self) -> None:
        number = self._heard.get()
        end = self._clock.monotonic() + self._limit
        faulthandler.dump_traceback_later(self._limit + _LAST, exit=True)
        self._count = 2 if number == getattr(signal, _HASTY, None) else 1
        if self.are_hasty:
            self._hurry()
        self._first.put(number)
        while True:
            try:
                self._heard.get(timeout=max(0.0, end - self._clock.monotonic()))
            except Empty:
                _end(f"the shutdown has not ended within {self._limit:g} s of the first signal")
            self._count += 1
            if self._count >= _THIRD:
                _end("a third signal")
            self._hurry()


def _end(why: str) -> NoReturn:
    """End the process without looking back, and say so past every buffer that may be locked."""
    text = f"taskrack: {why}: the process ends now; what was running is decided at the next start\n"
    try:
        os.write(2, text.encode())
    finally:
        os._exit(FORCED)
