"""Makes a plain module with ``TASK_DEFINITIONS`` answer the hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.hookspecs import hookimpl
from manager.plugins.discovery import DEFINITIONS

if TYPE_CHECKING:
    from types import ModuleType

_REGISTER = "register_tasks"


class ModuleAdapter:
    """Answers for *module* with its list of definitions and its ``register_tasks``."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    @staticmethod
    def suits(module: ModuleType) -> bool:
        """Tell whether *module* has something to adapt."""
        return DEFINITIONS in vars(module) or callable(vars(module).get(_REGISTER))

    @hookimpl
    def taskrack_definitions(self) -> Any:  # noqa: ANN401 - whatever the module holds
        """Return the module's list, whatever it is; an empty one where there is none."""
        return vars(self._module).get(DEFINITIONS, ())

    @hookimpl
    def taskrack_register_tasks(self, task_manager: object) -> None:
        """Let the module register its tasks by calls; what it registers twice is one task."""
        register = vars(self._module).get(_REGISTER)
        if callable(register):
            register(task_manager)
