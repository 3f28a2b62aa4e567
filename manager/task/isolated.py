"""The program of the supervisor of isolated tasks: loads the plugins, then serves calls.

It opens no ledger and starts no engine. What a message names is looked up among the functions of
the plugins; code comes from their files and never from a message.
"""

from __future__ import annotations

import gc
import importlib
import runpy
import sys
import threading
import traceback
from datetime import datetime
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from core.clock import SystemClock
from core.definition import TaskDefinition, path_of
from core.isolation import MAIN, MAIN_ALIAS, imported
from core.policy import names_of
from core.records import Fault
from loggers import get_logger
from loggers.forwarding import forward_logging
from manager.engine.context import RunContext, entered
from manager.engine.results import error_text, json_form, traceback_text
from manager.executors.children.supervisor import Supervisor, detach_output
from manager.executors.children.wire import packed
from manager.executors.children.worker import Workshop
from manager.plugins import PluginHost

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from manager.executors.children.wire import Message


_THREADED: Final = (
    "isolated tasks: plugins start threads while they are loaded ({}); isolated runs are forked "
    "beside them and may hang, so start them in the task, or in a hook"
)


def main(connection: socket.socket, setup: Mapping[str, Any]) -> None:
    """Serve a container until it is gone; called by the start-up code of the process.

    Args:
        connection: To the container.
        setup: What ``setup_of`` gave.
    """
    sys.argv[:] = setup["argv"]
    try:
        functions = Functions(setup)
        functions.load()
    except BaseException as error:  # noqa: BLE001 - a plugin's import: it may raise anything
        text = f"{type(error).__name__} while the plugins were loaded"
        traceback.print_exc()
        connection.sendall(packed({"kind": "fault", "text": text}))
        return
    extra = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    if extra:
        connection.sendall(packed({"kind": "warning", "text": _THREADED.format(", ".join(extra))}))
    detach_output()
    gc.collect()
    gc.freeze()  # what is loaded is shared with the workers, and stays so
    workshop = Workshop(functions.find, _scope, _form, _fault)
    Supervisor(connection, workshop, setup["size"], setup["max_runs"]).serve()


class Functions:
    """The functions that calls may name.

    Args:
        setup: What ``setup_of`` gave.
    """

    def __init__(self, setup: Mapping[str, Any]) -> None:
        self._setup = setup
        self._offered: dict[str, Callable[..., Any]] = {}

    def load(self) -> None:
        """Load the plugins, and the modules of tasks that were added by calls."""
        forward_logging(_ignored)  # what the plugins log here, the container's own have logged
        setup = self._setup
        host = PluginHost(Path(setup["project"]), Path(setup["folder"]), setup["plugins"])
        host.load()
        for offer in host.offers():
            task_id, func = _named(offer.data)
            if isinstance(task_id, str) and callable(func):
                self._offered.setdefault(task_id, func)
        for name in setup["modules"]:
            self._import(name)

    def find(self, message: Message) -> Callable[..., Any]:
        """Return the function of a call.

        Raises:
            ImportError: this process does not have it.
            TypeError: it has something else of that name.
        """
        path = message["path"]
        offered = self._offered.get(message["task_id"])
        if not message["called"] and offered is not None and path_of(offered) == path:
            return offered
        self._import(path.partition(":")[0])
        found = imported(path)
        if not callable(found):
            raise TypeError(f"{path} is no function in the process of an isolated task")
        return found  # type: ignore[no-any-return]

    def _import(self, name: str) -> None:
        if name != MAIN:
            importlib.import_module(name)
        elif sys.modules.get(MAIN_ALIAS) in {None, sys.modules[MAIN]}:  # multiprocessing sets it
            self._import_script()

    def _import_script(self) -> None:
        """Import the program's own script under another name, as multiprocessing does."""
        given = self._setup["main"]
        if given is None:
            raise ImportError("the program has no script that could be imported again")
        kind, place = given
        run = partial(runpy.run_module, alter_sys=True) if kind == "module" else runpy.run_path
        module = ModuleType(MAIN_ALIAS)
        sys.modules[MAIN_ALIAS] = module
        try:
            vars(module).update(run(place, run_name=MAIN_ALIAS))
        except BaseException:
            del sys.modules[MAIN_ALIAS]
            raise


def _named(data: object) -> tuple[object, object]:
    if isinstance(data, TaskDefinition):
        return data.id, data.func
    return (data.get("id"), data.get("func")) if isinstance(data, dict) else (None, None)


def _ignored(record: Mapping[str, Any]) -> None:
    """Drop a log record."""


def _scope(message: Message, stop: threading.Event) -> AbstractContextManager[None]:
    """Return what makes the run of a call the current one."""
    due = message["scheduled_for"]
    context = RunContext(
        run_id=message["run_id"],
        task_id=message["task_id"],
        attempt=message["attempt"],
        scheduled_for=SystemClock().now() if due is None else datetime.fromisoformat(due),
        token=message["token"],
        logger=get_logger(message["plugin"]),
        manager=None,
        _stop=stop,
    )
    return entered(context)


def _form(value: object) -> Any:  # noqa: ANN401 - JSON is any
    return None if value is None else json_form(value)


def _fault(error: BaseException) -> Fault:
    """Return what was raised as the ledger keeps it."""
    return Fault(
        text=error_text(error), traceback=traceback_text(error), names=names_of(type(error))
    )
