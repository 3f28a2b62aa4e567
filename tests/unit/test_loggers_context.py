"""Inside a run every line knows its task, run and attempt."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING

import pytest

from loggers import current_log_context, log_context

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_the_context_holds_what_was_bound_and_ends_with_the_block() -> None:
    with log_context(task_id="report", run_id="01J9", attempt=1):
        assert current_log_context() == {"task_id": "report", "run_id": "01J9", "attempt": 1}
        with log_context(attempt=2):
            assert current_log_context() == {"task_id": "report", "run_id": "01J9", "attempt": 2}
        assert current_log_context()["attempt"] == 1
    assert current_log_context() == {}


def test_the_context_ends_with_the_block_when_the_task_fails() -> None:
    with pytest.raises(ValueError, match="boom"), log_context(task_id="report"):
        raise ValueError("boom")
    assert current_log_context() == {}


def test_the_context_cannot_be_written() -> None:
    with log_context(task_id="report"), pytest.raises(TypeError):
        current_log_context()["task_id"] = "other"  # type: ignore[index]


def test_two_coroutines_keep_their_contexts_apart() -> None:
    async def run(task_id: str) -> list[object]:
        seen: list[object] = []
        with log_context(task_id=task_id):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(current_log_context()["task_id"])
        return seen

    async def both() -> tuple[list[object], list[object]]:
        first, second = await asyncio.gather(run("a"), run("b"))
        return first, second

    assert asyncio.run(both()) == (["a"] * 3, ["b"] * 3)


def test_a_thread_has_the_context_that_is_copied_for_it_and_no_other() -> None:
    seen: list[Mapping[str, object]] = []

    def look() -> None:
        seen.append(current_log_context())

    with log_context(task_id="report"):
        copied = contextvars.copy_context()
        threads = [
            threading.Thread(target=copied.run, args=(look,)),
            threading.Thread(target=contextvars.Context().run, args=(look,)),
        ]
        for thread in threads:
            thread.start()
            thread.join()
    assert seen == [{"task_id": "report"}, {}]
