"""One task as the rules look at it: its definition, and what follows from its schedule."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from manager.scheduling import describe
from manager.scheduling.named import named_times

if TYPE_CHECKING:
    from core.definition import TaskDefinition
    from core.trigger import Schedule, Trigger
    from manager.scheduling.named import NamedTimes

LOOK_AHEAD: Final = 30
"""How many occurrences are looked at."""
YEAR: Final = timedelta(days=366)
_MONTH: Final = timedelta(days=28)


class Occurrences:
    """The next occurrences of a schedule; tasks with equal schedules share them.

    Args:
        trigger: The trigger of the schedule.
        now: Everything is later than this.
    """

    def __init__(self, trigger: Trigger, now: datetime) -> None:
        self._trigger = trigger
        self._now = now

    @cached_property
    def first(self) -> datetime | None:
        """The next one."""
        return self._trigger.next_after(self._now)

    @cached_property
    def upcoming(self) -> tuple[datetime, ...]:
        """The next thirty, as far as a year from now has them."""
        found: list[datetime] = []
        moment = self.first
        while moment is not None and len(found) < LOOK_AHEAD and moment <= self._now + YEAR:
            found.append(moment)
            moment = self._trigger.next_after(moment)
        return tuple(found)

    @cached_property
    def shortest(self) -> timedelta | None:
        """The shortest time between two of the next thirty; ``None`` where there are not two."""
        return min((later - one for one, later in pairwise(self.upcoming)), default=None)

    @cached_property
    def average(self) -> timedelta | None:
        """The mean time between two in the next four weeks; ``None`` where there are not two."""
        count = self.count(_MONTH)
        return _MONTH / count if count > 1 else None

    def count(self, span: timedelta) -> int:
        """Return how many there are in the next *span*."""
        return self._trigger.last_until(self._now + span, self._now)[1]


class Subject:
    """A task under the rules.

    Args:
        definition: The task.
        schedule: Its schedule, as a first registration now has it.
        occurrences: What the schedule gives.
    """

    def __init__(
        self, definition: TaskDefinition, schedule: Schedule, occurrences: Occurrences
    ) -> None:
        self.definition = definition
        self.schedule = schedule
        self.occurrences = occurrences

    @cached_property
    def cron(self) -> NamedTimes | None:
        """What its cron schedule names; ``None`` for other triggers."""
        if self.definition.trigger != "cron":
            return None
        return named_times(self.definition.trigger_args)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone in which its schedule is meant."""
        own = self.cron.zone if self.cron is not None else None
        return ZoneInfo(own or self.definition.timezone)

    @cached_property
    def told(self) -> str:
        """Its schedule in words."""
        given = self.definition
        options = {
            "start": given.start,
            "end": given.end,
            "max_runs": given.max_runs,
            "jitter": given.jitter.total_seconds(),
            "exclude": given.exclude,
        }
        arguments = (given.trigger, given.trigger_args, given.timezone)
        return describe(*arguments, dst=given.dst, options=options)

    @property
    def by_fields(self) -> bool:
        """Whether it has cron fields, in which weekdays count from Monday."""
        return (
            self.definition.trigger == "cron" and "expression" not in self.definition.trigger_args
        )
