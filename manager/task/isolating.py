"""Whether a task runs in a process of its own, whether it can, and what that process is told."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from configurations.masking import shown
from core.definition import lane_of, path_of
from core.errors import Problem
from core.isolation import MAIN, Isolation, script_of, stands_for
from manager.executors import CAN_FORK

if TYPE_CHECKING:
    from collections.abc import Callable

    from configurations import Xcorecfg
    from core.registry import Registry

_KEY: Final = "isolation"
_MARK: Final = "taskrack_isolated"
_PROGRAM: Final = "manager.task.isolated"
_FIX: Final = (
    "move it to the top level of a module, list it in TASK_DEFINITIONS of a plugin file, or give "
    "the task isolation {own!r}"
)


@dataclass(frozen=True, slots=True)
class IsolationRule:
    """What holds for tasks that do not say where they run.

    Attributes:
        everywhere: Whether all of them are isolated.
        plugins: Names of the plugins whose tasks are.
    """

    everywhere: bool = False
    plugins: frozenset[str] = frozenset()

    def applied(
        self, written: Isolation | None, func: Callable[..., Any], plugin: str, *, listed: bool
    ) -> tuple[Isolation | None, list[Problem]]:
        """Return where *func* is called, and what is wrong with that.

        Args:
            written: What the definition says, if it does.
            func: The function of the task.
            plugin: Who offers it.
            listed: Whether another process finds the task among what plugin files offer.
        """
        isolation = written
        if isolation is None and (self.everywhere or plugin in self.plugins):
            isolation = Isolation.PROCESS
        problem = _problem(isolation, func, listed=listed)
        return isolation, [] if problem is None else [problem]


def _problem(
    isolation: Isolation | None, func: Callable[..., Any], *, listed: bool
) -> Problem | None:
    own = lane_of(func)
    if isolation is None or isolation is own:
        return None
    kind = "async def" if own is Isolation.LOOP else "def"
    if isolation is not Isolation.PROCESS:
        text = f"expected {str(own)!r} or 'process' for a function with {kind!r}"
        return Problem(_KEY, f"{text}, got {str(isolation)!r}")
    if not CAN_FORK:
        text = "got 'process', which needs fork(), and this system does not have it"
        return Problem(_KEY, f"expected {str(own)!r}, {text}")
    path = path_of(func)
    if listed or stands_for(path, func):
        return None
    text = (
        f"expected a function that another process can import as {shown(path)}, got {_what(path)}"
    )
    return Problem(_KEY, f"{text}; {_FIX.format(own=str(own))}")


def _what(path: str) -> str:
    if path.endswith("<lambda>"):
        return "a lambda"
    if "<locals>" in path:
        return "one that is defined inside a function"
    if path.startswith("__main__:"):
        return "one of an interactive session, a partial or a method of an object"
    return "a partial, a method of an object or another object of that name"


def is_isolated() -> bool:
    """Tell whether this is the supervisor or a worker of a container, not a container's process."""
    return hasattr(sys.modules.get(MAIN), _MARK)


def setup_of(config: Xcorecfg, registry: Registry) -> dict[str, Any]:
    """Return what the processes of isolated tasks need to know, as JSON values."""
    section = config.manager
    isolated = [each for each in registry.all() if each.is_isolated]
    modules = {each.func_path.partition(":")[0] for each in isolated if each.called}
    main = script_of(sys.modules[MAIN])
    return {
        "program": _PROGRAM,
        "environment": {} if config.source is None else {"TASKRACK_CONFIG": str(config.source)},
        "argv": list(sys.argv),
        "project": str(config.folder),
        "folder": str(config.resolve(section.tasks_directory)),
        "plugins": list(config.plugins),
        "main": None if main is None else list(main),
        "modules": sorted(modules),
        "size": section.process_workers,
        "max_runs": section.process_max_runs,
    }
