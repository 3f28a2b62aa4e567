"""What a plugin can offer and hear: the hooks, each with its promise.

A plugin is a module (or object) with functions of these names, marked with ``hookimpl``. It
may leave out arguments that it does not need. What a hook raises is logged and isolated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from zoneinfo import ZoneInfo

    from core.definition import TaskDefinition
    from core.run import Run

PROJECT = "taskrack"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def taskrack_definitions() -> Iterable[TaskDefinition | dict[str, Any]]:  # type: ignore[empty-body]
    """Offer task definitions.

    Asked once at each start, before anything runs. A definition is a dict with the documented
    keys, or a ``TaskDefinition``. One that does not validate is recorded and shown with its
    index; the others of the plugin are registered.
    """


@hookspec
def taskrack_triggers() -> Mapping[str, Callable[[Mapping[str, Any], ZoneInfo], object]]:  # type: ignore[empty-body]
    """Offer kinds of trigger, by the name that definitions give.

    Asked once at each start, before the definitions. Each is called with a definition's
    ``trigger_args`` and its zone, raises ``ValueError`` where they make no schedule, and else
    returns an object with ``next_after(instant)``: the first occurrence later than an aware
    instant, aware too, or ``None`` where there is none left.
    """


@hookspec
def taskrack_register_tasks(task_manager: Any) -> None:  # noqa: ANN401 - the verbs live a floor above
    """Register tasks by calling ``task_manager.add_task(...)``.

    Called once at each start, after the definitions of all plugins are registered.
    """


@hookspec
def taskrack_ready(task_manager: Any) -> None:  # noqa: ANN401 - the verbs live a floor above
    """Hear that every task is bound and stored (of thousands, those that are due first), and that
    nothing has been started yet.
    """  # noqa: D205 - one sentence


@hookspec
def taskrack_run_started(run: Run) -> None:
    """Hear that *run* is about to start an attempt.

    Called after the start is stored and before the function is called, in the engine's thread:
    be quick.
    """


@hookspec
def taskrack_run_retrying(run: Run) -> None:
    """Hear that an attempt of *run* failed and another will follow at ``run.not_before``."""


@hookspec
def taskrack_run_finished(run: Run) -> None:
    """Hear that *run* reached a final state after having run; called once, after it is stored."""


@hookspec
def taskrack_run_dropped(run: Run) -> None:
    """Hear that occurrences were skipped or missed; ``run.state`` and ``run.reason`` say why."""


@hookspec
def taskrack_task_quarantined(run: Run) -> None:
    """Hear that the task of *run* crashed again and again; nothing of it starts until a resume.

    Called once, on the node that noticed the last crash; *run* is the one that crashed last.
    """
