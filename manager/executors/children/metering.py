"""What the processes of one call use together, held against its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from manager.executors.children.kernel import (
    IS_LINUX,
    cpu_seconds,
    own_bytes,
    resident_bytes,
    tree_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERVAL: Final = 0.05
"""Seconds between two looks."""
_MIB: Final = 2**20


@dataclass(slots=True)
class Meter:
    """Measures a call in the process *pid*.

    Attributes:
        memory_mb: Most resident memory, or ``None``.
        cpu_seconds: Most processor time, or ``None``.
    """

    pid: int
    memory_mb: int | None
    cpu_seconds: float | None
    _used: dict[int, float] = field(default_factory=dict)
    _before: float = 0.0

    @classmethod
    def of(cls, pid: int, limits: Mapping[str, Any]) -> Meter | None:
        """Return the meter of a call with these *limits*; ``None`` where nothing is limited."""
        memory, processor = limits.get("memory_mb"), limits.get("cpu_seconds")
        if not IS_LINUX or (memory is None and processor is None):
            return None
        return cls(pid, memory, processor, _before=cpu_seconds(pid))

    def excess(self) -> str | None:
        """Return which limit the call exceeds, in words; ``None`` while it keeps them."""
        tree = tree_of(self.pid)
        if self.memory_mb is not None:
            used = sum(map(resident_bytes, tree)) // _MIB
            if used > self.memory_mb:  # what forked children share is counted with each
                used = sum(map(own_bytes, tree)) // _MIB
            if used > self.memory_mb:
                return f"its process used {used} MB, above its memory limit of {self.memory_mb} MB"
        if self.cpu_seconds is not None:
            for pid in tree:  # those that ended keep what they had used
                self._used[pid] = max(self._used.get(pid, 0.0), cpu_seconds(pid))
            spent = sum(self._used.values()) - self._before
            if spent > self.cpu_seconds:
                limit = f"its processor time limit of {self.cpu_seconds:g} s"
                return f"its process used {spent:.1f} s of processor time, above {limit}"
        return None
