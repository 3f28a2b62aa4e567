"""What is asked of the operating system about processes; on Linux all of it, elsewhere less."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_STATE, _PARENT, _USER_TICKS, _SYSTEM_TICKS = 0, 1, 11, 12
IS_LINUX: Final = sys.platform == "linux" and (_PROC / "self" / "stat").exists()
"""Whether descendants can be found and measured, wherever they hide."""
CAN_FORK: Final = hasattr(os, "fork")


def become_subreaper() -> bool:
    """Make orphans among the descendants children of the calling process; tell whether it took."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> bool:
    """Let the kernel kill the calling process when its parent dies; tell whether it took."""
    return _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> bool:
    if not IS_LINUX:
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)


def children_of(pid: int) -> list[int]:
    """Return the children of a process, dead ones that nobody waited for included."""
    found: list[int] = []
    try:
        threads = _names(f"/proc/{pid}/task")
    except OSError:
        return []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - hot
                found += map(int, file.read().split())
        except FileNotFoundError:  # the thread is over, or the kernel does not list children
            if Path(f"/proc/{pid}/task/{thread}").exists():
                return _listed_children(pid)
        except OSError:
            continue
    return found


def _listed_children(pid: int) -> list[int]:
    """Return the same on a kernel without lists of children, by looking at every process."""
    found: list[int] = []
    for name in _names(_PROC):
        fields = _stat(int(name)) if name.isdigit() else None
        if fields is not None and int(fields[_PARENT]) == pid:
            found.append(int(name))
    return found


def tree_of(pid: int) -> list[int]:
    """Return a process and its descendants, parents before children."""
    found = [pid]
    for each in found:  # grows on the way
        found += [child for child in children_of(each) if child not in found]
    return found


def threads_of(pid: int) -> int:
    """Return how many threads a process has; zero where that cannot be told."""
    try:
        return len(_names(f"/proc/{pid}/task"))
    except OSError:
        return 0


def files_of(pid: int) -> int:
    """Return how many files a process has open; zero where that cannot be told."""
    try:
        return len(_names(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def own_files() -> frozenset[str]:
    """Return the numbers of the files that this process has open, where that can be told."""
    try:
        return frozenset(_names("/proc/self/fd"))
    except OSError:
        return frozenset()


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process without what it maps from files, in bytes."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - hot
            _size, resident, shared, *_rest = file.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE")


def own_bytes(pid: int) -> int:
    """Return the same with what a process shares with others divided among them; this is slower."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
    except OSError:
        return resident_bytes(pid)
    found = [line.split()[1] for line in text.splitlines() if line.startswith(b"Pss_Anon:")]
    return int(found[0]) * 1_024 if found else resident_bytes(pid)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    fields = _stat(pid)
    if fields is None:
        return 0.0
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return ticks / os.sysconf("SC_CLK_TCK")


def marked(mark: str) -> list[int]:
    """Return the processes that were started with *mark*, ``NAME=value``, in their environment."""
    wanted, found = mark.encode(), []
    for name in _names(_PROC) if IS_LINUX else ():
        if name.isdigit():
            with suppress(OSError):
                variables = (_PROC / name / "environ").read_bytes().split(b"\0")
                if wanted in variables:
                    found.append(int(name))
    return found


def send_signal(pid: int, number: int) -> bool:
    """Send a signal to a process; tell whether it existed."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send_group_signal(pid: int, number: int) -> bool:
    """Send a signal to the process group that *pid* leads; tell whether it existed."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _names(folder: str | Path) -> list[str]:
    return os.listdir(folder)  # noqa: PTH208 - hot


def _stat(pid: int) -> list[bytes] | None:
    """Return the fields of a process from its state on; its name may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - hot
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def cause_of_death(status: int | None) -> str:
    """Return how a process ended, in words."""
    if status is None:
        return "its process closed the connection to its container"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"its process ended with exit code {code}"
    name = f"signal {-code}"
    with suppress(ValueError):
        name = f"signal {-code} ({signal.Signals(-code).name})"
    hint = "; the system does so when memory runs out" if -code == signal.SIGKILL else ""
    return f"its process was killed by {name}{hint}"
