"""One turn on its way to the ledger and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from core.crashing import Quarantined
    from core.records import Ending, Firing
    from core.run import Run
    from manager.engine.book import LiveTask


@dataclass(slots=True)
class Turn:
    """What one transaction writes, and what came of it."""

    now: datetime
    endings: list[Ending]
    due: list[LiveTask]
    firings: list[Firing]
    slots: dict[str, int]
    lanes: set[str]
    unstarted: list[Run]
    buried: bool = False
    held: list[Run | None] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    fired: tuple[Run, ...] = ()
    beaten: frozenset[str] = frozenset()
    claimed: list[Run] = field(default_factory=list)
    drained: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    contended: set[str] = field(default_factory=set)

    @property
    def concerned(self) -> set[str]:
        """The tasks about which it decides, those aside that it will claim runs of."""
        ended = {ending.run.task_id for ending in self.endings}
        given_up = {run.task_id for run in self.unstarted}
        return ended | given_up | {firing.task_id for firing in self.firings}
