"""The one place that asks the time or waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import threading
    from datetime import timedelta

_MONOTONIC: Final = time.monotonic  # a task that exchanges it exchanges it for others


class Clock(Protocol):
    """What the engine may ask of time; a test plays a year with another one in seconds."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; never goes back, whatever the wall clock does."""
        ...

    def boottime(self) -> float:
        """Return seconds since the machine started, the same in every process of it.

        Runs on while the machine sleeps, and nobody can set it.
        """
        ...

    def wait(self, wakeup: threading.Event, limit: timedelta) -> bool:
        """Block until *wakeup* is set or *limit* has passed; tell whether it was set."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds of the machine's monotonic clock."""
        return _MONOTONIC()

    def boottime(self) -> float:
        """Return seconds since the machine started; where it cannot tell, of the monotonic clock.

        The monotonic clock of such systems counts from their start too, in every process.
        """
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        return _MONOTONIC() if clock is None else time.clock_gettime(clock)

    def wait(self, wakeup: threading.Event, limit: timedelta) -> bool:
        """Block until *wakeup* is set or *limit* has passed; tell whether it was set."""
        return wakeup.wait(max(0.0, limit.total_seconds()))
