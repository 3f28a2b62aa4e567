"""Where plugins are: files below the tasks folder, named modules, entry points."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLUGIN_FILE: Final = "taskplugins.py"
DEFINITIONS: Final = "TASK_DEFINITIONS"
_MARKS: Final = (DEFINITIONS, "hookimpl")
_LEFT_OUT: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A file that offers tasks or hooks.

    Attributes:
        path: As found, links not resolved.
        real: Where the file really is.
    """

    path: Path
    real: Path


def find_files(folder: Path) -> list[PluginFile]:
    """Return the plugin files below *folder*, in the order of their paths, each real file once.

    A file counts if it is called ``taskplugins.py``, or if it assigns ``TASK_DEFINITIONS`` or
    uses ``hookimpl``. Hidden folders, ``test_*.py`` and ``conftest.py`` do not count.
    """
    found: dict[Path, PluginFile] = {}
    for path in sorted(_python_files(folder), key=lambda each: each.parts):
        real = _real(path)
        if real not in found and (path.name == PLUGIN_FILE or _offers_something(real)):
            found[real] = PluginFile(path, real)
    return list(found.values())


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a link that leads back to itself
        return path.absolute()


def _python_files(folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        here = folder.__class__(root)
        real = _real(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in _LEFT_OUT
        ]
        for name in files:
            if (
                name.endswith(".py")
                and not name.startswith(("test_", "."))
                and name != "conftest.py"
            ):
                yield here / name


def _offers_something(path: Path) -> bool:
    """Tell whether a module assigns definitions or marks hooks, without importing it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    if not any(mark in text for mark in _MARKS):
        return False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # loading it will say what is wrong and where
    return any(_is_offer(node) for node in tree.body)


def _is_offer(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return any(_is_definitions(target) for target in node.targets)
    if isinstance(node, ast.AnnAssign):
        return _is_definitions(node.target)
    if isinstance(node, ast.FunctionDef):
        return any("hookimpl" in ast.unparse(mark) for mark in node.decorator_list)
    return False


def _is_definitions(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == DEFINITIONS
