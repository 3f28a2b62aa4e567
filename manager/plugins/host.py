"""Holds the plugins: asks them for tasks, tells them of runs, and isolates what they raise."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pluggy

from core import hookspecs
from core.definition import TaskDefinition
from core.errors import PluginError
from loggers import get_logger
from manager.plugins.adapter import ModuleAdapter
from manager.plugins.discovery import DEFINITIONS, find_files
from manager.plugins.loading import Loader, line_of, said
from manager.schemas.reading import PluginProblem, PluginRead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from core.run import Run

T = TypeVar("T")
_log = get_logger("taskrack")
_MOST: Final = 1_000_000
"""No list of definitions is read further; ``manager.max_tasks`` allows no more."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One definition as a plugin offers it, not yet validated.

    Attributes:
        data: A dict of keys, a ``TaskDefinition``, or something else that is wrong.
        plugin: Name of the plugin.
        file: Its file, for messages.
        index: Place in the list that it came from.
        listed: Whether another process that loads the same plugins is offered it as well.
    """

    data: Any
    plugin: str
    file: str
    index: int
    listed: bool = True

    @property
    def source(self) -> str:
        """Where it is written, in words."""
        return f"{self.file}, TASK_DEFINITIONS[{self.index}]"


@dataclass(slots=True)
class _Record:
    name: str
    source: str
    path: Path | None = None
    problems: list[PluginProblem] = field(default_factory=list)
    loaded: bool = True
    given: bool = False


class PluginHost:
    """Finds and loads plugins and speaks with them.

    Args:
        project: Folder of the application; files below it load under their dotted paths.
        folder: Folder that is searched.
        names: Modules and entry points to load besides, in order.
    """

    def __init__(self, project: Path, folder: Path, names: Sequence[str]) -> None:
        self._loader = Loader(project)
        self._folder = folder
        self._names = names
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._records: dict[str, _Record] = {}

    def load(self) -> None:
        """Load every plugin; one that does not load is recorded and hurts no other."""
        for file in find_files(self._folder):
            name, source = self._loader.name_of(file.real), self._loader.shown(file.path)
            record = _Record(name, source, file.real)
            self._load(record, partial(self._loader.load_file, file))
        for name in self._names:
            self._load(_Record(name, name), partial(self._loader.load_name, name))

    def add(self, plugin: object, name: str) -> None:
        """Register an object of the application as a plugin."""
        self._records[name] = _Record(name, name, given=True)
        self._manager.register(plugin, name)

    def offers(self) -> list[Offer]:
        """Return what the plugins offer, in the order of their loading."""
        found: list[Offer] = []
        for name, call in self._each("taskrack_definitions", {}):
            record = self._record(name)
            items = self._isolated(record, partial(_items, call, by_hook=name == record.name))
            found += [
                Offer(item, record.name, record.source, at, listed=not record.given)
                for at, item in enumerate(items or ())
            ]
        return found

    def triggers(self) -> dict[str, Any]:
        """Return the kinds of trigger that the plugins offer; the first of a name holds."""
        found: dict[str, Any] = {}
        for name, call in self._each("taskrack_triggers", {}):
            record = self._record(name)
            offered = self._isolated(record, partial(_kinds, call))
            for kind, factory in (offered or {}).items():
                if isinstance(kind, str) and callable(factory) and kind not in found:
                    found[kind] = factory
                else:
                    cause = (
                        f"taskrack_triggers: expected a new name and a function, got {kind!r:.80}"
                    )
                    hint = "The other triggers can be used"
                    self.note(name, PluginProblem(file=record.source, cause=cause, hint=hint))
        return found

    def register_tasks(self, task_manager: object) -> None:
        """Let the plugins register tasks by calls."""
        arguments = {"task_manager": task_manager}
        for name, call in self._each("taskrack_register_tasks", arguments):
            self._isolated(self._record(name), call)

    def ready(self, task_manager: object) -> None:
        """Tell the plugins that tasks are bound and about to be run."""
        for name, call in self._each("taskrack_ready", {"task_manager": task_manager}):
            self._isolated(self._record(name), call)

    def note(self, plugin: str, problem: PluginProblem) -> None:
        """Record a fault of *plugin* and log it."""
        self._record(plugin).problems.append(problem)
        _log.error("%s", problem)

    def records(self) -> list[PluginRead]:
        """Return every plugin with its faults, in the order of loading."""
        return [
            PluginRead(
                name=record.name,
                source=record.source,
                state=_state(record),
                problems=tuple(record.problems),
            )
            for record in self._records.values()
        ]

    def started(self, run: Run) -> None:
        """Tell the plugins that an attempt is about to start."""
        self._tell("taskrack_run_started", run)

    def retrying(self, run: Run) -> None:
        """Tell the plugins that another attempt will follow."""
        self._tell("taskrack_run_retrying", run)

    def finished(self, run: Run) -> None:
        """Tell the plugins that a run is final."""
        self._tell("taskrack_run_finished", run)

    def dropped(self, run: Run) -> None:
        """Tell the plugins that occurrences were skipped or missed."""
        self._tell("taskrack_run_dropped", run)

    def quarantined(self, run: Run) -> None:
        """Tell the plugins that the task of a run is quarantined."""
        self._tell("taskrack_task_quarantined", run)

    def _load(self, found: _Record, load: Callable[[], object]) -> None:
        record = self._records.setdefault(found.name, found)
        try:
            loaded = load()
        except PluginError as error:
            record.loaded = False
            self._note_failure(record, error)
            return
        if not self._manager.is_registered(loaded):
            self._register(record, loaded)

    def _register(self, record: _Record, loaded: object) -> None:
        try:
            self._manager.register(loaded, record.name)
            self._manager.check_pending()
        except Exception as error:  # noqa: BLE001 - a plugin's import: its attributes are looked at
            if self._manager.is_registered(loaded):
                self._manager.unregister(loaded)
            hint = "See core/hookspecs.py for the hooks and their arguments"
            cause = " ".join(said(error).split())
            self.note(record.name, PluginProblem(file=record.source, cause=cause, hint=hint))
        if isinstance(loaded, ModuleType) and ModuleAdapter.suits(loaded):
            self._manager.register(ModuleAdapter(loaded), f"{record.name}:module")

    def _each(self, hook: str, arguments: dict[str, Any]) -> list[tuple[str, Callable[[], Any]]]:
        """Return the calls of *hook* in the order of loading, one a plugin."""
        calls: list[tuple[str, Callable[[], Any]]] = []
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            values = [arguments[name] for name in impl.argnames]
            calls.append((impl.plugin_name, partial(impl.function, *values)))
        return calls

    def _tell(self, hook: str, run: Run) -> None:
        for name, call in self._each(hook, {"run": run}):
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - a hook's call: whatever it raises is its own
                _log.error("plugin %s: %s raised %s", name, hook, said(error))

    def _isolated(self, record: _Record, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except PluginError as error:
            self._note_failure(record, error)
        except BaseException as error:  # noqa: BLE001 - a hook's call: an exit is its own as well
            line = line_of(error, record.path)
            problem = PluginProblem(
                file=record.source, line=line, cause=said(error), hint="Mend the hook"
            )
            self.note(record.name, problem)
        return None

    def _note_failure(self, record: _Record, error: PluginError) -> None:
        file = error.source or record.source
        cause = PluginProblem(file=file, line=error.line, cause=error.cause, hint=error.hint)
        self.note(record.name, cause)

    def _record(self, plugin: str) -> _Record:
        name = plugin.removesuffix(":module")
        return self._records.setdefault(name, _Record(name, name))


def _kinds(call: Callable[[], Any]) -> dict[Any, Any]:
    return dict(call() or {})


def _items(call: Callable[[], Any], *, by_hook: bool) -> list[Any]:
    """Return what *call* offers as a list; ``None`` is nothing where a hook says it.

    Raises:
        PluginError: it is no list of definitions.
    """
    offered = call()
    if offered is None and by_hook:
        return []
    single = isinstance(offered, str | bytes | dict | type | TaskDefinition)
    if single or not hasattr(type(offered), "__iter__"):
        kind = "None" if offered is None else type(offered).__name__
        text = f"{DEFINITIONS}: expected a list of dicts, got {kind}"
        raise PluginError("", text, "Make it a list")
    items = list(islice(offered, _MOST + 1))
    if len(items) > _MOST:
        text = f"{DEFINITIONS}: expected at most {_MOST} definitions, got more"
        raise PluginError("", text, "Make it a list that ends")
    return items


def _state(record: _Record) -> str:
    if not record.loaded:
        return "failed"
    return "faulty" if record.problems else "loaded"
