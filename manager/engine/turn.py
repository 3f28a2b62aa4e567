"""One turn: what its transaction writes, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.run import RunState

if TYPE_CHECKING:
    from datetime import datetime

    from core.records import Ending, Firing, News
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
    doubtful: bool = False
    found: list[Run] = field(default_factory=list)
    buried: bool = False
    held: list[Run | None] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    fired: tuple[Run, ...] = ()
    beaten: frozenset[str] = frozenset()
    claimed: list[Run] = field(default_factory=list)
    drained: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    contended: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)

    @property
    def begun(self) -> list[Run]:
        """The runs that it started, which are to be called."""
        runs = (*self.found, *self.fired, *self.claimed)
        return [run for run in runs if run.state is RunState.RUNNING]

    def begun_in(self, lane: str) -> int:
        """Return how many of them take a place of *lane*."""
        return sum(run.lane == lane for run in self.begun)

    @property
    def starts(self) -> bool:
        """Whether it may start runs, which only a node that counts as alive may do."""
        return bool(self.firings or self.lanes or self.doubtful)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write and nothing to claim."""
        return not (self.starts or self.endings or self.unstarted)

    def part(self, elsewhere: set[str]) -> tuple[list[Ending], list[Run], list[Firing]]:
        """Return what it writes where another node decides about the tasks *elsewhere*."""
        self.elsewhere = elsewhere
        return (
            [each for each in self.endings if each.run.task_id not in elsewhere],
            [run for run in self.unstarted if run.task_id not in elsewhere],
            [firing for firing in self.firings if firing.task_id not in elsewhere],
        )

    def parted(self) -> tuple[list[Ending], list[Run], list[LiveTask]]:
        """Keep what was written; return what is left to the next turn."""
        gone = self.elsewhere
        later = (
            [each for each in self.endings if each.run.task_id in gone],
            [run for run in self.unstarted if run.task_id in gone],
            [task for task in self.due if task.id in gone],
        )
        self.due = [task for task in self.due if task.id not in gone]
        self.endings, self.unstarted, self.firings = self.part(gone)
        return later

    @property
    def concerned(self) -> set[str]:
        """The tasks about which it decides, those aside that it will claim runs of."""
        ended = {ending.run.task_id for ending in self.endings}
        given_up = {run.task_id for run in self.unstarted}
        return ended | given_up | {firing.task_id for firing in self.firings}
