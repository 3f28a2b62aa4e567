"""Plain functions, called in the thread of the test; they take the time that they are said to."""

from __future__ import annotations

import heapq
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from core.records import PoolFigures
from manager.executors.threads import LEAK_LIMIT, called

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.records import Call, Outcome
    from manager.testing.clock import VirtualClock


class VirtualThreads:
    """The executor of plain functions, which the lab plays.

    A function is called when its attempt starts. Its outcome is told when the time that it is
    said to take has passed, so that it can time out, overlap and be asked to stop meanwhile.

    Args:
        size: Most calls at once.
        clock: The time to go by.
        takes: Tells how long the next call of a task takes.
    """

    lane = "thread"

    def __init__(self, size: int, clock: VirtualClock, takes: Callable[[str], timedelta]) -> None:
        self._size = size
        self._clock = clock
        self._takes = takes
        self._busy: dict[str, Call] = {}
        self._leaked: list[Call] = []
        self._begun: deque[Call] = deque()
        self._ends: list[tuple[timedelta, int, Call, Outcome]] = []
        self._count = 0
        self._done: Callable[[Call, Outcome], None] | None = None

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        """Get ready."""
        self._done = done

    def free(self) -> int:
        """Return how many calls could be submitted now; none while four are leaked."""
        if len(self._leaked) >= LEAK_LIMIT:
            return 0
        return max(0, self._size - len(self._busy))

    def submit(self, call: Call) -> None:
        """Call the function when the lab plays next, which is at the same instant."""
        self._busy[call.run_id] = call
        self._begun.append(call)

    def interrupt(self, run_id: str) -> bool:
        """A plain function cannot be interrupted; it sees ``current_run().stopping``."""
        _ = run_id
        return False

    def abandon(self, run_id: str) -> None:
        """Count the call of *run_id* as leaked and free its place."""
        call = self._busy.pop(run_id, None)
        if call is not None:
            self._leaked.append(call)

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way that was not given up."""
        return bool(self._busy)

    def figures(self) -> PoolFigures:
        """Return how full it is."""
        leaked = tuple(sorted(call.task_id for call in self._leaked))
        return PoolFigures(lane=self.lane, size=self._size, busy=len(self._busy), leaked=leaked)

    def stop(self) -> None:
        """Let go of everything."""
        self._begun.clear()
        self._ends.clear()

    def rest(self) -> timedelta | None:
        """Return in how long a call ends; ``None`` where none is under way."""
        if self._begun:
            return timedelta(0)
        return max(timedelta(0), self._ends[0][0] - self._clock.elapsed) if self._ends else None

    def play(self) -> bool:
        """Call what begins and end what is over; tell whether there was any."""
        if not self._begun and not self._ends:
            return False
        acted = bool(self._begun)
        while self._begun:
            call = self._begun.popleft()
            end = self._clock.elapsed + self._takes(call.task_id)
            self._count += 1
            heapq.heappush(self._ends, (end, self._count, call, called(call)))
        while self._ends and self._ends[0][0] <= self._clock.elapsed:
            _, _, call, outcome = heapq.heappop(self._ends)
            self._end(call, outcome)
            acted = True
        return acted

    def _end(self, call: Call, outcome: Outcome) -> None:
        if self._busy.get(call.run_id) is call:
            del self._busy[call.run_id]
        else:
            self._leaked.remove(call)
        if self._done is not None:
            self._done(call, outcome)
