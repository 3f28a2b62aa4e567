"""What keeps a task on an event loop from harming its neighbours there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from core.records import Call

T = TypeVar("T")
calling: ContextVar[Call | None] = ContextVar("taskrack_call", default=None)
"""The call that the running code is part of; tasks that it makes inherit it."""


class GuardedTask(asyncio.Task[T]):
    """An asyncio task that belongs to the call that made it, and is cancelled by no other.

    ``asyncio.all_tasks()`` names every task of the loop. One call that cancels them all ends what
    is its own, and nothing else.
    """

    def __init__(self, coro: Coroutine[Any, Any, T], **more: Any) -> None:  # noqa: ANN401 - as asyncio has it
        self.owner = calling.get()
        super().__init__(coro, **more)

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ANN401 - as asyncio has it
        """Ask it to end, unless a stranger does; tell whether it was asked."""
        asks = calling.get()
        if asks is not None and asks is not self.owner:
            return False
        return super().cancel(msg)


class Stepped(Coroutine[Any, Any, T]):
    """A coroutine whose steps are timed: between two awaits it has the loop for itself.

    Args:
        inner: The coroutine.
        clock: Seconds that never go back.
        took: Told how many seconds each step took.
    """

    __slots__ = ("_clock", "_inner", "_took")

    def __init__(
        self,
        inner: Coroutine[Any, Any, T],
        clock: Callable[[], float],
        took: Callable[[float], None],
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._took = took

    def send(self, value: Any) -> Any:  # noqa: ANN401 - whatever is awaited
        """Go on until the next await."""
        begun = self._clock()
        try:
            return self._inner.send(value)
        finally:
            self._took(self._clock() - begun)

    def throw(  # type: ignore[override] # the form that asyncio calls
        self,
        kind: BaseException | type[BaseException],
        value: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> Any:  # noqa: ANN401 - the same
        """Go on with an error."""
        begun = self._clock()
        try:
            if isinstance(kind, BaseException):
                return self._inner.throw(kind)
            return self._inner.throw(kind, value, trace)
        finally:
            self._took(self._clock() - begun)

    def close(self) -> None:
        """End it where it stands."""
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._inner.__await__()


def new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop, whatever a task has made of the policy of the process."""
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop()
    return asyncio.SelectorEventLoop()


def guarded(
    loop: asyncio.AbstractEventLoop,
    coro: Coroutine[Any, Any, T],
    **more: Any,  # noqa: ANN401 - as asyncio has it
) -> GuardedTask[T]:
    """Make the tasks of a loop; its task factory."""
    return GuardedTask(coro, loop=loop, **more)
