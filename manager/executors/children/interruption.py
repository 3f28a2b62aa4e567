"""How a call in a child process hears that it is asked to end."""

from __future__ import annotations

import select
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from manager.executors.children.wire import read

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType


class Interruption:
    """Turns SIGTERM into an exception inside the call: cancellation of a coroutine, else an exit.

    Both let ``finally`` blocks run. While something must not be cut in two, it waits.

    Attributes:
        asked: Whether the call was asked to end; its process makes no other then.
        cancel: Cancels the coroutine that is called, if one is.
    """

    def __init__(self) -> None:
        self.asked = False
        self.cancel: Callable[[], object] | None = None
        self._inside = False
        self._held = 0
        self._main = threading.get_ident()

    def install(self) -> None:
        """Listen from now on; called in the main thread."""
        signal.signal(signal.SIGTERM, self._heard)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let the block be interrupted, at once if it was asked for before it began."""
        self._inside = True
        try:
            if self.asked:
                self._raise()
            yield
        finally:
            self._inside, self.cancel = False, None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Interrupt the main thread not inside the block, but at its end."""
        if threading.get_ident() != self._main:
            yield
            return
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self.asked and self.cancel is None:
            self._raise()

    def _heard(self, number: int, frame: FrameType | None) -> None:
        _ = number, frame
        self.asked = True
        if self.cancel is not None:
            self.cancel()
        else:
            self._raise()

    def _raise(self) -> None:
        if self._inside and not self._held:
            self._inside = False  # once
            raise SystemExit("the run was asked to end")


class StopSignal(threading.Event):
    """Whether a run was asked to end: looks at the connection whenever somebody asks.

    Args:
        connection: Nothing but the wish comes over it while a call is made.
        interruption: Knows of SIGTERM.
    """

    def __init__(self, connection: socket.socket, interruption: Interruption) -> None:
        super().__init__()
        self._connection = connection
        self._interruption = interruption
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._guard = threading.Lock()

    def is_set(self) -> bool:
        """Tell whether it is so by now."""
        if self._interruption.asked:
            self.set()
        with self._interruption.held(), self._guard:
            while not super().is_set() and self._poll.poll(0):
                read(self._connection)
                self.set()
        return super().is_set()
