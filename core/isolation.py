"""Where a task's function is called, and what it may use there."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

MAIN: Final = "__main__"
MAIN_ALIAS: Final = "__mp_main__"
"""The name under which another process imports the program's own script, as the standard
library's multiprocessing does, so that ``if __name__ == "__main__"`` keeps it from starting."""


class Isolation(StrEnum):
    """Where a task's function is called.

    ``THREAD`` and ``LOOP`` are inside the container's process; ``PROCESS`` is a process of its
    own, which can be killed.
    """

    THREAD = "thread"
    LOOP = "loop"
    PROCESS = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimits:
    """What the processes of one isolated run may use together; ``None`` is no limit.

    Attributes:
        memory_mb: Resident memory, in MiB.
        cpu_seconds: Processor time, in seconds.
    """

    memory_mb: int | None = None
    cpu_seconds: float | None = None

    def over(self, defaults: ResourceLimits) -> ResourceLimits:
        """Return these limits, with those of *defaults* where there are none."""
        return ResourceLimits(
            memory_mb=defaults.memory_mb if self.memory_mb is None else self.memory_mb,
            cpu_seconds=defaults.cpu_seconds if self.cpu_seconds is None else self.cpu_seconds,
        )


UNLIMITED: Final = ResourceLimits()


def stands_for(path: str, func: Callable[..., Any]) -> bool:
    """Tell whether *path* is enough for another process to import the very *func*.

    It is not for a lambda, a function inside a function, a partial or a bound method, nor for
    one that was typed into an interactive session.

    Args:
        path: ``module:qualified.name``.
        func: What this process has.
    """
    name, _, qualified = path.partition(":")
    module = sys.modules.get(name)
    if module is None or (name == MAIN and script_of(module) is None):
        return False
    try:
        found: object = reduce(getattr, qualified.split("."), module)
    except AttributeError:
        return False
    bound = isinstance(found, MethodType) and isinstance(func, MethodType) and found == func
    return found is func or bound


def script_of(main: ModuleType) -> tuple[str, str] | None:
    """Return how the program's own module can be imported again: ``module`` or ``path``, and it."""
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return "module", spec.name
    path = getattr(main, "__file__", None)
    return None if path is None else ("path", path)


def imported(path: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Return what *path* stands for; its module is imported if it is not yet.

    Raises:
        ImportError: there is no such module, or nothing of that name in it.
    """
    name, _, qualified = path.partition(":")
    module = importlib.import_module(MAIN_ALIAS if name == MAIN else name)
    try:
        return reduce(getattr, qualified.split("."), module)
    except AttributeError as error:
        raise ImportError(f"module {name!r} has no {qualified!r}") from error
