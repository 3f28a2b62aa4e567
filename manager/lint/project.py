"""All tasks of a project as the rules look at them, and what several of them share."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from manager.lint.subject import YEAR, Occurrences, Subject
from manager.scheduling import build_trigger
from manager.scheduling.clockchanges import clock_changes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from configurations import Xcorecfg
    from core.definition import TaskDefinition
    from core.trigger import Schedule, TriggerFactories
    from manager.scheduling.clockchanges import ClockChange

K = TypeVar("K")
Wall = tuple[tuple[int, ...], ...]
"""Hours, minutes and seconds of a schedule."""


class Project:
    """The tasks and the settings that the rules look at.

    Args:
        definitions: The tasks, in the order in which they were found.
        config: The settings.
        now: The time to go by.
        plugged: Kinds of trigger that plugins offer.
    """

    def __init__(
        self,
        definitions: Iterable[TaskDefinition],
        config: Xcorecfg,
        now: datetime,
        plugged: TriggerFactories,
    ) -> None:
        self._plugged = plugged
        self.config = config
        self.now = now
        self._occurrences: dict[Schedule, Occurrences] = {}
        self._changes: dict[str, tuple[ClockChange, ...]] = {}
        self.subjects = [self._subject(definition) for definition in definitions]

    def _subject(self, definition: TaskDefinition) -> Subject:
        schedule = definition.schedule(self.now)
        known = self._occurrences.get(schedule)
        if known is None:
            known = Occurrences(build_trigger(schedule, self._plugged), self.now)
            self._occurrences[schedule] = known
        return Subject(definition, schedule, known)

    def changes(self, zone: ZoneInfo) -> tuple[ClockChange, ...]:
        """Return when the clocks of *zone* are set in the next year."""
        name = str(zone)
        if name not in self._changes:
            self._changes[name] = clock_changes(zone, self.now, self.now + YEAR)
        return self._changes[name]

    @cached_property
    def by_function(self) -> dict[str, list[Subject]]:
        """The enabled tasks by the place of their function."""
        return _grouped((each.definition.func_path, each) for each in self._enabled)

    @cached_property
    def by_folded_id(self) -> dict[str, list[Subject]]:
        """The tasks by their ids without regard to case."""
        return _grouped((each.definition.id.casefold(), each) for each in self.subjects)

    @cached_property
    def walls(self) -> Counter[Wall]:
        """How many enabled cron tasks of the settings' own zone have the same times of the day."""
        return Counter(
            wall_of(each)
            for each in self._enabled
            if each.cron is not None and str(each.zone) == self.config.timezone
        )

    @cached_property
    def herd(self) -> tuple[datetime | None, list[Subject]]:
        """The instant at which most enabled cron tasks are due together, and these tasks."""
        due = _grouped(
            (moment, each)
            for each in self._enabled
            if each.cron is not None
            for moment in each.occurrences.upcoming
        )
        instant = min(due, key=lambda moment: (-len(due[moment]), moment), default=None)
        return instant, due.get(instant, []) if instant is not None else []

    @cached_property
    def _enabled(self) -> list[Subject]:
        return [each for each in self.subjects if each.definition.enabled]


def wall_of(task: Subject) -> Wall:
    """Return the times of the day of a cron task."""
    if task.cron is None:
        return ()
    pattern = task.cron.pattern
    return pattern.hours, pattern.minutes, pattern.seconds


def _grouped(pairs: Iterable[tuple[K, Subject]]) -> dict[K, list[Subject]]:
    found: dict[K, list[Subject]] = defaultdict(list)
    for key, subject in pairs:
        found[key].append(subject)
    return dict(found)
