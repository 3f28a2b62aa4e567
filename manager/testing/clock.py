"""Time that passes only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_MICROSECOND: Final = timedelta(microseconds=1)


class VirtualClock:
    """A wall clock and a monotonic one that a test moves, together or apart.

    Args:
        start: What the wall clock shows first; aware.

    Attributes:
        waits: The spans that passed, in order.
        pass_time: Lets a span pass for whoever waits; a lab plays what falls due meanwhile.
    """

    def __init__(self, start: datetime) -> None:
        self._wall = start.astimezone(UTC)
        self._elapsed = 0
        self.waits: list[timedelta] = []
        self.pass_time: Callable[[timedelta], None] = self.advance

    def now(self) -> datetime:
        """Return what the wall clock shows, in UTC."""
        return self._wall

    def monotonic(self) -> float:
        """Return the seconds that have passed since the start; steps do not count."""
        return self._elapsed / 1_000_000

    def boottime(self) -> float:
        """Return the seconds that have passed since the start, as ``monotonic`` does."""
        return self.monotonic()

    @property
    def elapsed(self) -> timedelta:
        """The time that has passed since the start, to the microsecond."""
        return self._elapsed * _MICROSECOND

    def advance(self, by: timedelta) -> None:
        """Let time pass on both clocks; nothing is played.

        Raises:
            ValueError: *by* is below zero; only the wall clock can be set back, see ``step``.
        """
        if by < timedelta(0):
            raise ValueError(f"time passes forwards, got {by}; step() sets the wall clock back")
        self._wall += by
        self._elapsed += by // _MICROSECOND
        self.waits.append(by)

    def step(self, by: timedelta) -> None:
        """Set the wall clock by *by*, forth or back, while no time passes.

        A machine that sleeps is such a step ahead: its monotonic clock stands still.
        """
        self._wall += by

    def wait(self, wakeup: threading.Event, limit: timedelta) -> bool:
        """Let *limit* pass unless *wakeup* is set; tell whether it is set then."""
        if not wakeup.is_set() and limit > timedelta(0):
            self.pass_time(limit)
        return wakeup.is_set()
