"""Whether every occurrence of a schedule has its row, walked with both in step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from core.trigger import Trigger

_STEPS: Final = 64
"""So many occurrences are walked between two rows; more are counted at once."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Occurrences without a row.

    Attributes:
        first: The first one of the stretch that has them.
        count: How many of the stretch have none.
        until: The row that comes next; ``None`` at the end.
    """

    first: datetime
    count: int
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Twin:
    """Two rows of one occurrence."""

    due: datetime


class Coverage:
    """Walks the rows of one task's occurrences beside its schedule.

    Args:
        trigger: Gives the occurrences.
        since: Rows are looked for from here on.
        until: Up to here.
        is_spent: Whether nothing is expected after the last row.

    Attributes:
        faults: What is missing, and what is there twice.
        rows: How many rows were taken.
        is_disordered: Whether a row came after a later one: then the faults mean nothing.
    """

    def __init__(
        self, trigger: Trigger, since: datetime, until: datetime, *, is_spent: bool
    ) -> None:
        self.faults: list[Gap | Twin] = []
        self.rows = 0
        self.is_disordered = False
        self._trigger = trigger
        self._reached = since
        self._until = until
        self._is_spent = is_spent
        self._taken: datetime | None = None
        self._occurrences = trigger.between(since, until)
        self._upcoming = next(self._occurrences, None)

    def take(self, due: datetime, occurrences: int) -> None:
        """Take the next row: its instant, and how many occurrences up to it it stands for."""
        self.rows += 1
        if due == self._upcoming and occurrences == 1:  # as nearly all are
            self._taken = self._reached = due
            self._upcoming = next(self._occurrences, None)
            return
        if due <= self._reached:
            if due == self._taken:
                self.faults.append(Twin(due))
            else:
                self.is_disordered = True
            return
        self._taken = due
        first, last, count = self._passed(due)
        missing = count - (occurrences if last == due else 0)
        if first is not None and missing > 0:
            self.faults.append(Gap(first, missing, due))

    def finish(self) -> None:
        """Look for what is missing after the last row."""
        if not self._is_spent:
            first, _, count = self._passed(self._until)
            if first is not None:
                self.faults.append(Gap(first, count, None))

    def _passed(self, until: datetime) -> tuple[datetime | None, datetime | None, int]:
        """Go to *until*; return the first and last occurrence on the way, and their number."""
        after, self._reached = self._reached, until
        first = last = None
        count, upcoming = 0, self._upcoming
        while upcoming is not None and upcoming <= until:
            if count == _STEPS:
                last, count = self._trigger.last_until(until, after)
                self._occurrences = self._trigger.between(until, self._until)
                upcoming = next(self._occurrences, None)
                break
            first, last, count = first or upcoming, upcoming, count + 1
            upcoming = next(self._occurrences, None)
        self._upcoming = upcoming
        return first, last, count
