"""Forty things that a task had better not do: the plugin that the hostile check drops in.

The file is copied into a project and loaded there by a container of its own; no test imports it
for what it does. Each behaviour is a task in three modes: ``NAME_loop``, ``NAME_thread`` and
``NAME_process``. What is endless here ends after ``LONG`` seconds, so that a thread that nobody can
kill does not outlive the check.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import locale
import logging
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from core.clock import SystemClock
from loggers import get_logger
from manager import current_run

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT: Final = 1.0
"""Time limit of the tasks that exceed it, in seconds; the others have all the time they need."""
LONG: Final = 4.0
HERE: Final = Path(__file__)
SLEEPER: Final = ["sleep", "300"]
HEALTHY: Final = 3
log: Final = get_logger("hostile")
kept: Final[list[Any]] = []


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class BaseError(BaseException):
    """No ordinary exception."""


class BrokenPolicy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> NoReturn:
        raise RuntimeError("no loop for you")


def end() -> float:
    return SystemClock().monotonic() + LONG


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def loops_for_ever() -> None:
    until = end()
    while SystemClock().monotonic() < until:
        pass


def sleeps_too_long() -> None:
    wait(LONG)


def ignores_every_wish_to_end() -> None:
    until = end()
    while SystemClock().monotonic() < until:
        try:
            wait(0.05)
        except BaseException:  # noqa: BLE001, S112 - that is what it does
            continue


async def ignores_every_cancel() -> None:
    until = end()
    while SystemClock().monotonic() < until:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue


def holds_the_interpreter() -> None:
    ctypes.PyDLL(None).usleep(2_000_000)


def matches_for_ever() -> None:
    re.match(r"(a+)+$", "a" * 26 + "b")


def leaves_the_process() -> NoReturn:
    os._exit(7)


def crashes() -> None:
    ctypes.string_at(0)


def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    wait(LONG)


def recurses_into_the_void() -> None:
    sys.setrecursionlimit(10**9)
    descends(0)


def descends(_number: int) -> int:
    """Call itself through a function in C, which uses up the stack of the system."""
    return max((1, 2), key=descends)


def exits() -> NoReturn:
    sys.exit("enough")


def interrupts() -> NoReturn:
    raise KeyboardInterrupt


def ends_a_generator() -> NoReturn:
    raise GeneratorExit


def stops_an_iteration() -> NoReturn:
    raise StopIteration


def raises_something_else() -> NoReturn:
    raise BaseError("odd")


def recurses() -> None:
    recurses()


def forks_a_lot() -> str:
    for _ in range(8):
        if os.fork() == 0:
            os.execvp(SLEEPER[0], SLEEPER)  # noqa: S606 - a child that stays
    return "forked"


def starts_threads() -> str:
    for _ in range(30):
        threading.Thread(target=wait, args=(LONG,), daemon=True).start()
    return "started"


def hogs_memory() -> None:
    found = []
    for _ in range(10):
        found.append(b"x" * 15 * 2**20)
        wait(0.005)
    wait(0.2)


def hogs_files() -> str:
    return str(len([os.open(os.devnull, os.O_RDONLY) for _ in range(200)]))


def closes_its_output() -> str:
    sys.stdout.close()
    return "closed"


def closes_files() -> str:
    os.closerange(0, 101)
    return "closed"


def takes_the_signals() -> str:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    return "taken"


def prints_a_lot() -> str:
    line = "x" * 1_000_000
    for _ in range(30):
        print(line)  # noqa: T201 - that is what it does
    return "printed"


def prints_odd_bytes() -> str:
    os.write(1, b"\x00\x1b[2J\x1b]0;owned\x07\xff\xfe\n" * 100)
    return "printed"


def logs_braces() -> str:
    log.info("{}" * 524_288)
    log.info("{extra[x]!r:>{0}} %s %(x)d\r\nfaked line")
    return "logged"


def returns_an_object() -> object:
    return object()


def returns_a_cycle() -> object:
    found: list[Any] = []
    found.append(found)
    return {"found": found, "nan": math.nan}


def returns_too_much() -> str:
    return "x" * 50_000_000


def raises_without_a_text() -> NoReturn:
    raise UnprintableError


def raises_at_length() -> NoReturn:
    raise ValueError("x" * 20_000_000)


def changes_the_folder() -> str:
    os.chdir("/")
    os.umask(0o077)
    return "changed"


def changes_the_zone() -> str:
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()
    locale.setlocale(locale.LC_ALL, "C")
    return "changed"


def empties_the_path() -> str:
    sys.path.clear()
    for name in ("json", "decimal", "fractions", "statistics"):
        sys.modules.pop(name, None)
    return "emptied"


def silences_the_log() -> str:
    logging.disable(logging.CRITICAL)
    logging.getLogger().handlers.clear()
    return "silenced"


def breaks_the_loops_of_others() -> str:
    asyncio.set_event_loop_policy(BrokenPolicy())
    socket.setdefaulttimeout(0.001)
    return "broken"


def replaces_the_clock() -> str:
    stopped: Any = lambda *_: 0.0  # noqa: E731 - as short as it is wrong
    for name in ("time", "monotonic", "sleep", "perf_counter"):
        setattr(time, name, stopped)
    return "replaced"


def replaces_threads() -> str:
    threading.Thread = None  # type: ignore[misc, assignment]
    return "replaced"


def leaves_children() -> str:
    subprocess.Popen(SLEEPER)
    return "left"


def leaves_a_daemon() -> str:
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(3, 256)
            os.execvp(SLEEPER[0], SLEEPER)  # noqa: S606 - a child that stays
        os.write(writing, b"x")
        os._exit(0)
    os.read(reading, 1)
    return "left"


def deletes_its_module() -> str:
    HERE.unlink(missing_ok=True)
    return "deleted"


def removes_itself() -> str:
    run = current_run()
    assert run is not None
    run.manager.remove_task(run.task_id)
    return "removed"


def runs_itself() -> str:
    run = current_run()
    assert run is not None
    if not kept:
        kept.append("once")
        run.manager.run_task(run.task_id)
    return "again"


def shuts_down() -> None:
    run = current_run()
    assert run is not None
    run.manager.shutdown(0)


def collects_nothing() -> str:
    gc.disable()
    return "disabled"


def coroutine_of(func: Callable[[], Any]) -> Callable[[], Any]:
    """Return a coroutine function that does the same, and never awaits."""

    async def alike() -> Any:  # noqa: ANN401 - whatever it returns
        return func()

    return alike


BEHAVIOURS: Final[tuple[Callable[[], Any], ...]] = (
    loops_for_ever, sleeps_too_long, ignores_every_wish_to_end, holds_the_interpreter,
    matches_for_ever, leaves_the_process, crashes, kills_itself, recurses_into_the_void, exits,
    interrupts, ends_a_generator, stops_an_iteration, raises_something_else, recurses, forks_a_lot,
    starts_threads, hogs_memory, hogs_files, takes_the_signals, prints_a_lot, prints_odd_bytes,
    closes_its_output, closes_files, logs_braces, returns_an_object, returns_a_cycle,
    returns_too_much, raises_without_a_text, raises_at_length, changes_the_folder,
    changes_the_zone, empties_the_path, silences_the_log, breaks_the_loops_of_others,
    replaces_the_clock, replaces_threads, leaves_children, leaves_a_daemon, deletes_its_module,
    removes_itself, runs_itself, shuts_down, collects_nothing,
)  # fmt: skip
ENDLESS: Final = frozenset(
    {
        "loops_for_ever",
        "sleeps_too_long",
        "ignores_every_wish_to_end",
        "holds_the_interpreter",
        "matches_for_ever",
    }
)
COROUTINES: Final = {"ignores_every_wish_to_end": ignores_every_cancel}


def healthy() -> None:
    """Do nothing, on time."""


async def healthy_too() -> None:
    """Do nothing, on time, on the loop."""


def _task(name: str, func: Callable[..., Any], mode: str) -> dict[str, Any]:
    return {
        "id": f"{name}_{mode}",
        "func": func,
        "trigger": "interval",
        "trigger_args": {"hours": 24},
        "isolation": mode,
        "timeout": LIMIT if name in ENDLESS else 60,
        "max_retries": 0,
        "delivery": "at_most_once",
        "limits": {"memory_mb": 120},
    }


def _beat(number: int, func: Callable[..., Any], mode: str) -> dict[str, Any]:
    return {
        "id": f"healthy_{mode}_{number}",
        "func": func,
        "trigger": "interval",
        "trigger_args": {"seconds": 1},
        "isolation": mode,
        "catch_up": "all",
        "overlap": "queue",
        "max_retries": 0,
    }


TASK_DEFINITIONS: Final = [
    *(
        _task(
            func.__name__, COROUTINES.get(func.__name__, coroutine_of(func)) if loop else func, mode
        )
        for func in BEHAVIOURS
        for mode, loop in (("loop", True), ("thread", False), ("process", False))
    ),
    *(
        _beat(number, healthy_too if mode == "loop" else healthy, mode)
        for number in range(HEALTHY)
        for mode in ("loop", "thread", "process")
    ),
]
