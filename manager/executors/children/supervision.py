"""The container's end of the connection to the supervisor of its child processes."""

from __future__ import annotations

import os
import queue
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from core.clock import SystemClock
from loggers import get_logger
from manager.executors.children.kernel import cause_of_death, marked, send_signal
from manager.executors.children.patience import Patience
from manager.executors.children.wire import Channel, WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from manager.executors.children.wire import Message

_log = get_logger("taskrack")
MARK: Final = "_TASKRACK_SUPERVISOR"
"""Variable by which what a supervisor has started can be found if it is killed itself."""
_BOOT: Final = """
import importlib, json, socket, struct, sys
taskrack_isolated = True
def read(size):
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise SystemExit(0)
        found += part
    return found
connection = socket.socket(fileno=int(sys.argv[1]))
setup = json.loads(read(*struct.unpack("!I", read(4))))
sys.path[:] = [*setup["sys_path"], setup["home"]]
program = importlib.import_module(setup["program"])
sys.path[:] = setup["sys_path"]
program.main(connection, setup)
"""
_HOME: Final = str(Path(__file__).parents[3])
"""The folder of our own packages, wherever this process found them."""
_LOAD_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 3.0
_SHORTEST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_STEADY: Final = 30.0
_SHOWN: Final = 2_000


@dataclass(slots=True)
class _Started:
    """A supervisor that runs."""

    process: subprocess.Popen[bytes]
    channel: Channel
    errors: BinaryIO
    mark: str
    since: float
    ready: bool = False


class Supervision:
    """Starts a supervisor when there is something to do, and another one when it dies.

    Args:
        setup: Gives what a supervisor needs to know when it is started, as JSON values.
        heard: Takes what it says, in a thread of its own.
        lost: Is told why it died, and whether it had been ready; its calls are over.
    """

    def __init__(
        self,
        setup: Callable[[], Mapping[str, Any]],
        heard: Callable[[Message], None],
        lost: Callable[[str, bool], None],
    ) -> None:
        self._setup = setup
        self._heard = heard
        self._lost = lost
        self._clock = SystemClock()
        self._guard = threading.Lock()
        self._orders: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._thread: Thread | None = None
        self._started: _Started | None = None
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._ends = False
        self._pause, self._not_before = 0.0, 0.0

    @property
    def is_troubled(self) -> bool:
        """Whether the supervisor died soon after its start, and the next one is put off."""
        return self._not_before > self._clock.monotonic()

    @property
    def pid(self) -> int | None:
        """The process id of the supervisor, while there is one."""
        started = self._started
        return None if started is None else started.process.pid

    def warm_up(self) -> None:
        """See to it that a supervisor runs, soon."""
        with self._guard:
            if self._thread is None and not self._ends:
                self._thread = Thread(target=self._serve, name="taskrack-processes", daemon=True)
                self._thread.start()

    def order(self, message: Mapping[str, Any]) -> None:
        """Send *message* to the supervisor, once there is one that is ready."""
        self._orders.put(message)
        self.warm_up()
        self._wake()

    def stop(self) -> None:
        """End the supervisor and everything below it; when this returns, nothing is left."""
        with self._guard:
            self._ends, thread = True, self._thread
        self._wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(2 * _STOP_SECONDS)
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _wake(self) -> None:
        with suppress(OSError):  # it is full, which wakes as well, or closed
            self._waker.send(b"\0", socket.MSG_DONTWAIT)

    def _serve(self) -> None:
        while not self._ends:
            self._rest()
            if self._ends:
                break
            try:
                self._started = self._start()
            except OSError as error:
                self._fail(f"it could not be started: {error}")
                continue
            self._converse(self._started)
        self._pause = 0.0

    def _rest(self) -> None:
        """Wait until a supervisor may be started again."""
        while not self._ends and (left := self._not_before - self._clock.monotonic()) > 0:
            if self._selector.select(left):
                self._woken.recv(4_096)

    def _start(self) -> _Started:
        ours, theirs = socket.socketpair()
        mark = secrets.token_hex(16)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the supervisor
        setup = dict(self._setup())
        variables = os.environ | setup.pop("environment", {}) | {MARK: mark}
        try:
            with theirs:
                process = subprocess.Popen(  # noqa: S603 - this very interpreter
                    [sys.executable, *_flags(), "-c", _BOOT, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    env=variables,
                )
        except BaseException:
            ours.close()
            errors.close()
            raise
        started = _Started(process, Channel(ours), errors, mark, self._clock.monotonic())
        started.channel.send({"sys_path": list(sys.path), "home": _HOME, **setup})
        return started

    def _converse(self, started: _Started) -> None:
        """Speak with a supervisor until one of the two ends."""
        selector = self._selector
        selector.register(started.channel, selectors.EVENT_READ)
        fault = None
        while not (self._ends or started.channel.is_over or fault):
            events = selectors.EVENT_READ
            if started.channel.backlog:
                events |= selectors.EVENT_WRITE
            selector.modify(started.channel, events)
            left = None
            if not started.ready:
                left = started.since + _LOAD_SECONDS - self._clock.monotonic()
                if left <= 0:
                    fault = f"it was not ready within {_LOAD_SECONDS:g} s"
                    break
            for key, mask in selector.select(left):
                if key.fileobj is self._woken:
                    self._woken.recv(4_096)
                elif mask & selectors.EVENT_WRITE:
                    started.channel.flush()
            fault = self._exchange(started)
        selector.unregister(started.channel)
        self._started = None
        self._finish(started, fault)

    def _exchange(self, started: _Started) -> str | None:
        """Pass on what came and what is to go; return what is wrong with the other end."""
        try:
            messages = started.channel.receive()
        except WireError as error:
            return f"it sent something odd: {error}"
        for message in messages:
            if message.get("kind") == "ready":
                started.ready = True
            elif message.get("kind") == "warning":
                _log.warning("%s", message.get("text"))
            elif message.get("kind") == "fault":
                return str(message.get("text"))
            else:
                self._heard(message)
        while started.ready and not self._orders.empty():
            started.channel.send(self._orders.get())
        return None

    def _finish(self, started: _Started, fault: str | None) -> None:
        """Let a supervisor end, or see to it that it has ended; tell what that means."""
        started.channel.close()  # it ends with everything below it
        process = started.process
        if not started.ready:  # it has no workers yet, and may be busy loading plugins
            process.kill()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _kill_marked(f"{MARK}={started.mark}")
        said = _tail(started.errors)
        started.errors.close()
        if self._ends:
            return
        text = fault or cause_of_death(_status(process)).replace("its process", "it")
        lived = self._clock.monotonic() - started.since
        text = f"{text}\n{said}" if said and not started.ready else text
        self._fail(text, ready=started.ready, lived=lived)

    def _fail(self, text: str, *, ready: bool = False, lived: float = 0.0) -> None:
        if lived >= _STEADY:
            self._pause = 0.0
        self._not_before = self._clock.monotonic() + self._pause
        self._pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 2 * self._pause))
        _log.error("the supervisor of isolated tasks is gone, another one follows: %s", text)
        while not self._orders.empty():
            self._orders.get()
        self._lost(text.partition("\n")[0], ready)


def _flags() -> list[str]:
    """Return the options with which this interpreter was started."""
    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - as multiprocessing does


def _status(process: subprocess.Popen[bytes]) -> int:
    """Return how a process ended as ``waitpid`` tells it."""
    code = process.returncode
    return -code if code < 0 else code << 8


def _kill_marked(mark: str) -> None:
    """Kill what a supervisor that is gone has left, if it could not do so itself."""
    patience = Patience(_STOP_SECONDS)
    while found := [pid for pid in marked(mark) if send_signal(pid, signal.SIGKILL)]:
        if not patience.rest():
            _log.error("processes of isolated tasks are left: %s", found)
            return


def _tail(errors: BinaryIO) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _SHOWN))
    return errors.read().decode("utf-8", "backslashreplace").strip()
