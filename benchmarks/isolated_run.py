"""What an isolated run costs: beside a thread, a bare fork and a new interpreter."""

from __future__ import annotations

import os
import queue
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.harness import Figure, Subject, make_project, measure, process
from configurations import load_config
from core.definition import TaskDefinition
from core.isolation import Isolation
from core.records import Call
from core.registry import Registry
from core.run import RunState
from manager.executors import ProcessExecutor, ThreadExecutor
from manager.task.isolating import setup_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from core.records import Outcome

CALLS: Final = 20
"""Calls a turn; what is shown is one of them."""
GOAL: Final = 0.010


def nothing() -> None:
    """Do nothing, as a task."""


class Caller:
    """Makes calls of ``nothing`` one after the other on an executor."""

    def __init__(self, executor: ProcessExecutor | ThreadExecutor) -> None:
        self._ended: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._executor = executor
        executor.start(lambda _call, outcome: self._ended.put(outcome))

    def __call__(self) -> None:
        """Make one call, and wait for its end."""
        call = Call(
            run_id="run",
            task_id="task",
            token=1,
            func=nothing,
            args=(),
            kwargs={},
            scope=nullcontext,
        )
        self._executor.submit(call)
        outcome = self._ended.get(timeout=60)
        assert outcome.state is RunState.COMPLETED, outcome


def forked() -> None:
    """Fork this process, and wait for the child to end."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def run(folder: Path, turns: int = 9) -> list[Figure]:
    """Measure one isolated call, in a warm and in a fresh process, from submission to outcome."""
    config = load_config(make_project(folder, 1))
    registry = Registry(1)
    definition = TaskDefinition(
        id="task",
        name="task",
        func=nothing,
        trigger="interval",
        trigger_args={"hours": 1},
        isolation=Isolation.PROCESS,
        called=True,
    )
    registry.add(definition)
    setup = setup_of(config, registry)
    threads = ThreadExecutor(1)
    warm = ProcessExecutor(1, lambda: setup)
    fresh = ProcessExecutor(1, lambda: setup | {"max_runs": 1})
    thread = "a call in a thread"
    try:
        subjects = [
            Subject(thread, _repeated(Caller(threads))),
            Subject("os.fork and wait", _repeated(forked), floor=thread),
            Subject(
                "an isolated call, warm process", _repeated(Caller(warm)), GOAL, "os.fork and wait"
            ),
            Subject(
                "an isolated call, fresh process",
                _repeated(Caller(fresh)),
                floor="os.fork and wait",
            ),
            Subject("python -c pass (spawn)", _repeated(process("-c", "pass")), floor=thread),
        ]
        found = [_one_of(figure) for figure in measure(subjects, turns)]
    finally:
        for executor in (threads, warm, fresh):
            executor.stop()
    return found


def _repeated(call: Callable[[], object]) -> Callable[[], object]:
    def repeat() -> None:
        for _ in range(CALLS):
            call()

    return repeat


def _one_of(figure: Figure) -> Figure:
    """Return the time of one call where that of a turn was measured."""
    return replace(figure, median=figure.median / CALLS, least=figure.least / CALLS)
