"""Coroutines that do not let go of their event loop, and those that attack their neighbours."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from core.records import Call, Outcome
from core.run import RunState
from manager.executors import LoopExecutor, ThreadExecutor
from manager.executors.guarded import Stepped
from manager.executors.loop import BLOCKED_LIMIT
from tests.tools import eventually, fire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.tools import Project


class Watch:
    """Calls on a loop executor that is looked after as an engine does."""

    def __init__(self) -> None:
        self.loop = LoopExecutor()
        self.ended: dict[str, Outcome] = {}
        self.loop.start(self._done)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        self._count = 0

    def submit(self, func: Callable[..., Any], name: str = "task") -> str:
        """Start a call; return the id of its run."""
        self._count += 1
        run_id = f"{name}-{self._count}"
        self.loop.submit(
            Call(
                run_id=run_id, task_id=name, token=1, func=func, args=(), kwargs={}, scope=suppress
            )
        )
        return run_id

    def outcome(self, run_id: str) -> Outcome:
        """Wait for the end of a call."""
        eventually(lambda: run_id in self.ended)
        return self.ended[run_id]

    def close(self) -> None:
        """Look no more, and end the loops."""
        self._over.set()
        self._thread.join(5)
        self.loop.stop()

    def _done(self, call: Call, outcome: Outcome) -> None:
        self.ended[call.run_id] = outcome

    def _look(self) -> None:
        while not self._over.wait(0.2):
            self.loop.watch(time.monotonic())  # noqa: TID251 - the engine's clock


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Give a loop executor that is looked after."""
    built = Watch()
    yield built
    built.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give what coroutines wait for in the wrong way; it is opened in the end."""
    opened = threading.Event()
    yield opened
    opened.set()


def blocker(gate: threading.Event) -> Callable[[], Any]:
    """Return a coroutine function that blocks until *gate* is open."""

    async def block() -> str:
        gate.wait(30)
        await asyncio.sleep(0)
        return "let go"

    return block


async def quick() -> str:
    """Yield once."""
    await asyncio.sleep(0)
    return "quick"


def test_what_blocks_a_loop_is_named_with_its_stack(
    watch: Watch, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """At error level, with the line that does not return; the figures have it until it does."""
    blocked = watch.submit(blocker(gate), "export")
    eventually(lambda: watch.loop.figures().blocked == ("export",))
    (line,) = [each for each in caplog.records if "blocks its event loop" in each.getMessage()]
    assert line.levelno == logging.ERROR
    assert line.getMessage().startswith("export: blocks its event loop; 0 other coroutines on it")
    assert "gate.wait(30)" in line.getMessage()
    gate.set()
    assert watch.outcome(blocked).value == "let go"
    eventually(lambda: watch.loop.figures().blocked == ())
    assert "export: let go of its event loop after" in caplog.text


def test_new_calls_go_to_a_fresh_loop_and_those_that_had_not_begun_too(
    watch: Watch, gate: threading.Event
) -> None:
    """A call that was on its way to the blocked loop is not lost with it."""
    watch.submit(blocker(gate))
    early = watch.submit(quick, "early")
    assert watch.outcome(early).value == "quick"
    assert watch.outcome(watch.submit(quick, "late")).value == "quick"
    assert not gate.is_set()


def test_neighbours_on_a_blocked_loop_go_on_when_it_does(
    watch: Watch, gate: threading.Event
) -> None:
    """And the loop ends with the last of them."""
    released = threading.Event()

    async def waits() -> str:
        while not released.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)
        return "on the old loop"

    first = watch.loop._current
    assert first is not None
    neighbour = watch.submit(waits, "neighbour")
    watch.outcome(watch.submit(quick))
    watch.submit(blocker(gate))
    eventually(lambda: watch.loop.figures().blocked)
    released.set()
    assert neighbour not in watch.ended
    gate.set()
    assert watch.outcome(neighbour).value == "on the old loop"
    eventually(first.loop.is_closed)


def test_a_neighbour_whose_time_is_up_is_cancelled_when_the_loop_comes_back(
    watch: Watch, gate: threading.Event
) -> None:
    """The wish is kept for it."""

    async def forever() -> None:
        await asyncio.Event().wait()

    neighbour = watch.submit(forever, "neighbour")
    watch.outcome(watch.submit(quick))
    watch.submit(blocker(gate))
    eventually(lambda: watch.loop.figures().blocked)
    assert watch.loop.interrupt(neighbour)
    gate.set()
    assert watch.outcome(neighbour).state is RunState.CANCELLED


def test_four_blocked_loops_are_enough(
    watch: Watch, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """Then none is free, which is said; when they let go, there is room again."""
    for number in range(BLOCKED_LIMIT):
        assert watch.loop.free() > 0
        watch.submit(blocker(gate), f"blocker-{number}")
        eventually(lambda number=number: len(watch.loop.figures().blocked) == number + 1)  # type: ignore[misc] # bound now
    assert watch.loop.free() == 0
    assert "new ones wait: 4 loops are blocked" in caplog.text
    gate.set()
    eventually(lambda: watch.loop.free() > 0)
    assert watch.outcome(watch.submit(quick)).value == "quick"


def test_a_step_that_was_too_long_is_told_afterwards(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a call in C held the whole process: nobody could look meanwhile."""
    watch._over.set()
    watch._thread.join(5)
    opened = threading.Event()

    async def holds() -> None:
        opened.wait(1.2)

    watch.outcome(watch.submit(holds, "holder"))
    watch.loop.watch(time.monotonic())  # noqa: TID251 - the engine's clock
    assert "holder: kept its event loop for 1." in caplog.text


def test_an_engine_that_was_away_blames_nobody(watch: Watch) -> None:
    """A process that was stopped for ten seconds comes back: its loop had no chance to answer."""
    watch._over.set()
    watch._thread.join(5)
    gate, entered = threading.Event(), threading.Event()

    async def block() -> None:
        entered.set()
        gate.wait(30)

    watch.submit(block)
    assert entered.wait(10)
    watch.loop.watch(100.0)
    watch.loop.watch(110.0)
    assert watch.loop.figures().blocked == ()
    watch.loop.watch(110.5)
    watch.loop.watch(111.0)
    assert watch.loop.figures().blocked == ("task",)
    gate.set()


async def stops_the_loop() -> None:
    """Stop it, and go on."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)


async def closes_the_loop() -> None:
    """Try to close it."""
    asyncio.get_running_loop().close()


async def cancels_everybody() -> None:
    """Cancel every task of the loop but itself."""
    for each in asyncio.all_tasks():
        if each is not asyncio.current_task():
            each.cancel()


async def exits_in_a_callback() -> None:
    """Raise SystemExit where no task catches it."""
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(0)


async def exits_in_a_subtask() -> None:
    """Raise KeyboardInterrupt in a task of its own."""

    async def sub() -> None:
        raise KeyboardInterrupt

    task = asyncio.get_running_loop().create_task(sub())
    with suppress(KeyboardInterrupt):
        await task


async def recurses() -> None:
    """Call itself until it may not."""
    await recurses()


async def spoils_the_policy() -> None:
    """Let nobody make a loop by the policy any more."""

    class Spoilt(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            raise RuntimeError("spoilt")

    asyncio.set_event_loop_policy(Spoilt())


async def unsets_the_factory() -> None:
    """Take the guard of tasks away."""
    asyncio.get_running_loop().set_task_factory(None)
    await cancels_everybody()


ATTACKS = [
    stops_the_loop,
    closes_the_loop,
    cancels_everybody,
    exits_in_a_callback,
    exits_in_a_subtask,
    recurses,
    spoils_the_policy,
    unsets_the_factory,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda each: str(each.__name__))
def test_an_attack_on_the_loop_hurts_no_neighbour(watch: Watch, attack: Callable[..., Any]) -> None:
    """One that runs beside it, with a task of its own, and one that comes after it."""
    before = asyncio.get_event_loop_policy()
    released = threading.Event()

    async def child() -> str:
        while not released.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)
        return "unhurt"

    async def neighbour() -> str:
        return await asyncio.create_task(child())

    beside = watch.submit(neighbour, "neighbour")
    watch.outcome(watch.submit(quick))
    try:
        watch.outcome(watch.submit(attack, "attacker"))
        after = watch.submit(quick, "after")
        assert watch.outcome(after).value == "quick"
        released.set()
        assert watch.outcome(beside).value == "unhurt"
    finally:
        released.set()
        asyncio.set_event_loop_policy(before)


def test_a_spoilt_policy_does_not_keep_a_fresh_loop_from_being_made(
    watch: Watch, gate: threading.Event
) -> None:
    """Nor a thread from running what a plain function returned."""
    before = asyncio.get_event_loop_policy()
    try:
        watch.outcome(watch.submit(spoils_the_policy))
        watch.submit(blocker(gate))
        eventually(lambda: watch.loop.figures().blocked)
        assert watch.outcome(watch.submit(quick)).value == "quick"
        found: list[Outcome] = []
        threads = ThreadExecutor(1)
        threads.start(lambda _call, outcome: found.append(outcome))
        call = {"run_id": "r", "task_id": "t", "token": 1, "args": (), "kwargs": {}}
        threads.submit(Call(**call, func=lambda: quick(), scope=suppress))  # type: ignore[arg-type] # noqa: PLW0108 - a def that returns a coroutine
        eventually(lambda: found)
        assert found[0].value == "quick"
        threads.stop()
    finally:
        asyncio.set_event_loop_policy(before)


def test_a_coroutine_may_cancel_what_is_its_own(watch: Watch) -> None:
    """Timeouts, groups and tasks of a call work as anywhere."""

    async def own() -> list[str]:
        found = []
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            found.append("timeout")
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        found.append("task")
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
                group.create_task(_fails())
        found.append("group")
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        found.append("wait_for")
        return found

    assert watch.outcome(watch.submit(own)).value == ["timeout", "task", "group", "wait_for"]


async def _fails() -> None:
    raise ValueError


def test_a_stepped_coroutine_is_the_coroutine_that_it_holds() -> None:
    """What it returns, raises and is thrown passes through; each step is timed once."""
    took: list[float] = []

    async def inner() -> str:
        try:
            await asyncio.sleep(0)
        except ValueError:
            await asyncio.sleep(0)
        return "done"

    stepped = Stepped(inner(), iter(range(100)).__next__, took.append)
    stepped.send(None)
    stepped.throw(ValueError())
    with pytest.raises(StopIteration) as over:
        stepped.send(None)
    assert over.value.value == "done"
    assert took == [1, 1, 1]
    stepped.close()


def test_a_container_names_what_blocks_it_and_goes_on(
    project: Project, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """Health is degraded, and other coroutines run meanwhile."""
    project.config(manager={"shutdown_grace": 0})
    tasks = project.engine()
    tasks.add_task(blocker(gate), "interval", "blocker", hours=1, max_retries=0)
    tasks.add_task(quick, "interval", "quick", hours=1)
    tasks.start()
    tasks.run_task("blocker")
    trouble = eventually(lambda: tasks.health().trouble)
    assert trouble == "event loops are blocked by: blocker; see the log for its stack"
    (pool,) = (each for each in tasks.health().pools if each.lane == "loop")
    assert pool.blocked == ("blocker",)
    assert fire(tasks, "quick").state is RunState.COMPLETED
    assert "blocker: blocks its event loop" in caplog.text
    gate.set()
    eventually(lambda: tasks.health().trouble is None)
