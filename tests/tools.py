"""What container tests share: a project on disk, waiting for a condition, a clock elsewhere."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Final, TypeVar

from core.clock import SystemClock
from core.run import RunState
from manager import Manager
from manager.task.assembly import Assembly
from manager.task.taskmanager import TaskManager

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import ModuleType

    from core.clock import Clock
    from manager.schemas.reading import RunRead, TaskRead

T = TypeVar("T")
PLUGIN: Final = "backgroundtask/taskplugins.py"
QUICK: Final[Mapping[str, Any]] = {"retry": {"backoff": "fixed", "delay": 0.01, "jitter": False}}
"""Options for retries that follow at once."""
APPLICATION_NAMES: Final = frozenset(
    {"auth", "backgroundtask", "cache", "database", "external", "plugins", "redis"}
)
"""Packages that the projects of tests have, and that this repository or another test may have."""


def eventually(condition: Callable[[], T], timeout: float = 10.0) -> T:
    """Wait until *condition* gives something true, and return that.

    Raises:
        AssertionError: it did not within *timeout* seconds; its last value is named.
    """
    clock, never = SystemClock(), threading.Event()
    end = clock.monotonic() + timeout
    while not (value := condition()):
        if clock.monotonic() > end:
            raise AssertionError(f"not true within {timeout:g} s; last: {value!r}")
        never.wait(0.01)
    return value


def finals(
    tasks: TaskManager, task_id: str, count: int = 1, *, dropped: bool = False
) -> list[RunRead]:
    """Wait for *count* runs of a task that are over, and return all that are, oldest first.

    What was skipped or missed counts only with *dropped*.
    """
    unwanted = set() if dropped else {RunState.SKIPPED, RunState.MISSED}

    def over() -> list[RunRead]:
        runs = [run for run in tasks.list_runs(task_id) if run.state.is_final]
        found = [run for run in reversed(runs) if run.state not in unwanted]
        return found if len(found) >= count else []

    return eventually(over)


def goes_on(tasks: TaskManager, task_id: str, count: int = 2) -> None:
    """Wait until a task has completed *count* more runs."""
    target = task_of(tasks, task_id).completed + count
    eventually(lambda: task_of(tasks, task_id).completed >= target)


def ended(tasks: TaskManager, run_id: str) -> RunRead:
    """Wait until a run is over, and return it with its attempts."""

    def over() -> list[RunRead]:
        run = tasks.get_run(run_id)
        return [run] if run is not None and run.state.is_final else []

    return eventually(over)[0]


def fire(tasks: TaskManager, task_id: str) -> RunRead:
    """Run a task by hand, wait until the run is over, and return it with its attempts."""
    return ended(tasks, tasks.run_task(task_id).id)


def task_of(tasks: TaskManager, task_id: str) -> TaskRead:
    """Return a task that must be there."""
    task = tasks.get_task(task_id)
    assert task is not None, f"no task {task_id!r} among {[each.id for each in tasks.list_tasks()]}"
    return task


def states(runs: list[RunRead]) -> list[RunState]:
    """Return the states of runs."""
    return [run.state for run in runs]


class ShiftedClock(SystemClock):
    """The machine's clock, moved so that it shows *start* when it is made."""

    def __init__(self, start: datetime) -> None:
        self._offset = start - super().now()

    def now(self) -> datetime:
        return super().now() + self._offset


class Stderr:
    """A stream that is whatever ``sys.stderr`` is when something is written."""

    def write(self, message: str) -> None:
        sys.stderr.write(message)


class Project:
    """A reader's project in a folder of its own; what it starts, ``close`` shuts down.

    Args:
        root: The folder of config.json.
        url: The ledger's database.
    """

    def __init__(self, root: Path, url: str = "sqlite:///./ledger.db") -> None:
        self.root = root
        self._url = url
        self._started: list[Manager | TaskManager] = []
        self.config()

    def config(self, **sections: object) -> Path:
        """Write config.json: *sections* over a ledger on disk and no log file."""
        data: dict[str, Any] = {
            "database": {"url": self._url, "synchronous": "normal"},
            "loggers": {"enable_file": False},
        }
        for name, value in sections.items():
            known = data.get(name)
            if isinstance(known, dict) and isinstance(value, dict):
                known.update(value)
            else:
                data[name] = value
        return self.write("config.json", json.dumps(data))

    def write(self, path: str, text: str) -> Path:
        """Write a file below the project, with its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        importlib.invalidate_caches()
        return file

    def plugin(self, text: str, path: str = PLUGIN) -> Path:
        """Write a plugin file."""
        return self.write(path, text)

    def module(self, name: str = "backgroundtask.taskplugins") -> ModuleType:
        """Return a module that the container has loaded."""
        return sys.modules[name]

    def manager(self, *, default: bool = True) -> Manager:
        """Return a container on the project, not started."""
        manager = Manager(self.root / "config.json", default=default)
        self._started.append(manager)
        return manager

    def start(self) -> TaskManager:
        """Start a container on the project and return its task manager."""
        manager = self.manager()
        manager.start()
        return manager.task_manager

    def engine(self, clock: Clock | None = None) -> TaskManager:
        """Return a task manager without discovery, not started."""
        assembly = None if clock is None else Assembly(clock=clock)
        tasks = TaskManager(self.root / "config.json", assembly=assembly)
        self._started.append(tasks)
        return tasks

    def keep(self, started: TaskManager) -> TaskManager:
        """Take charge of a task manager that a test made itself."""
        self._started.append(started)
        return started

    def close(self) -> None:
        """Shut down everything that was started here."""
        while self._started:
            self._started.pop().shutdown(0)


class Modules:
    """Hides this repository's own task package, and later puts all modules back as they were.

    Args:
        root: Modules whose file is below it are forgotten.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = list(sys.path)
        sys.path[:] = [each for each in sys.path if not Path(each, "backgroundtask").is_dir()]
        self._hidden = {
            name: module
            for name, module in sys.modules.items()
            if name.partition(".")[0] in APPLICATION_NAMES
        }
        self._forget(list(self._hidden))

    def restore(self) -> None:
        """Forget what was loaded since, and bring back what was hidden."""
        self._forget([name for name, module in sys.modules.items() if self._is_ours(name, module)])
        sys.modules.update(self._hidden)
        sys.path[:] = self._path

    @staticmethod
    def _forget(names: list[str]) -> None:
        for name in names:
            sys.modules.pop(name, None)

    def _is_ours(self, name: str, module: ModuleType) -> bool:
        if name.partition(".")[0] in APPLICATION_NAMES or name.startswith("taskrack_plugin_"):
            return True
        file = getattr(module, "__file__", None)
        return file is not None and Path(file).is_relative_to(self._root)
