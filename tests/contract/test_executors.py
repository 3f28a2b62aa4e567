"""The promise of an executor, kept by threads and by the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import queue
import threading
import weakref
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.errors import StateError
from core.records import Call, Outcome
from core.run import Reason, RunState
from manager.executors import LoopExecutor, ThreadExecutor
from manager.executors.threads import LEAK_LIMIT
from tests.tools import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZE: Final = 6
SECONDS: Final = 10
VALUE: contextvars.ContextVar[str] = contextvars.ContextVar("value", default="clean")


class Bench:
    """An executor at work, with calls that say what they do."""

    def __init__(self, executor: ThreadExecutor | LoopExecutor) -> None:
        self.executor = executor
        self.is_loop = isinstance(executor, LoopExecutor)
        self.outcomes: queue.SimpleQueue[tuple[Call, Outcome]] = queue.SimpleQueue()
        executor.start(lambda call, outcome: self.outcomes.put((call, outcome)))

    def call(self, func: Callable[[], Any], run_id: str = "run", token: int = 1) -> Call:
        """Submit *func*, as a coroutine function where the executor takes those."""

        async def alike() -> Any:  # noqa: ANN401 - whatever it returns
            return func()

        return self.submit(alike if self.is_loop else func, run_id, token)

    def submit(self, func: Callable[[], Any], run_id: str = "run", token: int = 1) -> Call:
        """Submit *func* as it is."""
        call = Call(
            run_id=run_id,
            task_id=f"task-of-{run_id}",
            token=token,
            func=func,
            args=(),
            kwargs={},
            scope=nullcontext,
        )
        self.executor.submit(call)
        return call

    def blocked(self, run_id: str = "run", token: int = 1) -> Callable[[], None]:
        """Submit a call that goes on, whatever it is asked, until what is returned is called."""
        begun, release = threading.Event(), threading.Event()

        def blocks() -> None:
            begun.set()
            release.wait(SECONDS)

        async def ignores() -> None:
            begun.set()
            while not release.is_set():
                try:
                    await asyncio.sleep(0.005)
                except asyncio.CancelledError:
                    continue

        self.submit(ignores if self.is_loop else blocks, run_id, token)
        assert begun.wait(SECONDS)
        return release.set

    def next(self) -> tuple[Call, Outcome]:
        """Wait for the next call to end."""
        return self.outcomes.get(timeout=SECONDS)

    def outcome(self) -> Outcome:
        """Wait for the next call to end, and return how."""
        return self.next()[1]


@pytest.fixture(params=["thread", "loop"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Give a started executor of each kind."""
    built = Bench(ThreadExecutor(SIZE) if request.param == "thread" else LoopExecutor(SIZE))
    yield built
    built.executor.stop()


@pytest.fixture
def loop() -> Iterator[Bench]:
    """Give a started event loop."""
    built = Bench(LoopExecutor(SIZE))
    yield built
    built.executor.stop()


def raising(error: BaseException) -> Callable[[], None]:
    """Return a function that raises *error*."""

    def raises() -> None:
        raise error

    return raises


def test_a_call_gives_the_very_object_that_the_function_returned(bench: Bench) -> None:
    """The call that was submitted comes back with it, once."""
    gift = object()
    call = bench.call(lambda: gift)
    ended, outcome = bench.next()
    assert ended is call
    assert (outcome.state, outcome.value) == (RunState.COMPLETED, gift)
    assert outcome.value is gift
    eventually(lambda: bench.executor.figures().busy == 0)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        StopIteration(1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_call_raises_is_its_own_failure(bench: Bench, error: BaseException) -> None:
    """The executor goes on and takes the next call."""
    bench.call(raising(error))
    outcome = bench.outcome()
    assert (outcome.state, outcome.reason) == (RunState.FAILED, Reason.EXCEPTION)
    if not isinstance(error, StopIteration):  # a coroutine turns it into a RuntimeError
        assert type(outcome.error) is type(error)
    bench.call(lambda: "next")
    assert bench.outcome().value == "next"


def test_a_scope_that_raises_is_a_failure_too(bench: Bench) -> None:
    """What is entered around the call is part of it."""

    @contextmanager
    def broken() -> Iterator[None]:
        raise LookupError("scope")
        yield

    async def alike() -> None: ...

    func = alike if bench.is_loop else int
    call = Call(run_id="r", task_id="t", token=1, func=func, args=(), kwargs={}, scope=broken)
    bench.executor.submit(call)
    assert isinstance(bench.outcome().error, LookupError)


def test_free_places_are_counted(bench: Bench) -> None:
    """Each call under way takes one, its end gives it back."""
    releases = [bench.blocked(str(number)) for number in range(2)]
    assert bench.executor.free() == SIZE - 2
    assert bench.executor.figures().busy == 2
    for release in releases:
        release()
        bench.next()
    assert bench.executor.free() == SIZE


def test_an_abandoned_call_is_leaked_until_it_ends(bench: Bench) -> None:
    """Its task is named meanwhile; its end is told and gives the place back."""
    release = bench.blocked()
    bench.executor.abandon("run")
    assert bench.executor.figures().leaked == ("task-of-run",)
    assert bench.executor.figures().busy == 0
    bench.call(lambda: "beside it", "other")
    assert bench.outcome().value == "beside it"
    release()
    assert bench.next()[0].run_id == "run"
    assert bench.executor.figures().leaked == ()
    assert bench.executor.free() == SIZE


def test_a_second_attempt_beside_a_leaked_first_is_counted_apart(bench: Bench) -> None:
    """The end of the first is not taken for that of the second, nor the other way round."""
    first = bench.blocked("run", 1)
    bench.executor.abandon("run")
    second = bench.blocked("run", 2)
    first()
    assert bench.next()[0].token == 1
    figures = bench.executor.figures()
    assert (figures.busy, figures.leaked) == (1, ())
    second()
    assert bench.next()[0].token == 2
    figures = bench.executor.figures()
    assert (figures.busy, figures.leaked) == (0, ())

    first = bench.blocked("run", 3)
    bench.executor.abandon("run")
    second = bench.blocked("run", 4)
    second()
    assert bench.next()[0].token == 4
    assert bench.executor.figures().leaked == ("task-of-run",)
    first()
    assert bench.next()[0].token == 3
    assert bench.executor.free() == SIZE


def test_abandoning_what_is_over_leaks_nothing(bench: Bench) -> None:
    """The call ended first; an unknown run is nobody's."""
    bench.call(lambda: None)
    bench.next()
    bench.executor.abandon("run")
    bench.executor.abandon("unknown")
    assert bench.executor.figures().leaked == ()
    bench.call(lambda: "goes on")
    assert bench.outcome().value == "goes on"


def test_context_variables_do_not_leak_from_call_to_call(bench: Bench) -> None:
    """What one call sets, the next in the same thread or loop does not see."""
    seen: list[str] = []

    def sets() -> None:
        seen.append(VALUE.get())
        VALUE.set("dirty")

    for number in range(3):
        bench.call(sets, str(number))
        assert bench.outcome().state is RunState.COMPLETED
    assert seen == ["clean"] * 3


def test_an_idle_executor_keeps_nothing_of_its_last_call(bench: Bench) -> None:
    """A large result is not held until the next call comes."""

    class Large: ...

    made: list[weakref.ref[Large]] = []

    def gives() -> Large:
        large = Large()
        made.append(weakref.ref(large))
        return large

    bench.call(gives)
    bench.next()
    del gives

    def is_gone() -> bool:
        gc.collect()
        return made[0]() is None

    eventually(is_gone)


def test_stopping_twice_is_harmless(bench: Bench) -> None:
    """The second finds nothing to do."""
    bench.call(lambda: None)
    bench.next()
    bench.executor.stop()
    bench.executor.stop()


def test_a_coroutine_is_interrupted_at_its_next_await(loop: Bench) -> None:
    """It is CANCELLED on request; a plain cancel of its own making is a failure instead."""
    begun = threading.Event()

    async def waits() -> None:
        begun.set()
        await asyncio.sleep(SECONDS)

    loop.submit(waits)
    begun.wait(SECONDS)
    assert loop.executor.interrupt("run") is True
    outcome = loop.outcome()
    assert (outcome.state, outcome.reason) == (RunState.CANCELLED, Reason.REQUESTED)
    assert loop.executor.free() == SIZE


def test_a_coroutine_that_is_interrupted_before_it_began_ends_too(loop: Bench) -> None:
    """It is told once, as CANCELLED."""
    holds = threading.Event()
    loop.submit(lambda: _held(holds), "first")
    loop.submit(lambda: asyncio.sleep(SECONDS), "second")
    loop.executor.interrupt("second")
    holds.set()
    ended = {call.run_id: outcome.state for call, outcome in (loop.next(), loop.next())}
    assert ended == {"first": RunState.COMPLETED, "second": RunState.CANCELLED}


async def _held(holds: threading.Event) -> None:
    holds.wait(SECONDS)


def test_a_thread_cannot_be_interrupted() -> None:
    """It says so, and the call goes on to its own end."""
    bench = Bench(ThreadExecutor(1))
    release = bench.blocked()
    assert bench.executor.interrupt("run") is False
    release()
    assert bench.outcome().state is RunState.COMPLETED
    bench.executor.stop()


def test_a_pool_with_four_leaked_threads_takes_no_more() -> None:
    """One of them ends, and it goes on."""
    bench = Bench(ThreadExecutor(SIZE))
    releases = []
    for number in range(LEAK_LIMIT):
        releases.append(bench.blocked(str(number)))
        bench.executor.abandon(str(number))
    assert bench.executor.free() == 0
    releases.pop()()
    bench.next()
    assert bench.executor.free() == SIZE
    for release in releases:
        release()
        bench.next()
    bench.executor.stop()


def test_a_pool_makes_no_more_threads_than_calls_at_once() -> None:
    """Fifty calls one after another are made by one thread."""
    bench = Bench(ThreadExecutor(SIZE))
    names: set[str] = set()
    for number in range(50):
        bench.call(lambda: names.add(threading.current_thread().name), str(number))
        bench.next()
        eventually(lambda: bench.executor.free() == SIZE)
    assert len(names) == 1
    bench.executor.stop()


def test_a_thread_that_cannot_be_made_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal is the caller's to handle; the next call finds the pool in order."""
    bench = Bench(ThreadExecutor(1))

    def refuses(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuses)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            bench.call(lambda: None)
    assert bench.executor.free() == 1
    bench.call(lambda: "made")
    assert bench.outcome().value == "made"
    bench.executor.stop()


def test_a_plain_function_that_returns_a_coroutine_is_awaited() -> None:
    """A decorator that hides ``async def`` costs a thread and loses nothing."""
    bench = Bench(ThreadExecutor(1))

    async def inner() -> str:
        await asyncio.sleep(0)
        return "awaited"

    bench.submit(lambda: inner())  # noqa: PLW0108 - the function itself would be a coroutine's
    assert bench.outcome().value == "awaited"
    bench.executor.stop()


def test_a_task_that_stops_the_loop_stops_nothing(loop: Bench) -> None:
    """Its own call and the next one complete."""

    async def stops() -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return "still here"

    loop.submit(stops)
    assert loop.outcome().value == "still here"
    loop.call(lambda: "next")
    assert loop.outcome().value == "next"


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_an_exit_in_a_callback_does_not_end_the_loop(loop: Bench, error: BaseException) -> None:
    """What a coroutine left behind raises through the loop, which goes on."""

    async def leaves() -> None:
        asyncio.get_running_loop().call_soon(raising(error))

    loop.submit(leaves)
    loop.next()
    loop.call(lambda: "next")
    assert loop.outcome().value == "next"


def test_a_loop_that_is_not_started_takes_nothing() -> None:
    """The state is wrong, and is named."""
    executor = LoopExecutor()
    call = Call(run_id="r", task_id="t", token=1, func=int, args=(), kwargs={}, scope=nullcontext)
    with pytest.raises(StateError, match="not started"):
        executor.submit(call)
    assert executor.interrupt("r") is False
    assert executor.figures().busy == 0
