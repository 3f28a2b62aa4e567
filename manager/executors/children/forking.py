"""Makes a worker: a child process in a session of its own, with its own pipes and nothing else."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from manager.executors.children.kernel import become_subreaper, die_with_parent
from manager.executors.children.worker import SPEECHLESS, Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from manager.executors.children.worker import Workshop

_HIGH: Final = 200
"""Files below this number may be closed by a task without cutting it off."""


def fork_worker(
    workshop: Workshop, let_go: Callable[[], None]
) -> tuple[int, socket.socket, int, int]:
    """Return the id of a new worker, the connection to it, and what it prints: output and errors.

    Args:
        workshop: What it needs to make calls.
        let_go: Closes, in the child, what belongs to the parent alone.

    Raises:
        OSError: the system gives no more processes or files.
    """
    ours, theirs = socket.socketpair()
    out, into_out = os.pipe()
    err, into_err = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        for each in (out, into_out, err, into_err):
            os.close(each)
        ours.close()
        theirs.close()
        raise
    if pid == 0:
        code = SPEECHLESS
        try:
            ours.close()
            let_go()
            code = _live(parent, theirs, workshop, (out, into_out, err, into_err))
        except BaseException:  # noqa: BLE001 - the top of a process: what ends it is to be read
            traceback.print_exc()
        finally:
            os._exit(code)
    theirs.close()
    os.close(into_out)
    os.close(into_err)
    os.set_blocking(out, False)
    os.set_blocking(err, False)
    return pid, ours, out, err


def _live(
    parent: int, connection: socket.socket, workshop: Workshop, pipes: tuple[int, int, int, int]
) -> int:
    """Set the child up and make calls until the parent is done with it; return its exit code."""
    os.setsid()
    die_with_parent()
    if os.getppid() != parent:  # it died before the line above
        return SPEECHLESS
    become_subreaper()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out, into_out, err, into_err = pipes
    os.dup2(into_out, 1)
    os.dup2(into_err, 2)
    for each in (out, into_out, err, into_err):
        os.close(each)
    sys.stdout = sys.__stdout__ = _line_by_line(1)  # type: ignore[misc, assignment]
    sys.stderr = sys.__stderr__ = _line_by_line(2)  # type: ignore[misc, assignment]
    gc.enable()
    Worker(_raised(connection), workshop).serve()
    return 0


def _raised(connection: socket.socket) -> socket.socket:
    """Return the same connection under a high number, which no child of the task inherits."""
    with suppress(OSError, ValueError):
        number = fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH)
        raised = socket.socket(fileno=number)
        connection.close()
        return raised
    return connection


def _line_by_line(number: int) -> TextIO:
    """Return a stream whose lines leave the process one by one, so that a crash loses none."""
    return open(number, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
