"""What an explanation is about: a task, a stretch of time, and what is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from manager.foresight.planned import schedule_words
from manager.schemas.foretelling import Explanation

if TYPE_CHECKING:
    from core.run import RunState
    from core.trigger import Trigger
    from manager.foresight.asking import Asked
    from manager.foresight.planned import Outlook, Planned
    from manager.schemas.foretelling import Fate
    from manager.schemas.reading import RunRead
    from manager.storage.evidence import Evidence
    from manager.storage.reading import Reading

_MICROSECOND: Final = timedelta(microseconds=1)
_EARLIEST: Final = datetime(2, 1, 1, tzinfo=UTC)
_REACHES: Final = (1, 32, 366 * 5)  # days; walking back is slow for some triggers


@dataclass(slots=True)
class Case:
    """A question, and what answers it.

    Attributes:
        reading: The ledger.
        outlook: The task, and what is alive.
        planned: The task.
        asked: The stretch of time.
        trigger: Its trigger; ``None`` where only a plugin knows the kind.
        also: What is to be said beside any answer.
    """

    reading: Reading
    outlook: Outlook
    planned: Planned
    asked: Asked
    trigger: Trigger | None
    also: list[str] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        """The task's zone."""
        return ZoneInfo(self.planned.task.timezone)

    @property
    def evidence(self) -> Evidence:
        """What the ledger tells beyond tasks and runs."""
        return self.reading.evidence

    def said(
        self,
        outcome: RunState | Fate,
        verdict: str,
        *because: str,
        runs: list[RunRead] | None = None,
    ) -> Explanation:
        """Return the answer."""
        at = self.asked.at
        return Explanation(
            task_id=self.planned.id,
            at=at,
            local=at.astimezone(self.zone).isoformat(),
            outcome=outcome,
            verdict=verdict,
            because=(*self.also, *because),
            schedule=schedule_words(self.planned),
            previous=self._before(),
            next=self.trigger and self.trigger.next_after(self.asked.until - _MICROSECOND),
            runs=tuple(runs or ()),
        )

    def _before(self) -> datetime | None:
        """Return the last occurrence before the stretch, in the five years before it."""
        at = self.asked.at
        if self.trigger is None:
            return None
        for days in _REACHES:
            reach = timedelta(days=days)
            since = at - reach if at - _EARLIEST > reach else _EARLIEST
            found, _ = self.trigger.last_until(at - _MICROSECOND, since)
            if found is not None:
                return found
        return None
