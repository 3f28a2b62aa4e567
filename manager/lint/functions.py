"""Rules about a task's function, and how it is run."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final

from core.policy import Overlap
from manager.lint.blocking import blocking_calls
from manager.lint.findings import Remark, Rule, Severity
from manager.scheduling.numbers import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manager.lint.project import Project
    from manager.lint.subject import Subject


def idle_start(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a disabled task that shall run on start."""
    if task.definition.run_on_start and not task.definition.enabled:
        yield Remark("has run_on_start, and is disabled", "Enable it, or drop run_on_start.")


def date_at_start(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a date task that also runs at each start."""
    if task.definition.run_on_start and task.definition.trigger == "date":
        what = f"is due {task.told}, and also at each start of a container"
        yield Remark(what, "Drop run_on_start, or take another trigger.")


def endless_thread(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a plain function without a time limit."""
    if task.definition.timeout is None and task.definition.lane == "thread":
        yield Remark("is a plain function with timeout None", "Give it a timeout.")


def replaced_thread(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a plain function whose run shall make room for the next."""
    given = task.definition
    if given.overlap.mode is Overlap.REPLACE and given.lane == "thread":
        advice = (
            "Make it 'async def', look at current_run().stopping in a loop, or use "
            "overlap 'skip' or 'queue'."
        )
        yield Remark("is a plain function with overlap 'replace'", advice)


def blocked_loop(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find a coroutine function whose own body blocks."""
    if task.definition.lane != "loop":
        return
    found = blocking_calls(task.definition.func)
    if found:
        calls = dict.fromkeys(f"{each.name}() in line {each.line}" for each in found)
        instead = dict.fromkeys(each.instead for each in found)
        advice = f"Use {'; '.join(instead)}; or make it a plain 'def', which runs in a thread."
        yield Remark(f"is 'async def' and calls {listed(calls)}", advice)


def wrong_arguments(task: Subject, _project: Project) -> Iterator[Remark]:
    """Find arguments that the function does not take."""
    given = task.definition
    try:
        signature = inspect.signature(given.func)
    except (TypeError, ValueError):  # a built-in that does not say what it takes
        return
    try:
        signature.bind(*given.args, **given.kwargs)
    except TypeError as error:
        what = f"gives {given.func_path} arguments that it does not take: {error}"
        yield Remark(what, "Mend args and kwargs of the definition.")


_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
FUNCTION_RULES: Final = (
    Rule(
        "TR301", _WARNING, "run_on_start on a disabled task",
        "A disabled task does not run at a start either.", idle_start,
    ),
    Rule(
        "TR302", _WARNING, "run_on_start on a date",
        "What is meant to run once runs at each start as well.", date_at_start,
    ),
    Rule(
        "TR303", _WARNING, "plain function without a time limit",
        "A call that hangs keeps its thread of the pool for good.", endless_thread,
    ),
    Rule(
        "TR304", _WARNING, "overlap 'replace' on a plain function",
        "A thread cannot be stopped, so the earlier run goes on and the new one waits for it.",
        replaced_thread,
    ),
    Rule(
        "TR305", _ERROR, "blocking call in a coroutine function",
        "While it blocks, every coroutine task of the container stands still.", blocked_loop,
    ),
    Rule(
        "TR306", _ERROR, "arguments that the function does not take",
        "Every run fails with TypeError.", wrong_arguments,
    ),
)  # fmt: skip
