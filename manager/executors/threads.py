"""Plain functions on a pool of daemon threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import queue
import threading
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from core.records import Outcome, PoolFigures
from core.run import Reason, RunState
from manager.executors.guarded import new_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.records import Call

LEAK_LIMIT: Final = 4
"""So many calls beyond their time limit, and the pool takes no more."""


class ThreadExecutor:
    """Calls functions on up to *size* threads.

    A thread cannot be killed: a call that is abandoned at its time limit goes on, counted and
    named, and its place is taken by a fresh thread, until four have leaked.
    """

    lane = "thread"

    def __init__(self, size: int) -> None:
        self._size = size
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._busy: dict[str, Call] = {}
        self._leaked: list[Call] = []
        self._threads = 0
        self._started = 0
        self._done: Callable[[Call, Outcome], None] | None = None

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        """Get ready; threads are made as calls come."""
        self._done = done

    def free(self) -> int:
        """Return how many calls could be submitted now; none while four are leaked."""
        with self._lock:
            if len(self._leaked) >= LEAK_LIMIT:
                return 0
            return max(0, self._size - len(self._busy))

    def submit(self, call: Call) -> None:
        """Call the function on a free thread.

        Raises:
            RuntimeError: the system gives no more threads; the call is not made.
        """
        with self._lock:
            if self._threads <= len(self._busy):
                self._started += 1
                name = f"taskrack-worker-{self._started}"
                Thread(target=self._work, name=name, daemon=True).start()
                self._threads += 1
            self._busy[call.run_id] = call
        self._calls.put(call)

    def interrupt(self, run_id: str) -> bool:
        """A thread cannot be interrupted; the function sees ``current_run().stopping``."""
        _ = run_id
        return False

    def abandon(self, run_id: str) -> None:
        """Count the call of *run_id* as leaked and free its place."""
        with self._lock:
            call = self._busy.pop(run_id, None)
            if call is not None:
                self._leaked.append(call)
                self._threads -= 1

    def figures(self) -> PoolFigures:
        """Return how full the pool is."""
        with self._lock:
            leaked = tuple(sorted(call.task_id for call in self._leaked))
            return PoolFigures(self.lane, self._size, len(self._busy), leaked)

    def stop(self) -> None:
        """Let idle threads end; busy ones end with their call."""
        with self._lock:
            count, self._threads = self._threads, 0
        for _ in range(count):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._is_last(call):
                return
            del call  # an idle thread keeps nothing of it

    def _is_last(self, call: Call) -> bool:
        """Make *call*; tell whether it was abandoned, so that its thread's place is taken."""
        outcome = called(call)
        with self._lock:
            leaked = self._busy.get(call.run_id) is not call
            if leaked:
                self._leaked.remove(call)
            else:
                del self._busy[call.run_id]
        if self._done is not None:
            self._done(call, outcome)
        return leaked


def called(call: Call) -> Outcome:
    """Call the function in a context of its own, so that nothing of it stays in the thread."""
    try:
        value = contextvars.copy_context().run(_inside, call)
    except BaseException as error:  # noqa: BLE001 - a task's call: whatever it raises is its own
        return Outcome(state=RunState.FAILED, reason=Reason.EXCEPTION, error=error)
    return Outcome(state=RunState.COMPLETED, value=value)


def _inside(call: Call) -> Any:  # noqa: ANN401 - whatever the function returns
    with call.scope():
        value = call.func(*call.args, **call.kwargs)
        if not inspect.iscoroutine(value):
            return value
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(value)
