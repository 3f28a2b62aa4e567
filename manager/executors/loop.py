"""Coroutine functions on an event loop of their own thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from core.errors import StateError
from core.records import Outcome, PoolFigures
from core.run import Reason, RunState
from manager.executors.daemons import DaemonPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.records import Call

SIZE: Final = 1_000
_STOP_SECONDS: Final = 2.0


class LoopExecutor:
    """Runs up to a thousand coroutines at once on one loop, apart from the application's own."""

    lane = "loop"

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._busy: dict[str, Call] = {}
        self._leaked: list[Call] = []
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._interrupted: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._stopping = False
        self._done: Callable[[Call, Outcome], None] | None = None

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        """Start the loop's thread."""
        self._done = done
        self._stopping = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(DaemonPool())
        self._thread = Thread(target=self._serve, name="taskrack-loop", daemon=True)
        self._thread.start()

    def free(self) -> int:
        """Return how many coroutines could be started now."""
        with self._lock:
            return max(0, self._size - len(self._busy) - len(self._leaked))

    def submit(self, call: Call) -> None:
        """Start the coroutine, soon.

        Raises:
            StateError: the executor is not started.
        """
        if self._loop is None:
            raise StateError("the event loop of tasks is not started")
        with self._lock:
            self._loop.call_soon_threadsafe(self._spawn, call)
            self._busy[call.run_id] = call

    def interrupt(self, run_id: str) -> bool:
        """Cancel the coroutine of *run_id* at its next await."""
        if self._loop is None:
            return False
        self._loop.call_soon_threadsafe(self._cancel, run_id)
        return True

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
            return PoolFigures(lane=self.lane, size=self._size, busy=len(self._busy), leaked=leaked)

    def stop(self) -> None:
        """End the loop; a coroutine that blocks it is left to its daemon thread."""
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        self._stopping = True
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_SECONDS)

    def _serve(self) -> None:
        loop = self._loop
        if loop is None:
            return
        while not self._stopping:  # a task may stop the loop, or raise through it from a callback
            with suppress(SystemExit, KeyboardInterrupt):
                loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left, timeout=1) if left else _nothing())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _spawn(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._called(call), name=call.task_id)
        self._tasks[call.run_id] = task
        task.add_done_callback(partial(self._finished, call))

    def _cancel(self, run_id: str) -> None:
        task = self._tasks.get(run_id)
        if task is not None:
            self._interrupted.add(task)
            task.cancel()

    def _finished(self, call: Call, task: asyncio.Task[Outcome]) -> None:
        cancelled = Outcome(state=RunState.CANCELLED, reason=Reason.REQUESTED)
        outcome = cancelled if task.cancelled() else task.result()
        with self._lock:
            if self._busy.get(call.run_id) is call:
                del self._busy[call.run_id]
            else:
                self._leaked.remove(call)
        if self._tasks.get(call.run_id) is task:  # else it is a later attempt's
            del self._tasks[call.run_id]
        self._interrupted.discard(task)
        if self._done is not None:
            self._done(call, outcome)

    async def _called(self, call: Call) -> Outcome:
        try:
            with call.scope():
                value = await call.func(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001 - a task's call: whatever it raises is its own
            asked = asyncio.current_task() in self._interrupted
            if isinstance(error, asyncio.CancelledError) and asked:
                return Outcome(state=RunState.CANCELLED, reason=Reason.REQUESTED, error=error)
            return Outcome(state=RunState.FAILED, reason=Reason.EXCEPTION, error=error)
        return Outcome(state=RunState.COMPLETED, value=value)


async def _nothing() -> None:
    """Give ``run_until_complete`` something that is complete."""
