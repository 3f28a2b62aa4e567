"""``Manager``: the container, which builds, starts and stops everything."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self

from configurations import Xcorecfg, load_config
from loggers import get_logger
from manager.plugins import PluginHost
from manager.task.taskmanager import TaskManager

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_log = get_logger("taskrack")


class _Default:
    """The one lazy default of the process, behind ``Manager.task_manager``."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._manager: Manager | None = None

    def get(self) -> Manager:
        """Return the default container, built on first use."""
        with self._lock:
            if self._manager is None:
                Manager()
            if self._manager is None:  # the constructor has offered itself
                raise AssertionError
            return self._manager

    def offer(self, manager: Manager) -> None:
        """Make *manager* the default if there is none yet."""
        with self._lock:
            if self._manager is None:
                self._manager = manager

    def set(self, manager: Manager | None) -> None:
        """Make *manager* the default, whatever was before."""
        with self._lock:
            self._manager = manager


_default = _Default()


class _TaskManagerOf:
    """``task_manager``: on an instance its own, on the class the default container's."""

    def __get__(self, instance: Manager | None, owner: type[Manager]) -> TaskManager:
        """Return the task manager."""
        return (_default.get() if instance is None else instance)._tasks  # noqa: SLF001 - its own part


class Manager:
    """A container: discovers plugins, runs their tasks, keeps their history.

    Nothing is opened or started before ``start``. The first container of a process is its
    default one, which ``Manager.task_manager`` on the class stands for.

    Args:
        config: Settings, or the path of a config.json; looked for as the command line does
            where ``None``.
        task_workers: Threads for submissions, over the settings.
        task_queue_size: Most waiting submissions, over the settings.
        default: Whether it may become the default container.
    """

    task_manager = _TaskManagerOf()

    def __init__(
        self,
        config: Xcorecfg | str | Path | None = None,
        *,
        task_workers: int | None = None,
        task_queue_size: int | None = None,
        default: bool = True,
    ) -> None:
        given = {"task_workers": task_workers, "task_queue_size": task_queue_size}
        over = {name: value for name, value in given.items() if value is not None}
        if over:
            config = _amended(config, over)
        self._added: list[tuple[object, str]] = []
        self._tasks = TaskManager(config, plugins=self._host)
        if default:
            _default.offer(self)

    @property
    def config(self) -> Xcorecfg:
        """The settings, read when they are first needed."""
        return self._tasks.config

    def add_plugin(self, plugin: object, name: str) -> None:
        """Let an object or module of the application answer and hear hooks, from the next start.

        Args:
            plugin: Has functions of the hooks' names, marked with ``hookimpl``.
            name: What it is called in displays.
        """
        self._added.append((plugin, name))

    def start(self) -> None:
        """Load the plugins and begin to run tasks."""
        self._tasks.start()

    def shutdown(self, grace: float | None = None) -> None:
        """Stop taking on work, wait for what runs, store everything, close."""
        self._tasks.shutdown(grace)

    def _host(self, config: Xcorecfg) -> PluginHost:
        host = plugins_of(config)
        for plugin, name in self._added:
            host.add(plugin, name)
        return host

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.shutdown)


def set_default_manager(manager: Manager | None) -> None:
    """Make *manager* the default container; ``None`` lets the next one become it."""
    _default.set(manager)


def plugins_of(config: Xcorecfg) -> PluginHost:
    """Return the plugins that *config* names, not loaded yet."""
    folder = config.resolve(config.manager.tasks_directory)
    asked = config.describe()["manager.tasks_directory"].origin != "default"
    if asked and not folder.is_dir():
        _log.warning("no plugin file is loaded: tasks_directory %s does not exist", folder)
    return PluginHost(config.folder, folder, config.plugins)


def _amended(config: Xcorecfg | str | Path | None, over: dict[str, Any]) -> Xcorecfg:
    loaded = config if isinstance(config, Xcorecfg) else load_config(config)
    section = loaded.manager.model_validate(loaded.manager.model_dump() | over)
    return loaded.model_copy(update={"manager": section})
