"""A reader's own plugin files, found and loaded as a container does it."""

from __future__ import annotations

import importlib
import sys
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Final

from configurations import Xcorecfg
from manager.plugins import PluginHost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_CONFIG: Final = "config.json"


class Sources:
    """Plugin files below a folder; when one changed on disk, all are read again at the next start.

    A module that the test imported itself stays the module that it is.

    Args:
        path: A project, which is a folder with a config.json, or a folder of plugin files.

    Raises:
        NotADirectoryError: there is no such folder.
    """

    def __init__(self, path: str | Path) -> None:
        given = Path(path).resolve()
        if not given.is_dir():
            raise NotADirectoryError(f"expected a project or a folder of plugin files, got {given}")
        self._project, self._folder = given.parent, given
        self._names: Sequence[str] = ()
        if (given / _CONFIG).is_file():
            config = Xcorecfg.from_file(given / _CONFIG)
            self._project, self._folder = given, config.resolve(config.manager.tasks_directory)
            self._names = config.plugins
        self._path = list(sys.path)
        self._known: set[str] = set()
        self._loaded: dict[str, Path | None] = {}
        self._texts: dict[Path, bytes] = {}

    def host(self, _config: Xcorecfg) -> PluginHost:
        """Return the plugins, not loaded yet."""
        if any(_text(file) != text for file, text in self._texts.items()):
            self._forget()
        importlib.invalidate_caches()
        self._known = set(sys.modules)
        return PluginHost(self._project, self._folder, self._names)

    def note(self) -> None:
        """Remember which modules were loaded, and what their files said."""
        for name in set(sys.modules) - self._known:
            module = sys.modules[name]
            if any(Path(each).is_relative_to(self._project) for each in _places(module)):
                file = getattr(module, "__file__", None)
                self._loaded[name] = None if file is None else Path(file)
        self._texts |= {file: _text(file) for file in self._loaded.values() if file is not None}

    def close(self) -> None:
        """Forget every module that was loaded here, and leave the path as it was."""
        self._forget()
        sys.path[:] = self._path

    def _forget(self) -> None:
        for name in self._loaded:
            sys.modules.pop(name, None)
        for file in self._texts:  # a change within the second would not be noticed
            Path(cache_from_source(str(file))).unlink(missing_ok=True)
        self._loaded.clear()
        self._texts.clear()


def _places(module: ModuleType) -> list[str]:
    file = getattr(module, "__file__", None)
    return [file] if file else list(getattr(module, "__path__", ()))


def _text(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""
