"""Ends processes with everything that they started, however it hid."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from manager.executors.children.kernel import children_of, send_group_signal, send_signal, tree_of
from manager.executors.children.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_SECONDS: Final = 2.0


def kill_tree(pid: int) -> None:
    """Kill a process, its group and its descendants; those that fork are halted first."""
    tree = tree_of(pid)
    for each in tree:
        send_signal(each, signal.SIGSTOP)
    for each in tree_of(pid):  # with what was started meanwhile
        send_group_signal(each, signal.SIGKILL)
        send_signal(each, signal.SIGKILL)


def sweep(known: Collection[int], reaped: Callable[[int, int], None]) -> bool:
    """Kill every child of the calling process but those *known*; tell whether all are gone.

    What a worker leaves behind becomes such a child when the worker dies, also what detached
    itself, as the calling process is the sub-reaper of all.

    Args:
        known: The workers, which stay.
        reaped: Is told of each that ended, with its status.
    """
    patience = Patience(_SECONDS)
    while True:
        reap(reaped)
        strays = [pid for pid in children_of(os.getpid()) if pid not in known]
        if not strays:
            return True
        for pid in strays:
            kill_tree(pid)
        if not patience.rest():
            return False


def reap(reaped: Callable[[int, int], None]) -> None:
    """Take note of every child that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        reaped(pid, status)
