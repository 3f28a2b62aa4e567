"""``python -m tests.reliability.warm``: a process that has imported all, and forks containers.

Orders come as JSON, one a line, on standard input; each is answered by the pid of a new container,
later by a line when it is ready. A container begins as a fresh process would, but for what it
need not import again, so that killed ones can be replaced several times a second. It dies with
this process, and this process ends with its standard input.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import partial
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from configurations import load_config
from core.errors import LedgerError
from loggers import setup_logging
from manager.container import plugins_of
from manager.engine.node import this_node
from manager.task.assembly import Assembly, build_settings
from manager.task.taskmanager import TaskManager

if TYPE_CHECKING:
    from configurations import Xcorecfg
    from manager.engine import EngineSettings

LOG: Final = "containers.log"
_TRUSTED: Final = 13 / 15
"""The part of its lease on which a node acts, as in production."""
_DIES_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG
_LOADED_LATER: Final = (
    "aiosqlite",
    "manager.storage.migration",
    "apscheduler.schedulers.background",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A container to be.

    Attributes:
        folder: Its project.
        lease: Seconds.
        heartbeat: Seconds.
        host: The machine that it says it is on; this one where empty.
        environ: Variables that it gets.
        script: ``module:function`` that is called with its settings and its assembly, in the place
            of running until SIGTERM.
        resumes: Whether it lets quarantined tasks go on, as an operator would.
        held: Whether it waits for SIGUSR1 before it does anything.
    """

    folder: str
    lease: float = 15
    heartbeat: float = 3
    host: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    script: str = ""
    resumes: bool = False
    held: bool = False

    @property
    def line(self) -> str:
        """The order as it is sent."""
        return json.dumps(asdict(self)) + "\n"


def main() -> None:
    for name in ("alembic.command", "manager.storage.postgres"):  # what a start imports late
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    if threading.active_count() > 1:
        raise RuntimeError("something started a thread at import; a fork would lose it")
    for line in sys.stdin:
        order, parent = Order(**json.loads(line)), os.getpid()
        pid = os.fork()
        if pid == 0:
            _live(order, parent)
        _tell(pid=pid)


def _live(order: Order, parent: int) -> None:
    """Be a container until the end; never returns."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(order.folder)
        os.environ.update(order.environ)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), 2)
        if order.held:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            _tell(held=os.getpid())
            signal.sigwait({signal.SIGUSR1})
        _contain(order)
        code = 0
    except BaseException:  # noqa: BLE001 - the top of a process: what ended it is in its log
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _contain(order: Order) -> None:
    config = load_config("config.json")
    node = this_node(timed=config.background_jobs_enabled)
    if order.host:
        node = replace(node, host=order.host, boot_id=order.host)
    assembly = Assembly(
        settings=partial(_settings, order),
        node=node,
        logging=lambda _config: setup_logging("WARNING", ""),
    )
    if order.script:
        module, _, name = order.script.partition(":")
        getattr(import_module(module), name)(config, assembly)
        return
    tasks = TaskManager(config, plugins=plugins_of, assembly=assembly)
    asked: SimpleQueue[int] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.put(number))
    tasks.start()
    _tell(ready=os.getpid())
    while asked.empty():
        with suppress(Empty):
            asked.put(asked.get(timeout=1))
        if order.resumes:
            with suppress(LedgerError):  # it was away, or this process stood still: once more
                _resume(tasks)
    tasks.shutdown()


def _resume(tasks: TaskManager) -> None:
    for task in tasks.list_tasks():
        if task.quarantined:  # whatever else it is doing
            tasks.resume_task(task.id)


def _settings(order: Order, config: Xcorecfg) -> EngineSettings:
    return replace(
        build_settings(config),
        lease=timedelta(seconds=order.lease),
        heartbeat=timedelta(seconds=order.heartbeat),
        trust=timedelta(seconds=order.lease * _TRUSTED),
    )


def _tell(**said: Any) -> None:  # noqa: ANN401 - JSON
    os.write(1, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    main()
