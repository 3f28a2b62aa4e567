"""What a call may have changed about its process that the next call in it would notice."""

from __future__ import annotations

import asyncio
import builtins
import datetime as dt
import locale
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, Final

from manager.executors.children.kernel import own_files

_NEVER: Final = object()


def footprint() -> dict[str, Any]:
    """Return the state of the process by name; the same before and after a call that is tidy.

    What is a set may have grown.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    root = logging.getLogger()
    return {
        "the current folder": _folder(),
        "the umask": mask,
        "signal handlers": [signal.getsignal(number) for number in _SIGNALS],
        "the environment": dict(os.environ),
        "sys.path": list(sys.path),
        "sys.modules": frozenset(_NEEDED & sys.modules.keys()),
        "open files": own_files(),
        "the standard files": [_identity(number) for number in (0, 1, 2)],
        "the locale": locale.setlocale(locale.LC_ALL),
        "the time zone": time.tzname,
        "logging": (root.level, list(root.handlers), logging.root.manager.disable),
        "sockets' default timeout": socket.getdefaulttimeout(),
        "the event loop policy": type(asyncio.get_event_loop_policy()),
        "the recursion limit": sys.getrecursionlimit(),
        "the standard streams": (sys.stdin, sys.stdout, sys.stderr),
        "built-in functions": [getattr(place, name, None) for place, name in _BUILT_IN],
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names of what differs."""
    return [name for name, value in before.items() if not _same(value, after.get(name, _NEVER))]


def _same(before: object, after: object) -> bool:
    try:
        if isinstance(before, frozenset) and isinstance(after, frozenset):
            return before <= after
        return bool(before == after)
    except Exception:  # noqa: BLE001 - what a task left there may raise when it is compared
        return False


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - asked at each call
    except OSError:
        return ""


def _identity(number: int) -> tuple[int, int] | None:
    """Return which file an open file is."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino


_SIGNALS: Final = sorted(signal.valid_signals())
_BUILT_IN: Final = (
    (time, "time"),
    (time, "monotonic"),
    (time, "sleep"),
    (threading, "Thread"),
    (dt, "datetime"),
    (os, "kill"),
    (socket, "socket"),
    (builtins, "open"),
    (builtins, "print"),
)
_NEEDED: Final = frozenset(
    {"os", "sys", "json", "asyncio", "logging", "threading", "socket", "traceback"}
)
