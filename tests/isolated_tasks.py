"""Functions of isolated tasks: importable, as another process must find them."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

from core.clock import SystemClock
from loggers import get_logger
from manager import current_run

VALUE: contextvars.ContextVar[str] = contextvars.ContextVar("isolated_value", default="clean")
log: Final = get_logger("tests.isolated")
not_a_function: Final = 3
SLEEPER: Final = [sys.executable, "-c", "import threading; threading.Event().wait(600)"]
ERRORS: Final[dict[str, BaseException]] = {
    "ValueError": ValueError("no"),
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
    "CancelledError": asyncio.CancelledError(),
    "StopIteration": StopIteration(1),
}


class BadOrderError(LookupError):
    """An error of a class that only the task's module knows."""


class Unprintable(Exception):  # noqa: N818 - it is no ordinary error
    def __str__(self) -> str:
        raise RuntimeError("no text")


def pause(seconds: float) -> None:
    """Sleep in the main thread, where signals interrupt."""
    SystemClock().wait(threading.Event(), timedelta(seconds=seconds))


def begins(path: str) -> None:
    """Tell the test that the call is under way."""
    Path(path).with_suffix(".begun").touch()


def ends(path: str) -> None:
    """Tell the test that the call came to its end."""
    Path(path).touch()


def gives(value: object = None) -> object:
    return value


async def gives_later(value: object) -> object:
    await asyncio.sleep(0.001)
    return value


def who() -> int:
    return os.getpid()


def parent() -> int:
    return os.getppid()


def raises(name: str) -> NoReturn:
    raise ERRORS[name]


def raises_its_own() -> NoReturn:
    raise BadOrderError("order 7")


def raises_unprintable() -> NoReturn:
    raise Unprintable


def raises_at_length() -> NoReturn:
    raise ValueError("x" * 50_000_000)


def sets_a_variable() -> str:
    before = VALUE.get()
    VALUE.set("dirty")
    return before


def context() -> dict[str, Any]:
    run = current_run()
    assert run is not None
    return {
        "run_id": run.run_id,
        "task_id": run.task_id,
        "attempt": run.attempt,
        "token": run.token,
        "scheduled_for": run.scheduled_for.isoformat(),
        "manager": run.manager,
        "stopping": run.stopping,
    }


def until(path: str) -> str:
    """Go on until there is a file, whatever one is asked."""
    Path(path).with_suffix(".begun").touch()
    while not Path(path).exists():
        try:
            pause(0.01)
        except SystemExit:
            continue
    return "done"


def tidies(path: str) -> None:
    """Sleep, and write a file when interrupted."""
    Path(path).with_suffix(".begun").touch()
    try:
        pause(60)
    finally:
        Path(path).touch()


async def tidies_too(path: str) -> None:
    """Sleep on the loop, and write a file when cancelled."""
    begins(path)
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        ends(path)


def listens(path: str) -> str:
    """Go on until asked to stop."""
    Path(path).with_suffix(".begun").touch()
    run = current_run()
    assert run is not None
    while not run.stopping:
        pause(0.01)
    return "heard"


def segfaults() -> None:
    ctypes.string_at(0)


def exits(code: int) -> NoReturn:
    os._exit(code)


def is_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kills_its_supervisor(path: str) -> None:
    leaves(path)
    os.kill(os.getppid(), signal.SIGKILL)
    pause(60)


def kills_its_session() -> None:
    os.killpg(0, signal.SIGKILL)


def leaves(path: str) -> str:
    """Leave a child, one in its own session, one that forked twice; write down their ids."""
    plain = subprocess.Popen(SLEEPER)
    own = subprocess.Popen(SLEEPER, start_new_session=True)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            os.execv(sys.executable, SLEEPER)  # noqa: S606
        os._exit(0)
    daemon = os.read(reading, 20).decode()
    pids = [str(plain.pid), str(own.pid), daemon]
    Path(path).with_suffix(".part").write_text(" ".join(pids), encoding="utf-8")
    Path(path).with_suffix(".part").rename(path)
    return "left"


def leaves_and_crashes(path: str) -> None:
    leaves(path)
    os.kill(os.getpid(), signal.SIGSEGV)


def leaves_and_stays(path: str) -> None:
    """Ignore SIGTERM, as do the children."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    leaves(path)
    while True:
        pause(60)


def hogs_memory(megabytes: int) -> None:
    kept = []
    for _ in range(megabytes):
        kept.append(b"x" * 2**20)
        pause(0.001)
    pause(60)


def hogs_memory_in_a_child() -> None:
    code = "kept = [b'x' * 2**20 for _ in range(400)]; import time; time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], check=True)


def forks_with_much_memory() -> str:
    """Share a hundred megabytes with five children for a moment."""
    kept = b"x" * 100 * 2**20
    pids = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            pause(0.5)
            os._exit(len(kept) % 7)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    return "shared"


def spins() -> None:
    while True:
        pass


def leaves_a_thread() -> int:
    threading.Thread(target=pause, args=(60,), daemon=True).start()
    return os.getpid()


def changes(what: str) -> int:
    """Change something of the process, and return its id."""
    if what == "folder":
        os.chdir("/")
    elif what == "umask":
        os.umask(0o011)
    elif what == "signals":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif what == "environment":
        os.environ["TASKRACK_TEST_LEFT"] = "1"
    elif what == "path":
        sys.path.append("/nowhere")
    elif what == "logging":
        logging.getLogger().addHandler(logging.NullHandler())
    elif what == "sockets":
        socket.setdefaulttimeout(1)
    elif what == "files":
        globals()["_kept"] = [os.open(os.devnull, os.O_RDONLY) for _ in range(64)]
    elif what == "memory":
        globals()["_kept"] = b"x" * 200 * 2**20
    return os.getpid()


def says() -> None:
    print("printed")  # noqa: T201 - the point
    print("complained", file=sys.stderr)  # noqa: T201 - the same
    log.info("logged {number}", number=1)
    log.bind(order=7).error("bound")
    logging.getLogger("standard").warning("standard %s", 2)
    warnings.warn("beware", stacklevel=1)
    print("no line break", end="")  # noqa: T201 - the same


def says_nothing() -> None:
    log.debug("not for this level")


def floods(lines: int) -> str:
    for number in range(lines):
        print(f"line {number} " + "x" * 100)  # noqa: T201 - the point
    return "done"


def floods_the_log(lines: int) -> str:
    for number in range(lines):
        log.warning("entry %s", number)
    return "done"


def says_odd_things() -> None:
    os.write(1, b"\x00nul \x1b[31mred\x1b[0m \xff\xfe\n")
    log.info("{}" * 100_000)
    log.info("{extra} {0.__class__}")


def returns(what: str) -> object:
    """Return something that JSON does not know."""
    cycle: list[Any] = []
    cycle.append(cycle)
    return {
        "nan": math.nan,
        "cycle": cycle,
        "bytes": b"\x00\xff",
        "set": {1},
        "object": object(),
        "surrogate": "\udcff",
        "huge": "x" * 10_000_000,
        "wide": "\N{PILE OF POO}" * 70_000,
        "deep": _nested(100_000),
        "tuple": (1, 2),
    }[what]


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def closes_files() -> str:
    os.closerange(0, 100)
    return "closed"


def closes_everything() -> str:
    os.closerange(0, 4_096)
    return "cut off"


def forges() -> None:
    """Write rubbish into every socket that there is."""
    for number in range(3, 300):
        try:
            os.write(number, b"\xff\xff\xff\xff rubbish")
        except OSError:
            continue
    pause(60)


def starts_a_container() -> None:
    from manager import Manager  # noqa: PLC0415 - as a task would

    Manager(default=False).start()


class Caller:
    """Has a method that looks like a function."""

    def method(self) -> None: ...
