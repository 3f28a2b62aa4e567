"""Isolated tasks in a lab: called in the test's own process, ended as a process would be."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from core.definition import is_coroutine_function
from core.records import Outcome
from core.run import Reason, RunState
from manager.testing.calls import VirtualThreads

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from core.records import Call
    from manager.testing.clock import VirtualClock
    from manager.testing.loops import VirtualLoop


class VirtualProcesses(VirtualThreads):
    """The executor of isolated tasks, which the lab plays.

    Coroutines go to the lab's loop, and count there. A plain function takes the time that it is
    said to, as one that is not isolated, but is over when it is asked to end: a process can be
    killed. Limits of memory and processor time are not looked at.

    Args:
        size: Most plain functions at once.
        clock: The time to go by.
        takes: Tells how long the next call of a task takes.
        loop: Runs the coroutines.
    """

    lane = "process"

    def __init__(
        self, size: int, clock: VirtualClock, takes: Callable[[str], timedelta], loop: VirtualLoop
    ) -> None:
        super().__init__(size, clock, takes)
        self._loop = loop

    def submit(self, call: Call) -> None:
        """Call the function when the lab plays next, which is at the same instant."""
        if is_coroutine_function(call.func):
            self._loop.submit(call)
        else:
            super().submit(call)

    def interrupt(self, run_id: str) -> bool:
        """End the call of *run_id*, or cancel its coroutine."""
        call = self._busy.get(run_id)
        if call is None:
            return self._loop.interrupt(run_id)
        self._begun = deque(each for each in self._begun if each is not call)
        self._ends = [each for each in self._ends if each[2] is not call]
        heapq.heapify(self._ends)
        self._end(call, Outcome(state=RunState.CANCELLED, reason=Reason.REQUESTED))
        return True

    def abandon(self, run_id: str) -> None:
        """Count a coroutine that does not let itself be cancelled as leaked, in the loop."""
        self._loop.abandon(run_id)
