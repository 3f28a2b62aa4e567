"""Threads for ``asyncio.to_thread`` that never hold the interpreter."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Work = Callable[[], None]
SIZE: Final = 32


class DaemonPool(ThreadPoolExecutor):
    """A pool on daemon threads, which the interpreter does not wait for at its exit.

    It is a ``ThreadPoolExecutor`` because an event loop takes nothing else as its default.
    """

    def __init__(self, size: int = SIZE) -> None:
        super().__init__(size)
        self._size = size
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._alive = 0
        self._pending = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call *fn* on a free thread, a new one while there are fewer than its size.

        Raises:
            RuntimeError: the pool is shut down.
        """
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - a task's call: whoever waits gets it
                future.set_exception(error)

        with self._guard:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._pending += 1
            self._work.put(work)
            if self._alive < min(self._pending, self._size):
                self._alive += 1
                name = f"taskrack-to-thread-{self._alive}"
                Thread(target=self._serve, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let idle threads end; busy ones end with their call, whatever *wait* says."""
        _ = wait, cancel_futures
        with self._guard:
            self._closed = True
            for _number in range(self._alive):
                self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._guard:
                self._pending -= 1
