"""The executors of the test kit end calls as those that they stand for."""

from __future__ import annotations

import asyncio
import contextvars
import queue
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.records import Call, Outcome
from core.run import RunState
from manager.executors import LoopExecutor, ThreadExecutor
from manager.testing import VirtualClock
from manager.testing.calls import VirtualThreads
from manager.testing.loops import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE: contextvars.ContextVar[str] = contextvars.ContextVar("kit_value", default="clean")
NO_TIME: Final = timedelta(0)


def returns() -> dict[str, int]:
    return {"rows": 3}


def sets_a_variable() -> str:
    before = VALUE.get()
    VALUE.set("dirty")
    return before


def raising(error: BaseException) -> Callable[[], None]:
    def raises() -> None:
        raise error

    return raises


CALLS: Final = {
    "returns": returns,
    "sets-a-variable": sets_a_variable,
    "ValueError": raising(ValueError("no")),
    "SystemExit": raising(SystemExit(3)),
    "KeyboardInterrupt": raising(KeyboardInterrupt()),
    "GeneratorExit": raising(GeneratorExit()),
    "CancelledError": raising(asyncio.CancelledError()),
    "StopIteration": raising(StopIteration(1)),
}


def call_of(func: Callable[[], Any], number: int, *, loop: bool) -> Call:
    async def alike() -> Any:  # noqa: ANN401 - whatever it returns
        await asyncio.sleep(0)
        return func()

    return Call(
        run_id=f"run-{number}",
        task_id="task",
        token=1,
        func=alike if loop else func,
        args=(),
        kwargs={},
        scope=nullcontext,
    )


def told(outcome: Outcome) -> tuple[object, ...]:
    error = outcome.error
    return outcome.state, outcome.reason, outcome.value, type(error), str(error)


@pytest.mark.parametrize("func", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("lane", ["thread", "loop"])
def test_a_call_ends_as_it_would_in_production(lane: str, func: Callable[[], Any]) -> None:
    """State, reason, value and error are the same, at the first call and at the second."""
    clock, loop = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)), lane == "loop"
    real = LoopExecutor() if loop else ThreadExecutor(2)
    virtual = VirtualLoop(clock) if loop else VirtualThreads(2, clock, lambda _task: NO_TIME)
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    played: list[Outcome] = []
    real.start(lambda _call, outcome: outcomes.put(outcome))
    virtual.start(lambda _call, outcome: played.append(outcome))
    for number in range(2):
        real.submit(call_of(func, number, loop=loop))
        virtual.submit(call_of(func, number, loop=loop))
        virtual.play()
        assert told(played[-1]) == told(outcomes.get(timeout=10))
    assert real.lane == virtual.lane
    assert virtual.figures().busy == 0
    real.stop()
    virtual.stop()
    assert VALUE.get() == "clean"


def test_a_coroutine_that_is_interrupted_is_cancelled() -> None:
    """At its await; what it catches, it may go on from."""
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    virtual, played = VirtualLoop(clock), list[Outcome]()
    virtual.start(lambda _call, outcome: played.append(outcome))

    async def sleeps() -> None:
        await asyncio.sleep(60)

    async def resists() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
        return "done"

    for number, func in enumerate((sleeps, resists)):
        virtual.submit(
            Call(
                run_id=f"run-{number}", task_id="t", token=1, func=func, args=(), kwargs={},
                scope=nullcontext,
            )
        )  # fmt: skip
        virtual.play()
        assert virtual.rest() == timedelta(seconds=60)
        assert virtual.interrupt(f"run-{number}")
        virtual.play()
    assert [outcome.state for outcome in played] == [RunState.CANCELLED]
    assert virtual.rest() == timedelta(seconds=5)
    clock.advance(timedelta(seconds=5))
    virtual.play()
    assert (played[-1].state, played[-1].value) == (RunState.COMPLETED, "done")
    assert virtual.rest() is None
    virtual.stop()


def test_four_functions_beyond_their_limit_close_the_virtual_pool_too() -> None:
    """Their places come back when the time that they take is over."""
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    pool, played = VirtualThreads(10, clock, lambda _task: timedelta(hours=1)), list[Outcome]()
    pool.start(lambda _call, outcome: played.append(outcome))
    for number in range(4):
        pool.submit(call_of(returns, number, loop=False))
        pool.play()
        pool.abandon(f"run-{number}")
    assert (pool.free(), pool.figures().leaked) == (0, ("task",) * 4)
    clock.advance(timedelta(hours=1))
    pool.play()
    assert (pool.free(), pool.figures().leaked, len(played)) == (10, (), 4)
