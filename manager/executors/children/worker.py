"""The inside of a child process: takes one call after the other and tells how each ended."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.run import Reason, RunState
from loggers.forwarding import forward_from, forward_logging
from manager.executors.children.budget import Budget
from manager.executors.children.footprint import changed, footprint
from manager.executors.children.interruption import Interruption, StopSignal
from manager.executors.children.wire import WireError, packed, read

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Mapping
    from contextlib import AbstractContextManager

    from core.records import Fault
    from manager.executors.children.wire import Message

SPEECHLESS: Final = 70
"""Exit code of a worker that cannot say how a call ended."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a worker needs to make calls.

    Attributes:
        find: Gives the function of a call.
        scope: Gives what is entered around it.
        form: Gives the form in which a result is kept.
        fault: Gives what was raised as text.
    """

    find: Callable[[Message], Callable[..., Any]]
    scope: Callable[[Message, threading.Event], AbstractContextManager[None]]
    form: Callable[[object], Any]
    fault: Callable[[BaseException], Fault]


class Worker:
    """Makes calls in the main thread of a child process.

    Args:
        connection: To the supervisor; blocking.
        workshop: What it needs to make calls.
    """

    def __init__(self, connection: socket.socket, workshop: Workshop) -> None:
        self._connection = connection
        self._workshop = workshop
        self._interruption = Interruption()
        self._guard = threading.Lock()
        self._budget: Budget | None = None

    def serve(self) -> None:
        """Make calls until the connection is closed."""
        self._interruption.install()
        forward_logging(self._log)
        forward_from(0)
        while (message := read(self._connection)) is not None:
            if message["kind"] != "call":  # it came too late to stop one
                continue
            forward_from(message["level"])
            self._budget = Budget()
            before = footprint()
            ended = self._made(message)
            self._budget = None
            _flush()
            left = changed(before, footprint())
            if not self._said(ended | {"kind": "done", "changed": left}):
                os._exit(SPEECHLESS)

    def _made(self, message: Message) -> dict[str, Any]:
        """Make a call, and return how it ended; whatever it raises is its own."""
        interruption = self._interruption
        try:
            with interruption.inside():
                value = contextvars.copy_context().run(self._called, message)
            ended = {"state": RunState.COMPLETED, "value": self._workshop.form(value)}
        except BaseException as error:  # noqa: BLE001 - a task's call: whatever it raises is its own
            fault = self._workshop.fault(error)
            ended = {
                "state": RunState.FAILED,
                "reason": Reason.EXCEPTION,
                "fault": {
                    "text": fault.text,
                    "traceback": fault.traceback,
                    "names": sorted(fault.names),
                },
            }
        return ended

    def _called(self, message: Message) -> Any:  # noqa: ANN401 - whatever the function returns
        workshop, interruption = self._workshop, self._interruption
        with workshop.scope(message, StopSignal(self._connection, interruption)):
            func = workshop.find(message)
            value = func(*message["args"], **message["kwargs"])
            return asyncio.run(self._awaited(value)) if inspect.iscoroutine(value) else value

    async def _awaited(self, coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - the same
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._interruption.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            if self._interruption.asked:  # a moment ago
                task.cancel()
        return await coroutine

    def _log(self, record: Mapping[str, Any]) -> None:
        """Send a log record of the call under way, as far as its budget goes."""
        budget = self._budget
        if budget is not None:
            text = budget.cut(str(record["text"]))
            if text is not None:
                self._said({"kind": "log", **record, "text": text})

    def _said(self, message: Mapping[str, Any]) -> bool:
        try:
            with self._interruption.held(), self._guard:
                self._connection.sendall(packed(message))
        except (OSError, ValueError, TypeError, RecursionError, WireError):
            return False
        return True


def _flush() -> None:
    """Send on what was printed; a task may have exchanged or closed the streams."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
