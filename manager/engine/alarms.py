"""When the runs that wait for their time may start, as far as this node knows."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Alarms:
    """Instants, each once; there are no more of them than runs that wait."""

    def __init__(self) -> None:
        self._heap: list[datetime] = []
        self._known: set[datetime] = set()

    @property
    def earliest(self) -> datetime | None:
        """The next instant, or ``None``."""
        return self._heap[0] if self._heap else None

    def add(self, *instants: datetime) -> None:
        """Take note of instants."""
        for when in instants:
            if when not in self._known:
                self._known.add(when)
                heapq.heappush(self._heap, when)

    def ring(self, now: datetime) -> bool:
        """Forget the instants up to *now*; tell whether there were any."""
        rang = False
        while self._heap and self._heap[0] <= now:
            self._known.discard(heapq.heappop(self._heap))
            rang = True
        return rang
