"""One event loop with the calls that run on it."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from core.records import Outcome
from core.run import Reason, RunState
from manager.executors.daemons import DaemonPool
from manager.executors.guarded import Stepped, calling, guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.records import Call

PATIENCE: Final = 1.0
"""A loop that has not answered for so many seconds is blocked."""
_AWAY: Final = 2.0
"""Who has not looked for so long was away himself."""
_FRAMES: Final = 12


class TaskLoop:
    """Runs coroutines on *loop*, in a thread of its own once ``serve`` is called.

    Args:
        loop: Not running yet.
        ended: Called in the loop with each call and its outcome.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[Call, Outcome], None],
        clock: Callable[[], float],
    ) -> None:
        self.loop = loop
        self.load = 0
        self.blocked_since: float | None = None
        self.slow: list[tuple[str, float]] = []
        self._ended = ended
        self._clock = clock
        self._lock = threading.Lock()
        self._coming: dict[int, Call] = {}
        self._taken: dict[int, Call] = {}
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._interrupted: set[asyncio.Task[Any]] = set()
        self._thread: Thread | None = None
        self._stopping = False
        self._asked: float | None = None
        self._seen = 0.0
        loop.set_task_factory(guarded)  # type: ignore[arg-type] # its parameters are those of a task

    def serve(self, number: int) -> None:
        """Run the loop in a daemon thread."""
        self.loop.set_default_executor(DaemonPool())
        name = "taskrack-loop" if number == 1 else f"taskrack-loop-{number}"
        self._thread = Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Call) -> None:
        """Start the coroutine, soon.

        Raises:
            RuntimeError: the loop is closed.
        """
        with self._lock:
            self.loop.call_soon_threadsafe(self._spawn, call)
            self._coming[id(call)] = call
            self.load += 1

    def take_back(self) -> list[Call]:
        """Return the calls that were not begun yet; the loop will not begin them."""
        with self._lock:
            taken = list(self._coming.values())
            self._taken |= self._coming
            self._coming.clear()
            self.load -= len(taken)
        return taken

    def interrupt(self, run_id: str) -> None:
        """Cancel the coroutine of *run_id* at its next await."""
        with suppress(RuntimeError):  # closed: nothing of it is left
            self.loop.call_soon_threadsafe(self._cancel, run_id)

    def silence(self, second: float) -> float:
        """Return for how many seconds the loop has not answered, and ask it again if it has.

        An asker who was away himself, as a process that was stopped, starts anew.
        """
        away, self._seen = second - self._seen > _AWAY, second
        if self._asked is None:
            if self.load:
                self._asked = second
                self.loop.call_soon_threadsafe(self._answer)
            return 0.0
        if away and self.blocked_since is None:
            self._asked = second
        return second - self._asked

    def culprit(self) -> tuple[str, str]:
        """Return which task has the loop for itself, and the stack of its thread."""
        running = asyncio.current_task(self.loop)
        owner = getattr(running, "owner", None)
        name = "a callback" if running is None else running.get_name()
        if owner is not None:
            name = owner.task_id
        frame = None if self._thread is None else sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - the only way to see another thread's stack
        stack = traceback.format_stack(frame)[-_FRAMES:] if frame is not None else []
        return name, "".join(stack).rstrip()

    def stop(self, patience: float) -> None:
        """End the loop; a coroutine that blocks it is left to its daemon thread."""
        self._stopping = True
        if self._thread is not None:
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(patience)

    def _answer(self) -> None:
        self._asked = None

    def _serve(self) -> None:
        loop = self.loop
        while not self._stopping:  # a task may stop the loop, or raise through it from a callback
            with suppress(SystemExit, KeyboardInterrupt):
                loop.run_forever()
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        with suppress(SystemExit, KeyboardInterrupt, RuntimeError):
            loop.run_until_complete(asyncio.wait(left, timeout=1) if left else _nothing())
            loop.run_until_complete(loop.shutdown_asyncgens())
        with suppress(RuntimeError):
            loop.close()

    def _spawn(self, call: Call) -> None:
        if self._taken.pop(id(call), None) is not None:
            return
        token = calling.set(call)
        steps = Stepped(self._called(call), self._clock, partial(self._stepped, call))
        task = guarded(self.loop, steps, name=call.task_id)
        calling.reset(token)
        self._tasks[call.run_id] = task
        task.add_done_callback(partial(self._finished, call))

    def _stepped(self, call: Call, seconds: float) -> None:
        if seconds >= PATIENCE:
            self.slow.append((call.task_id, seconds))

    def _cancel(self, run_id: str) -> None:
        task = self._tasks.get(run_id)
        if task is not None:
            self._interrupted.add(task)
            task.cancel()

    def _finished(self, call: Call, task: asyncio.Task[Outcome]) -> None:
        cancelled = Outcome(state=RunState.CANCELLED, reason=Reason.REQUESTED)
        outcome = cancelled if task.cancelled() else task.result()
        if self._tasks.get(call.run_id) is task:  # else it is a later attempt's
            del self._tasks[call.run_id]
        self._interrupted.discard(task)
        with self._lock:
            self._coming.pop(id(call), None)  # where it was cancelled before it began
            if self._taken.pop(id(call), None) is not None:
                return
            self.load -= 1
        self._ended(call, outcome)

    async def _called(self, call: Call) -> Outcome:
        with self._lock:
            if self._coming.pop(id(call), None) is None:
                return Outcome(state=RunState.CANCELLED)  # taken back: another loop has it
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
