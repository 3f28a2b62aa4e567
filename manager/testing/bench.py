"""What all nodes of a lab share: one clock, one ledger, the tasks that the test defines."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from manager.storage import SqlLedger

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from configurations import Xcorecfg
    from core.records import Suspect
    from manager.storage import Database
    from manager.testing.clock import VirtualClock
    from manager.testing.sources import Sources


@dataclass(frozen=True, slots=True)
class Definition:
    """What ``Lab.define`` was given: each new process defines it again, as an application does."""

    func: Callable[..., Any]
    trigger: str
    options: Mapping[str, Any]


@dataclass(slots=True)
class Bench:
    """The world of the nodes of one lab.

    Attributes:
        living: Ids of the nodes that have a process.
        durations: How long calls of a plain function take, by task; the last one repeats.
    """

    config: Xcorecfg
    clock: VirtualClock
    database: Database
    draw: random.Random
    sources: Sources | None = None
    living: set[str] = field(default_factory=set)
    definitions: dict[str, Definition] = field(default_factory=dict)
    durations: defaultdict[str, deque[timedelta]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def duration(self, task_id: str) -> timedelta:
        """Return how long the next call of *task_id* takes."""
        left = self.durations.get(task_id)
        if not left:
            return timedelta(0)
        return left.popleft() if len(left) > 1 else left[0]


class SharedLedger(SqlLedger):
    """A node's view of the lab's ledger, which outlives the node."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.database)
        self._bench = bench

    def close(self) -> None:
        """Keep the ledger for the nodes to come; the lab closes it."""

    def suspects(self, now: datetime) -> list[Suspect]:
        """Return what may be dead; a node that lives has beaten in the time that was leapt over."""
        found = super().suspects(now)
        return [each for each in found if each.node.id not in self._bench.living]
