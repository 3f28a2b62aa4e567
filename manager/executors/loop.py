"""Coroutine functions on an event loop of their own thread; on a fresh one where it is blocked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from core.clock import SystemClock
from core.errors import StateError
from core.records import PoolFigures
from loggers import get_logger
from manager.executors.guarded import new_loop
from manager.executors.taskloop import PATIENCE, TaskLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.clock import Clock
    from core.records import Call, Outcome

SIZE: Final = 1_000
BLOCKED_LIMIT: Final = 4
"""So many blocked loops, and no coroutine is started until one of them goes on."""
_STOP_SECONDS: Final = 2.0
_log = get_logger("taskrack")


class LoopExecutor:
    """Runs up to a thousand coroutines at once on one loop, apart from the application's own.

    A coroutine that does not let go of the loop is noticed and named. Until it does, new calls go
    to a fresh loop; the others on the blocked one go on when it does.
    """

    lane = "loop"

    def __init__(self, size: int = SIZE, clock: Clock | None = None) -> None:
        self._size = size
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._busy: dict[str, Call] = {}
        self._leaked: list[Call] = []
        self._homes: dict[str, TaskLoop] = {}
        self._current: TaskLoop | None = None
        self._old: list[TaskLoop] = []
        self._blockers: dict[TaskLoop, str] = {}
        self._made = 0
        self._done: Callable[[Call, Outcome], None] | None = None

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        """Start the loop's thread."""
        self._done = done
        self._current = self._fresh()

    def free(self) -> int:
        """Return how many coroutines could be started now; none while four loops are blocked."""
        with self._lock:
            if self._current is None:
                return 0
            return max(0, self._size - len(self._busy) - len(self._leaked))

    def submit(self, call: Call) -> None:
        """Start the coroutine, soon.

        Raises:
            StateError: the executor is not started, or all its loops are blocked.
        """
        with self._lock:
            if self._current is None:
                why = "each is blocked" if self._blockers else "it is not started"
                raise StateError(f"no event loop of tasks takes a call: {why}")
            self._current.submit(call)
            self._homes[call.run_id] = self._current
            self._busy[call.run_id] = call

    def interrupt(self, run_id: str) -> bool:
        """Cancel the coroutine of *run_id* at its next await."""
        home = self._homes.get(run_id)
        if home is not None:  # else it has just ended
            home.interrupt(run_id)
        return self._current is not None or bool(self._old)

    def abandon(self, run_id: str) -> None:
        """Count the coroutine of *run_id* as leaked: it does not let itself be cancelled."""
        with self._lock:
            call = self._busy.pop(run_id, None)
            if call is not None:
                self._leaked.append(call)

    def figures(self) -> PoolFigures:
        """Return how full the loop is."""
        with self._lock:
            leaked = tuple(sorted(call.task_id for call in self._leaked))
            blocked = tuple(sorted(self._blockers.values()))
            busy = len(self._busy)
            return PoolFigures(self.lane, self._size, busy, leaked, blocked)

    def watch(self, second: float) -> None:
        """Notice loops that are blocked, and those that go on; called at least each second.

        Args:
            second: Of the monotonic clock.
        """
        for loop in ([] if self._current is None else [self._current]) + self._old:
            silent = loop.silence(second)
            if loop.blocked_since is None and silent >= PATIENCE:
                self._leave(loop, second - silent)
            elif loop.blocked_since is not None and silent == 0:
                self._regain(loop, second)
            while loop.slow:
                name, seconds = loop.slow.pop(0)
                text = "%s: kept its event loop for %.1f s; no other coroutine on it went on"
                _log.error(text, name, seconds)
            if loop is not self._current and loop.blocked_since is None and loop.load == 0:
                self._old.remove(loop)
                loop.stop(0)

    def stop(self) -> None:
        """End the loops; a coroutine that blocks one is left to its daemon thread."""
        loops = self._old if self._current is None else [self._current, *self._old]
        self._current, self._old = None, []
        patience = _STOP_SECONDS
        for loop in loops:
            begun = self._clock.monotonic()
            loop.stop(0 if loop.blocked_since is not None else max(0.0, patience))
            patience -= self._clock.monotonic() - begun

    def _fresh(self) -> TaskLoop:
        """Return a new loop that runs."""
        self._made += 1
        made = TaskLoop(new_loop(), self._finished, self._clock.monotonic)
        made.serve(self._made)
        return made

    def _leave(self, loop: TaskLoop, since: float) -> None:
        """Name what blocks *loop*, and let new calls go to a fresh one."""
        loop.blocked_since = since
        name, stack = loop.culprit()
        with self._lock:
            self._blockers[loop] = name
            if loop is self._current:
                self._old.append(loop)
                self._current = None
            self._replace()
            self._move(loop)
            waiting, where = max(0, loop.load - 1), "go to a fresh loop"
            if self._current is None:
                where = f"wait: {BLOCKED_LIMIT} loops are blocked"
        text = (
            "%s: blocks its event loop; %s other coroutines on it wait, new ones %s. Its stack:\n%s"
        )
        _log.error(text, name, waiting, where, stack)

    def _move(self, loop: TaskLoop) -> None:
        """Let what *loop* has not begun yet begin on the one for new calls."""
        if self._current is not None:
            for call in loop.take_back():
                self._current.submit(call)
                self._homes[call.run_id] = self._current

    def _regain(self, loop: TaskLoop, second: float) -> None:
        """Let a loop that was blocked go on, and end when it is empty."""
        since, loop.blocked_since = loop.blocked_since or second, None
        with self._lock:
            name = self._blockers.pop(loop)
            self._replace()
        loop.slow.clear()  # told already
        _log.warning("%s: let go of its event loop after %.1f s", name, second - since)

    def _replace(self) -> None:
        """Have a loop for new calls, as long as not too many are blocked."""
        if self._current is None and len(self._blockers) < BLOCKED_LIMIT:
            self._current = self._fresh()

    def _finished(self, call: Call, outcome: Outcome) -> None:
        with self._lock:
            if self._busy.get(call.run_id) is call:
                del self._busy[call.run_id]
                self._homes.pop(call.run_id, None)
            else:
                self._leaked.remove(call)
        if self._done is not None:
            self._done(call, outcome)
