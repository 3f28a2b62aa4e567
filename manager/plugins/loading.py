"""Loads plugin modules under the names that the application would import them by."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from core.errors import PluginError

if TYPE_CHECKING:
    from manager.plugins.discovery import PluginFile

ENTRY_POINTS: Final = "taskrack.plugins"
_HINTS: Final[dict[type[BaseException], str]] = {
    SyntaxError: "Mend the line; 'python -m py_compile FILE' shows it",
    ModuleNotFoundError: "Install the missing package, or mend the import",
    ImportError: "Mend the import",
    SystemExit: "A plugin must not exit while it is imported",
}


class Loader:
    """Loads modules for a project whose folder is *project*."""

    def __init__(self, project: Path) -> None:
        self._project = project.resolve()

    def load_file(self, file: PluginFile) -> ModuleType:
        """Return the module of *file*, the same object that the application's import gives.

        Raises:
            PluginError: it does not load, or another file has its name.
        """
        self._make_importable()
        name = self.name_of(file.real)
        known = sys.modules.get(name)
        if known is not None:
            return self._reused(known, name, file)
        if name.startswith(_PRIVATE):
            return self._executed(name, file.real, file)
        self._load_parents(name, file)
        search = [str(file.real.parent)] if file.real.stem == _PACKAGE else None
        return self._executed(name, file.real, file, search)

    def load_name(self, name: str) -> ModuleType | object:
        """Return what the entry point or the module *name* stands for.

        Raises:
            PluginError: there is none, or it does not load.
        """
        self._make_importable()
        point = next(iter(metadata.entry_points(group=ENTRY_POINTS, name=name)), None)
        try:
            loaded: object = importlib.import_module(name) if point is None else point.load()
        except BaseException as error:
            raise self._failure(error, name, None) from error
        return loaded

    def name_of(self, path: Path) -> str:
        """Return the dotted path of *path* below the project, or a private name outside it."""
        try:
            inside = path.relative_to(self._project).with_suffix("")
        except ValueError:
            return f"{_PRIVATE}{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
        parts = inside.parts
        return ".".join(parts[:-1] if parts[-1] == _PACKAGE and len(parts) > 1 else parts)

    def shown(self, path: Path) -> str:
        """Return *path* relative to the project where it is inside."""
        try:
            return path.relative_to(self._project).as_posix()
        except ValueError:
            return str(path)

    def _make_importable(self) -> None:
        """Let plugins import the application's own modules; nobody's names are shadowed."""
        folder = str(self._project)
        if folder not in sys.path:
            sys.path.append(folder)

    def _reused(self, known: ModuleType, name: str, file: PluginFile) -> ModuleType:
        origin = getattr(known, "__file__", None)
        if origin is not None and Path(origin).resolve() == file.real:
            return known
        raise PluginError(
            self.shown(file.path),
            f"the module name {name!r} already belongs to {origin or 'a built-in module'}",
            "Rename one of the two files",
        )

    def _load_parents(self, name: str, file: PluginFile) -> None:
        folder = self._project
        parts = name.split(".")[:-1]
        for depth, part in enumerate(parts, start=1):
            folder /= part
            package = ".".join(parts[:depth])
            known = sys.modules.get(package)
            if known is None:
                self._load_package(package, folder, file)
            elif folder not in [Path(each).resolve() for each in getattr(known, "__path__", [])]:
                raise PluginError(
                    self.shown(file.path),
                    f"the package name {package!r} already belongs to "
                    f"{getattr(known, '__file__', None) or list(getattr(known, '__path__', []))}",
                    "Rename the folder",
                )

    def _load_package(self, package: str, folder: Path, file: PluginFile) -> None:
        init = folder / "__init__.py"
        if init.is_file():
            self._executed(package, init, file, search=[str(folder)])
            return
        module = ModuleType(package)
        module.__path__ = [str(folder)]
        sys.modules[package] = module
        self._attach(package, module)

    def _executed(
        self, name: str, path: Path, file: PluginFile, search: list[str] | None = None
    ) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=search)
        if spec is None or spec.loader is None:
            raise PluginError(
                self.shown(file.path), "it is no Python module", "Remove or rename it"
            )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            sys.modules.pop(name, None)
            raise self._failure(error, self.shown(file.path), path) from error
        self._attach(name, module)
        return module

    @staticmethod
    def _attach(name: str, module: ModuleType) -> None:
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)

    def _failure(self, error: BaseException, source: str, path: Path | None) -> PluginError:
        if isinstance(error, PluginError):
            return error
        place, line = source, line_of(error, path)
        if isinstance(error, SyntaxError) and isinstance(error.filename, str):
            place, line = self.shown(Path(error.filename)), error.lineno
        hint = next((text for kind, text in _HINTS.items() if isinstance(error, kind)), "")
        return PluginError(place, said(error), hint or "Mend it; the other plugins run", line)


_PRIVATE: Final = "taskrack_plugin_"
_SAID: Final = 1_000
_PACKAGE: Final = "__init__"


def line_of(error: BaseException, path: Path | None) -> int | None:
    """Return the last line of *path* that the traceback of *error* passed."""
    if path is None:
        return None
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if Path(frame.f_code.co_filename) == path
    ]
    return lines[-1] if lines else None


def said(error: BaseException) -> str:
    """Return the kind of *error* and what it says, even where it cannot say anything."""
    kind = type(error).__name__
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception as second:  # noqa: BLE001 - a plugin's import: its error may fail to print itself
        text = f"(its message raised {type(second).__name__})"
    text = str(text or "").encode("utf-8", "backslashreplace").decode()[:_SAID]
    return f"{kind}: {text}" if text else kind
