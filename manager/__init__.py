"""Taskrack: a plugin-based container for background tasks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from manager.container import Manager, set_default_manager
    from manager.engine import RunContext, current_run

__all__ = ["Manager", "RunContext", "current_run", "set_default_manager"]

_HOMES: Final = {
    "Manager": "manager.container",
    "set_default_manager": "manager.container",
    "RunContext": "manager.engine.context",
    "current_run": "manager.engine.context",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for, so that reading commands start fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'manager' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
