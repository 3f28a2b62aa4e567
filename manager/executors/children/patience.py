"""Waiting for other processes, a moment at a time and not for ever."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

from core.clock import SystemClock

_MOMENT: Final = timedelta(milliseconds=1)


class Patience:
    """Lets moments pass until so many *seconds* have."""

    def __init__(self, seconds: float) -> None:
        self._clock, self._never = SystemClock(), threading.Event()
        self._end = self._clock.monotonic() + seconds
        self._moment = _MOMENT

    def rest(self) -> bool:
        """Let a moment pass, each longer than the one before; tell whether there was time left."""
        if self._clock.monotonic() >= self._end:
            return False
        self._clock.wait(self._never, self._moment)
        self._moment = min(2 * self._moment, 20 * _MOMENT)
        return True
