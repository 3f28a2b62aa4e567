"""What a day came to, in the figures and words of the daily report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from manager.schemas.reading import RunRead
    from manager.schemas.statistics import PeriodStatistics, TaskStatistics

SLOWEST: Final = 5
DASH: Final = "\N{EN DASH}"
"""Stands for a figure that there is none of."""
_HOUR: Final = timedelta(hours=1)
_TENTHS_BELOW: Final = 9.95
_NO_ERROR: Final = "Its errors are too far back to be shown here; see 'taskrack runs {task_id}'."


@dataclass(frozen=True, slots=True)
class Slow:
    """A task and how long its runs took, in seconds."""

    name: str
    runs: int
    average: float
    longest: float


@dataclass(frozen=True, slots=True)
class Failing:
    """A task that failed, and its last error.

    Attributes:
        at: When that run ended, in the report's zone, or ``None`` where it is not known.
    """

    name: str
    task_id: str
    failed: int
    runs: int
    error: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One day, from local midnight to local midnight.

    Attributes:
        written: When the report was made, in its zone.
        at_hand: Whether there was a history to read.
        starts: Runs that started, hour by hour; 23 to 25 numbers.
        labels: The local time at which each of these hours begins, as ``14:00``.
    """

    app_name: str
    day: date
    zone: str
    written: datetime
    at_hand: bool
    runs: int = 0
    completed: int = 0
    failed: int = 0
    starts: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    slowest: tuple[Slow, ...] = ()
    failing: tuple[Failing, ...] = ()

    @property
    def title(self) -> str:
        """The day in words, such as ``Friday, 20 November 2026``."""
        return f"{self.day:%A}, {self.day.day} {self.day:%B %Y}"

    @property
    def success_rate(self) -> float | None:
        """Share of the completed runs among those that completed or failed."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None

    @property
    def longest(self) -> str:
        """How long the longest run took."""
        return duration(self.slowest[0].longest) if self.slowest else DASH

    @property
    def sentence(self) -> str:
        """The day in one sentence."""
        if not self.at_hand:
            return "There is no history at hand: the task ran outside a container."
        if not self.runs:
            return "No run started on this day."
        if self.failed:
            tasks = len(self.failing)
            where = "one task" if tasks == 1 else f"{tasks} tasks"
            return f"{self.failed:,} of {counted(self.runs, 'run')} failed, in {where}."
        if self.completed < self.runs:
            return f"No run failed; {self.completed:,} of {counted(self.runs, 'run')} completed."
        return "The one run completed." if self.runs == 1 else f"All {self.runs:,} runs completed."


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants of local midnight at the start and at the end of *day*, in UTC.

    A day of 23 or 25 hours is as long as it is. Where midnight itself falls into a gap, the day
    begins at the first instant that it has.
    """
    midnights = (datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1)))
    start, end = (midnight.astimezone(UTC) for midnight in midnights)
    return start, end


def summarised(
    blank: Summary,
    statistics: PeriodStatistics,
    names: Mapping[str, str],
    zone: ZoneInfo,
) -> Summary:
    """Return the summary of *statistics*.

    Args:
        blank: Says which day it is, for whom, and when it is written.
        statistics: What the day's runs came to.
        names: The display name of each task, by its id.
        zone: The report's zone.
    """
    tasks = statistics.tasks
    timed = [
        Slow(names.get(each.task_id, each.task_id), each.runs, each.average, each.longest)
        for each in tasks
        if each.average is not None and each.longest is not None
    ]
    last: dict[str, RunRead] = {}
    for run in statistics.failures:
        last.setdefault(run.task_id, run)
    failing = [
        _failing(each, names.get(each.task_id, each.task_id), last.get(each.task_id), zone)
        for each in tasks
        if each.failed
    ]
    begins = [statistics.start + number * _HOUR for number in range(len(statistics.hours))]
    return Summary(
        app_name=blank.app_name,
        day=blank.day,
        zone=blank.zone,
        written=blank.written,
        at_hand=True,
        runs=sum(each.runs for each in tasks),
        completed=sum(each.completed for each in tasks),
        failed=sum(each.failed for each in tasks),
        starts=statistics.hours,
        labels=tuple(f"{begin.astimezone(zone):%H:%M}" for begin in begins),
        slowest=tuple(sorted(timed, key=lambda each: (-each.longest, each.name))[:SLOWEST]),
        failing=tuple(sorted(failing, key=lambda each: (-each.failed, each.name))),
    )


def counted(number: int, noun: str) -> str:
    """Return ``1 run`` or ``1,200 runs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(share: float | None) -> str:
    """Return a share as ``99.9 %``, cut and never rounded up to a hundred; a dash for none."""
    if share is None:
        return DASH
    tenths = int(share * 1000 + 1e-9)
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def duration(seconds: float) -> str:
    """Return a duration as a person would say it: ``850 ms``, ``4.2 s``, ``3 min 05 s``."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1:
        return "under 1 ms"
    if milliseconds < 1000:  # noqa: PLR2004 - a second
        return f"{milliseconds} ms"
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _failing(task: TaskStatistics, name: str, last: RunRead | None, zone: ZoneInfo) -> Failing:
    error, at = _NO_ERROR.format(task_id=task.task_id), None
    if last is not None:
        error = last.error or f"no message (reason: {last.reason})"
        at = None if last.finished_at is None else last.finished_at.astimezone(zone)
    return Failing(name, task.task_id, task.failed, task.runs, error, at)
