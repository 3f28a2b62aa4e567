"""The test kit: a container under a clock that the test moves, played in one thread."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from manager.testing.clock import VirtualClock
    from manager.testing.lab import Lab
    from manager.testing.node import LabNode

__all__ = ["Lab", "LabNode", "VirtualClock"]

_HOMES: Final = {
    "Lab": "manager.testing.lab",
    "LabNode": "manager.testing.node",
    "VirtualClock": "manager.testing.clock",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for: pytest loads the plugin at each start."""
    if name not in _HOMES:
        raise AttributeError(f"module 'manager.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
