"""What a task can ask while it runs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loggers import log_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

_current: ContextVar[RunContext | None] = ContextVar("taskrack_run", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The run that the calling code is part of.

    Attributes:
        scheduled_for: The instant for which the run was due; aware, UTC.
        attempt: Number of this call, from 1.
        token: Rises with every attempt; give it to systems that must refuse a zombie's writes.
        logger: A logger whose lines carry the run.
        manager: The task manager that runs it; ``None`` in a process of its own.
    """

    run_id: str
    task_id: str
    attempt: int
    scheduled_for: datetime
    token: int
    logger: Any
    manager: Any
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _listeners: list[Callable[[], None]] = field(default_factory=list, repr=False)

    @property
    def stopping(self) -> bool:
        """Whether the task is asked to end: it was cancelled, timed out, or the container stops."""
        return self._stop.is_set()

    def ask_to_stop(self) -> None:
        """Make ``stopping`` true; the engine's verb."""
        self._stop.set()
        for listener in list(self._listeners):
            listener()

    def when_stopping(self, listener: Callable[[], None]) -> None:
        """Call *listener* once the task is asked to end, now if it was; for executors."""
        self._listeners.append(listener)
        if self._stop.is_set():
            listener()


def current_run() -> RunContext | None:
    """Return the run that the calling code is part of; ``None`` outside a run."""
    return _current.get()


@contextmanager
def entered(context: RunContext) -> Iterator[None]:
    """Make *context* the current run inside the block, and put it on every log line there."""
    token = _current.set(context)
    names = {"task_id": context.task_id, "run_id": context.run_id}
    try:
        with log_context(**names, attempt=context.attempt):
            yield
    finally:
        _current.reset(token)
