"""An event loop on which a sleep takes virtual time and no real time."""

from __future__ import annotations

import asyncio
import selectors
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from manager.executors import LoopExecutor
from manager.executors.taskloop import TaskLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.records import Call, Outcome
    from manager.testing.clock import VirtualClock

P = ParamSpec("P")
T = TypeVar("T")


class _Impatient(selectors.DefaultSelector):
    """Never blocks: where the loop would, it notes for how long and stops the loop."""

    def __init__(self, stop: Callable[[float | None], None]) -> None:
        super().__init__()
        self._stop = stop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and (timeout is None or timeout > 0):
            self._stop(timeout)
        return events


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """Goes by a virtual clock and returns from ``run_forever`` when all that is left is to wait.

    Attributes:
        patience: Seconds until the next timer; ``None`` where there is none.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Impatient(self._rest))
        self._virtual = clock
        self._clock_resolution = 1e-6
        self.patience: float | None = None

    def time(self) -> float:
        """Return the virtual clock's monotonic seconds."""
        return self._virtual.monotonic()

    def _rest(self, patience: float | None) -> None:
        self.patience = patience
        self.stop()


class InlinePool(ThreadPoolExecutor):
    """What ``asyncio.to_thread`` goes to: calls at once, in the thread of the test."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call *fn* and return what it came to."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - a task's call: whoever waits gets it
            future.set_exception(error)
        return future


class VirtualLoop(LoopExecutor):
    """The executor of coroutines on a virtual loop, which the lab plays.

    Args:
        clock: The time to go by.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._virtual = clock
        self._due: timedelta | None = None

    def start(self, done: Callable[[Call, Outcome], None]) -> None:
        """Make the loop; it runs only while it is played."""
        self._done = done
        loop = VirtualEventLoop(self._virtual)
        loop.set_default_executor(InlinePool(1))
        self._current = TaskLoop(loop, self._finished, self._virtual.monotonic)

    @property
    def is_busy(self) -> bool:
        """Whether a coroutine is under way that was not given up."""
        return bool(self._busy)

    def rest(self) -> timedelta | None:
        """Return in how long a coroutine goes on; ``None`` where none waits for time."""
        return None if self._due is None else max(timedelta(0), self._due - self._virtual.elapsed)

    def play(self) -> bool:
        """Let coroutines go on until each waits for something; tell whether one ended."""
        loop, before = self._virtual_loop, self._load()
        if not isinstance(loop, VirtualEventLoop) or before == 0:
            return False
        self._run(loop)
        patience = loop.patience
        self._due = None
        if patience is not None and self._load():
            self._due = self._virtual.elapsed + timedelta(seconds=patience)
        return self._load() < before

    def stop(self) -> None:
        """Cancel what is left and let go of the loop."""
        loop, self._current, self._due = self._virtual_loop, None, None
        if not isinstance(loop, VirtualEventLoop):
            return
        for task in asyncio.all_tasks(loop):
            task.cancel()
        self._run(loop)
        loop.set_exception_handler(_ignored)
        loop.close()

    def watch(self, second: float) -> None:
        """Find nothing: what is played takes no real time."""

    @property
    def _virtual_loop(self) -> asyncio.AbstractEventLoop | None:
        return None if self._current is None else self._current.loop

    def _load(self) -> int:
        return len(self._busy) + len(self._leaked)

    @staticmethod
    def _run(loop: VirtualEventLoop) -> None:
        """Run *loop* beside one that may be running: a test may be a coroutine itself."""
        outer = asyncio._get_running_loop()  # noqa: SLF001 - offered to those who make event loops
        asyncio._set_running_loop(None)  # noqa: SLF001 - the same
        try:
            loop.run_forever()
        finally:
            asyncio._set_running_loop(outer)  # noqa: SLF001 - the same


def _ignored(_loop: asyncio.AbstractEventLoop, _context: dict[str, Any]) -> None:
    """Say nothing of coroutines that did not let themselves be cancelled."""
